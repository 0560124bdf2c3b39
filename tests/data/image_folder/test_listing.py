"""Where images are found: nested folders, links in circles, litter, tables; and whole groups in one split."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tsynd.data import load
from tsynd.data.image_folder.listing import find_images
from tsynd.data.splits import divided
from tsynd.errors import TsyndError

SHARES = {"test": 0.2, "val": 0.1}


def picture(path: Path, value: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (20, 20), value).save(path)


def table(folder: Path, rows: str, header: str = "path,label,group,split", count: int = 12) -> Path:
    """Images 0.png, 1.png, … and a CSV about them."""
    for number in range(count):
        picture(folder / f"{number}.png", number)
    (folder / "table.csv").write_text(f"{header}\n{rows}\n", encoding="utf-8")
    return folder / "table.csv"


def test_folders_below_a_class_are_groups(tmp_path: Path) -> None:
    for number in range(12):
        for view in range(3):
            picture(tmp_path / "ab"[number % 2] / f"p{number}" / "deep" / f"{view}.png", number)
    listing = find_images(tmp_path)
    assert {item.group for item in listing.items} == {f"p{number}" for number in range(12)}
    data = load(tmp_path)
    values = [set(split.images[:, 0, 0, 0].tolist()) for split in (data.train, data.val, data.test)]
    assert set.union(*values) == set(range(12)) and sum(map(len, values)) == 12
    assert data.train.groups is not None and len(data.train.groups.unique()) == len(values[0])
    assert data.notes == ()


def test_links_in_circles_and_litter(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.PNG", "a/3.JPG", "b/1.png", "b/2.png", "b/3.png", ".hidden/c.png", "a/.x.png"):
        picture(tmp_path / name)
    for name in ("Thumbs.db", "a/.DS_Store", "b/desktop.ini", "b/notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "b" / "here").symlink_to(tmp_path / "b")
    listing = find_images(tmp_path)
    assert [item.name for item in listing.items] == ["a/1.png", "a/2.PNG", "a/3.JPG", "b/1.png", "b/2.png", "b/3.png"]
    assert [file.name for file in listing.others] == ["self", "notes.txt"]


def test_a_table(tmp_path: Path) -> None:
    rows = "\n".join(
        f"{number}.png,{number % 2},p{number // 4},{('train', 'Testing', 'valid')[number // 4]}" for number in range(12)
    )
    data = load(table(tmp_path / "mit Leer é", rows))
    assert (data.name, data.classes, data.task) == ("table", ("0", "1"), "binary")
    assert [split.images[:, 0, 0, 0].tolist() for split in (data.train, data.test)] == [[0, 2, 1, 3], [4, 6, 5, 7]]
    assert data.notes == ()


def test_a_table_of_a_spreadsheet(tmp_path: Path) -> None:
    rows = "\n".join(f"sub\\{number}.png;{10 - number % 3}" for number in range(9))
    for number in range(9):
        picture(tmp_path / "sub" / f"{number}.png")
    made = table(tmp_path, rows, header="\ufeffPath; Label")
    assert load(made).classes == ("8", "9", "10")  # as numbers
    assert "split by image, since there are no groups" in load(made).notes[0]


def test_groups_in_several_splits_are_told(tmp_path: Path) -> None:
    rows = "\n".join(f"{number}.png,{number % 2},p,{('train', 'val', 'test')[number // 4]}" for number in range(12))
    assert (
        load(table(tmp_path, rows)).notes[0] == "1 group(s) have images in several splits, such as 'p' in train and val and test"
    )


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ("9.png,a,,\n99.png,b,,", "path,label,group,split", "line 3: no such file"),
        (
            "1.png,a,,\n./1.png,a,,",
            "path,label,group,split",
            "line 3 names ./1.png again, which line 2 has: an image has one row",
        ),
        ("1.png,,,\n2.png,b,,", "path,label,group,split", "line 2 has no label"),
        ("1.png,a,,train\n2.png,b,,", "path,label,group,split", "line 3 has no split"),
        ("1.png,a,,holdout", "path,label,group,split", "names no image that is there: "),
        ("1.png,a,,train\n2.png,b,,dev", "path,label,group,split", "split must be train, val or test, got 'dev'"),
        ("1.png,a", "file,label", "must have the columns path and label, and may have group and split: it lacks path"),
        ("1.png,a,b", "path,label,label", "has the column label twice"),
        ("1.png,a\n2.png,a", "path,label", "must have at least two classes, found only 'a'"),
        ("", "", "it lacks path, its first line has nothing"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, rows: str, header: str, message: str) -> None:
    with pytest.raises(TsyndError) as caught:
        load(table(tmp_path, rows, header))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_groups_in_one_split_whatever_the_order() -> None:
    labels = [("a", "b", "c")[number % 3 if number < 60 else 0] for number in range(120)]
    groups = [f"p{number // 4}" for number in range(120)]
    names = [str(number) for number in range(120)]
    found = divided(labels, names, groups, SHARES)
    assert all(len({split for split, one in zip(found, groups, strict=True) if one == group}) == 1 for group in set(groups))
    for label in "abc":
        held = [split for split, one in zip(found, labels, strict=True) if one == label]
        assert 0.5 < held.count("train") / len(held) < 0.85 and {"val", "test"} <= set(held)
    back = divided(labels[::-1], names[::-1], groups[::-1], SHARES)
    assert back[::-1] == found


def test_too_few_groups() -> None:
    with pytest.raises(TsyndError, match=r"class 'b' has 2 group\(s\), too few for train and test and val"):
        divided(["a"] * 4 + ["b"] * 4, list("12345678"), ["p", "q", "r", "s", "t", "t", "u", "u"], SHARES)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user for whom a folder can be closed")
def test_a_closed_folder(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    (tmp_path / "a").chmod(0)
    with pytest.raises(OSError, match="ermission"):
        find_images(tmp_path)
