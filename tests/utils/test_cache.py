"""Where the cache is, and what makes an entry another one."""

from pathlib import Path

import pytest

from tsynd.utils.cache import cache_entry, cache_folder


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TSYND_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "tsynd"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "tsynd"
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "chosen"))
    assert cache_folder() == tmp_path / "chosen"


def test_an_entry_depends_on_kind_and_key() -> None:
    assert cache_entry("a", {"x": 1, "y": 2}) == cache_entry("a", {"y": 2, "x": 1})
    others = {cache_entry("a", {"x": 1, "y": 2}), cache_entry("b", {"x": 1, "y": 2}), cache_entry("a", {"x": 1, "y": 3})}
    assert len(others) == 3
