"""Names in tables, and what lies in folders: nothing is opened that is no file, and no name ends in a traceback."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

import tsynd
from tests.bad.mutations import Files, no_longer_than
from tsynd.data.quality import check
from tsynd.errors import TsyndError

pytestmark = pytest.mark.deep

NAMES = (
    "../../x", "/etc/passwd", "C:\\x\\y.png", "..\\..\\x.png", "a\x00b.png", "x" * 300, "y/" * 3000, "~", "~root/x", ".", "..",
    "/", "cat", "\ud7ff", "con.png", "%2e%2e/x", "file:///etc/passwd", '"two\nlines"', "$HOME/x", "`id`", "-rf", "*",
)  # fmt: skip


@pytest.fixture
def folder(pictures: Files, tmp_path: Path) -> Path:
    for name, content in pictures.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_bytes(content)
    return tmp_path / "own"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_table(folder: Path, name: str) -> None:
    path = folder / "labels.csv"
    path.write_text(path.read_text() + f"{name},cat,p1,test\n", encoding="utf-8")
    with pytest.raises(TsyndError, match=r"line 26|line 27|passwd cannot be read as an image") as caught:
        tsynd.load(path)
    assert len(str(caught.value).splitlines()) == 1
    assert {each.name for each in folder.parent.iterdir()} == {"own"}


@pytest.mark.parametrize("label", [name for name in NAMES if "\x00" not in name and '"' not in name])
def test_a_class_may_have_any_name(folder: Path, label: str, own_cache: Path) -> None:
    path = folder / "labels.csv"
    path.write_text(path.read_text().replace(",cat,", f",{label},"), encoding="utf-8")
    assert label in tsynd.load(path, size=16).classes
    assert {each.name for each in folder.parent.iterdir()} == {"own"}
    assert not [each for each in own_cache.rglob("*") if each.is_file() and each.name not in ("images.npy", "notes.json")]


@pytest.mark.parametrize("first", ["x" * 200_000, "path,label," + "y" * 200_000, "", "path;label,", "path,label,path"])
def test_the_first_line_of_a_table(folder: Path, first: str) -> None:
    (folder / "labels.csv").write_text(f"{first}\ncat/01.jpeg,cat\n", encoding="utf-8")
    with pytest.raises(TsyndError, match=r"labels\.csv") as caught:
        tsynd.load(folder / "labels.csv")
    assert len(str(caught.value).splitlines()) == 1


def test_a_pipe_in_a_folder_is_not_waited_for(folder: Path) -> None:
    (folder / "labels.csv").unlink()
    os.mkfifo(folder / "cat" / "99.png")
    os.mkfifo(folder / "cat" / "99.txt")
    with no_longer_than(10):
        with pytest.raises(TsyndError, match=r"99.png cannot be read as an image \(it is a pipe"):
            tsynd.load(folder, size=16)
        assert any("99.png" in one.text for one in check(str(folder)).findings)
        assert len(tsynd.load(folder, size=16, skip_unreadable=True).classes) == 2


def test_a_damaged_cache_is_made_again(folder: Path, own_cache: Path) -> None:
    before = tsynd.load(folder, size=16).train.images.clone()
    other = io.BytesIO()
    np.save(other, np.zeros((24, 3, 16, 15), np.uint8))
    heads = (
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((",
        b"PK\x05\x06" + bytes(18),
        b"x" * 500,
        other.getvalue(),
    )
    for content in heads:
        (pixels,) = own_cache.rglob("images.npy")
        pixels.unlink()  # it may still be mapped
        pixels.write_bytes(content)
        assert (tsynd.load(folder, size=16).train.images == before).all()
    (notes,) = own_cache.rglob("notes.json")
    for text in ("", "[]", "[" * 100_000, '{"failures": 1}', '{"failures": {"x": "y"}}', '{"failures": {}, "size": 1}'):
        notes.write_text(text)
        assert (tsynd.load(folder, size=16).train.images == before).all()
