"""Where the cache is, and what makes an entry another one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tsynd.utils import cache
from tsynd.utils.cache import cache_entry, cache_folder, file_state


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


def test_where_no_time_of_change_is_kept_the_content_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    plain = file_state(file)
    monkeypatch.setattr(cache, "os", SimpleNamespace(name="nt"))
    first = file_state(file)
    file.write_bytes(b"two")
    assert first[:-1] == plain[:-1] and first[-1] != file_state(file)[-1] != ""
    assert file_state(tmp_path / "gone") == ()
