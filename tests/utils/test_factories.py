"""Factories by name: found in a file or a package, identified by their source, and clear when they fail."""

import sys
from pathlib import Path

import pytest

from tsynd.errors import DataUnavailable, TsyndError
from tsynd.utils.factories import file_hash, find_factory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my nets, v2"
    folder.mkdir()
    (folder / "nets.py").write_text("from blocks import WIDTH\n\ndef made(*given):\n    return WIDTH, given\n\nNAME = 1\n")
    (folder / "blocks.py").write_text("WIDTH = 8\n")
    return folder


def test_a_file_in_a_folder_with_spaces_imports_what_lies_beside_it(folder: Path) -> None:
    before = list(sys.path)
    assert find_factory(f"{folder}/nets.py:made")(1, 28) == (8, (1, 28))
    assert sys.path == before and "blocks" not in sys.modules


def test_neighbours_of_the_same_name_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "nets.py").write_text((folder / "nets.py").read_text())
    (other / "blocks.py").write_text("WIDTH = 9\n")
    assert [find_factory(f"{place}/nets.py:made")()[0] for place in (folder, other, folder)] == [8, 9, 8]


def test_the_identity_is_of_the_source_and_not_of_its_place(folder: Path, tmp_path: Path) -> None:
    first = find_factory(f"{folder}/nets.py:made").identity
    assert find_factory(f"{folder}/nets.py:other").identity != first
    moved = folder.rename(tmp_path / "moved")
    assert find_factory(f"{moved}/nets.py:made").identity == first
    (moved / "unrelated.py").write_text("X = 1\n")
    assert find_factory(f"{moved}/nets.py:made").identity == first
    (moved / "blocks.py").write_text("WIDTH = 9\n")
    assert find_factory(f"{moved}/nets.py:made").identity != first


def test_a_package_is_read_no_further_than_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "hospital"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("import beside\nfrom .parts import WIDTH\n\ndef made():\n    return WIDTH + beside.MORE\n")
    (package / "parts.py").write_text("WIDTH = 8\n")
    (tmp_path / "beside.py").write_text("MORE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    factory = find_factory("hospital.nets:made")
    before = factory.identity
    assert factory() == 9
    (tmp_path / "beside.py").write_text("MORE = 1  # another package\n")
    assert factory.identity == before
    (package / "parts.py").write_text("WIDTH = 8  # its own\n")
    assert factory.identity != before


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nets.py", "a factory must be named as FILE.py:factory or package.module:factory, got 'nets.py'"),
        ("gone.py:made", "gone.py:made: no such file: .*gone.py"),
        ("no_such_package.nets:made", "no_such_package.nets cannot be imported: No module named 'no_such_package'"),
        ("no_such_module:made", "there is no module 'no_such_module' here: install its package, or name its file"),
        ("nets.py:made it", "a factory must be named as"),
    ],
)
def test_what_is_not_there_is_refused(spec: str, message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        find_factory(spec)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NAME = 1", "has no function 'made'"),
        ("made = 1", "has no function 'made'"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def made(channels): pass", r"failed, called with \(1, 28\): TypeError: made\(\) takes 1 positional argument but 2"),
        ("def made(*given):\n    raise ValueError('one\\ntwo')", "ValueError: one$"),
        ("def made(*given):\n    raise SystemExit(3)", r"failed, called with \(1, 28\): SystemExit: 3"),
        ("def made(", "is not a Python file that can be read"),
    ],
)
def test_a_factory_that_fails_says_why_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "nets.py").write_text(text + "\n")
    with pytest.raises(TsyndError, match=message) as caught:
        find_factory(f"{tmp_path}/nets.py:made")(1, 28)
    assert "\n" not in str(caught.value)


def test_a_file_is_identified_by_its_content(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b") != file_hash(tmp_path / "c")
    with pytest.raises(DataUnavailable, match="no such file"):
        file_hash(tmp_path / "gone")
