"""What strangers' folders and tables do to a reader: each right value, and each line that says what may not be meant."""

import csv
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tsynd
from tsynd.data.image_folder.image_file import read_picture
from tsynd.data.image_folder.listing import find_images
from tsynd.data.image_folder.reading import assign_splits
from tsynd.data.labels import class_key, same_classes
from tsynd.data.quality import check
from tsynd.errors import TsyndError
from tsynd.runs.prediction import _from_data, _from_files

RANDOM = np.random.default_rng(0)


def image(file: Path, grey: int | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 255, (20, 20)) if grey is None else np.full((20, 20), grey) + RANDOM.integers(0, 8, (20, 20))
    Image.fromarray(pixels.astype(np.uint8)).save(file)


def folder(root: Path, names: list[str], count: int = 12) -> Path:
    for name in names:
        for number in range(count):
            image(root / name / f"{number:02d}.png")
    return root


def table(root: Path, rows: list[list[str]], head: str = "path,label") -> Path:
    with (root / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head.split(","), *rows])
    return root / "t.csv"


def total(data: tsynd.data.Dataset) -> int:
    return len(data.train) + len(data.val) + len(data.test)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path_factory.mktemp("cache")))


SPELLINGS: dict[str, Callable[[Path, str], str]] = {
    "plain": lambda root, name: name,
    "dot": lambda root, name: f"./{name}",
    "up and down": lambda root, name: f"img/../{name}",
    "two strokes": lambda root, name: name.replace("/", "//"),
    "Windows": lambda root, name: name.replace("/", "\\"),
    "absolute": lambda root, name: str(root / name),
    "accents apart": lambda root, name: unicodedata.normalize("NFD", name),
}


def test_splits_do_not_depend_on_how_a_path_is_spelled(tmp_path: Path) -> None:
    names = [f"img/p{number % 8}/ü{number}.png" for number in range(40)]
    for name in names:
        image(tmp_path / name)
    found = {}
    for kind, spelled in SPELLINGS.items():
        if kind == "accents apart" and not (tmp_path / spelled(tmp_path, names[0])).exists():
            continue  # a file system that tells both forms apart
        rows = [[spelled(tmp_path, name), "ab"[number % 2]] for number, name in enumerate(names)]
        found[kind] = assign_splits(find_images(table(tmp_path, rows)))
    (tmp_path / "elsewhere").symlink_to(tmp_path, target_is_directory=True)
    table(tmp_path, [[str(tmp_path / "elsewhere" / name), "ab"[number % 2]] for number, name in enumerate(names)])
    found["by a link"] = assign_splits(find_images(tmp_path / "t.csv"))
    found["a table by a link"] = assign_splits(find_images(tmp_path / "elsewhere" / "t.csv"))
    assert all(splits == found["plain"] for splits in found.values()), found.keys()
    assert {split: found["plain"].count(split) for split in ("train", "val", "test")} == {"train": 28, "val": 4, "test": 8}


@pytest.mark.parametrize("views", [["left", "right"], ["image"]])
def test_images_of_one_base_name_are_not_one_image(tmp_path: Path, views: list[str]) -> None:
    rows = []
    for patient in range(40):
        for view in views:
            image(tmp_path / f"p{patient:02d}/{view}.png")
            rows.append([f"p{patient:02d}/{view}.png", "ab"[patient % 2], "train" if patient < 30 else "test"])
    data = tsynd.load(table(tmp_path, rows, "path,label,split"))
    assert len(data.val) == 2 * round(1.5 * len(views)) and len(data.train) == 30 * len(views) - len(data.val)


def test_a_row_for_a_file_that_another_row_names_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(24):
        image(tmp_path / f"{number}.png")
    rows = [[f"{number}.png", "ab"[number % 2]] for number in range(24)]
    table(tmp_path, [*rows, [str(tmp_path / "3.png"), "a"]])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TsyndError, match=r"line 26 names .*3\.png again, which line 5 has"):
        tsynd.load("t.csv")


def test_files_that_swap_their_names_swap_their_pixels(tmp_path: Path) -> None:
    for number in range(12):
        for grey, name in ((20, "a"), (200, "b")):
            file = tmp_path / name / f"{number:02d}.bmp"
            image(file, grey)
            os.utime(file, (1_600_000_000, 1_600_000_000))
    tsynd.load(tmp_path)
    one, other, spare = tmp_path / "a/03.bmp", tmp_path / "b/03.bmp", tmp_path / "x"
    one.rename(spare), other.rename(one), spare.rename(other)
    bright = 0
    for split in ("train", "val", "test"):
        part = getattr(tsynd.load(tmp_path), split)
        bright += int((part.images.float().mean((1, 2, 3)) > 100).logical_and(part.labels == 0).sum())
    assert bright == 1
    content, times = (tmp_path / "b/05.bmp").read_bytes(), (tmp_path / "a/05.bmp").stat()
    (tmp_path / "a/05.bmp").write_bytes(content)  # replaced in place, its time of change set back
    os.utime(tmp_path / "a/05.bmp", ns=(times.st_atime_ns, times.st_mtime_ns))
    parts = [getattr(tsynd.load(tmp_path), split) for split in ("train", "val", "test")]
    assert sum(int((part.images.float().mean((1, 2, 3)) > 100).logical_and(part.labels == 0).sum()) for part in parts) == 2


def test_classes_are_numbers_where_all_are(tmp_path: Path) -> None:
    assert tsynd.load(folder(tmp_path / "whole", [str(number) for number in range(12)])).classes[-3:] == ("9", "10", "11")
    rows = [[f"{number % 12}.0", number] for number in range(144)]
    for number in range(144):
        image(tmp_path / "t" / f"{number}.png")
    data = tsynd.load(table(tmp_path / "t", [[f"{number}.png", str(label)] for label, number in rows]))
    assert data.classes[-3:] == ("9.0", "10.0", "11.0")
    assert same_classes(data.classes, [str(number) for number in range(12)]) == list(range(12))


def test_one_rule_for_what_names_a_class() -> None:
    for one, other in (("1", "01"), ("1", "1.0"), ("a", "\u200ba "), ("ö", "o\u0308"), ("a b", "a\u00a0 b"), ("-0", "0.")):
        assert class_key(one) == class_key(other), (one, other)
    for one, other in (("1", "1.5"), ("a", "A"), ("a b", "ab"), ("1", "1a"), ("²", "2")):
        assert class_key(one) != class_key(other), (one, other)


def test_a_locale_without_accents_reads_the_same_names() -> None:
    code = "from tsynd.data.labels import composed; print(ascii(composed('k\\xe4') + composed('\\udcc3\\udca4')))"
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}
    found = subprocess.run([sys.executable, "-c", code], env={**os.environ, **bare}, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == r"'k\xe4\xe4'"


LABELS: dict[str, tuple[list[str], tuple[str, ...], str]] = {
    "case": (
        ["Benign", "benign", "malignant"],
        ("Benign", "benign", "malignant"),
        "'Benign' and 'benign' .* of their own",
    ),
    "invisible": (["a", "b", "\u200bb"], ("a", "b"), r"'b' and '\\u200bb' differ .* taken for one class"),
    "numbers": (["0", "1", "1.0", "01"], ("0", "1"), "'01' and '1' and '1.0' differ .* taken for one class"),
    "missing": (
        ["benign", "malignant", "nan"],
        ("benign", "malignant", "nan"),
        r"'nan' of 12 .* looks like a missing",
    ),
    "separators": (["left_eye", "left eye", "right"], ("left eye", "left_eye", "right"), "differ .* of their own"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_are_alike_or_missing(tmp_path: Path, kind: str) -> None:
    labels, classes, words = LABELS[kind]
    rows = [[f"{number}.png", label] for number, label in enumerate(labels * 12)]
    for name, _ in rows:
        image(tmp_path / name)
    data = tsynd.load(table(tmp_path, rows))
    assert data.classes == classes
    _said(words, data, tmp_path / "t.csv")


def _said(words: str, data: tsynd.data.Dataset, path: Path) -> None:
    """A note of `load`, which `run` prints, and a finding of `check`."""
    import re

    assert [note for note in data.notes if re.search(words, note)], data.notes
    assert [one for one in check(str(path)).findings if re.search(words, one.text)]


def test_files_with_other_endings_are_said_to_be_passed_over(tmp_path: Path) -> None:
    folder(tmp_path, ["a", "b"])
    for number in range(6):
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a" / f"{number}.ppm")
        (tmp_path / "b" / f"{number}.mha").write_bytes(b"x")
    (tmp_path / "readme.txt").write_text("a text beside the images is none of them")
    data = tsynd.load(tmp_path)
    assert total(data) == 24
    _said(r"12 file\(s\) passed over, since their ending is not read: \.(ppm|mha) \(6\), \.(ppm|mha) \(6\)", data, tmp_path)


def test_images_without_a_class_are_said_to_be_passed_over(tmp_path: Path) -> None:
    folder(tmp_path, ["train/a", "train/b", "test/a", "test/b"])
    image(tmp_path / "train" / "loose.png")
    _said(r"1 image\(s\) beside the folders .* passed over, such as train/loose.png", tsynd.load(tmp_path), tmp_path)


def test_predict_says_what_it_passes_over(tmp_path: Path) -> None:
    folder(tmp_path, ["a", "b"], count=1)
    (tmp_path / "a" / "x.mha").write_bytes(b"x")
    image(tmp_path / "a" / "@eaDir" / "00.png")
    said: list[str] = []
    assert (
        len(
            [
                row
                for rows, _ in _from_files(tmp_path, trained(("a", "b")), 64, lambda step: said.append(step.text))
                for row in rows
            ]
        )
        == 2
    )
    assert [text.partition(" passed over")[0] for text in said] == [
        "1 file(s)",
        "1 folder(s) of a network drive, such as '@eaDir',",
    ]


def test_thumbnails_of_a_network_drive_are_neither_images_nor_patients(tmp_path: Path) -> None:
    folder(tmp_path, ["a", "b"])
    for name in "ab":
        image(tmp_path / name / "@eaDir" / "00.png" / "SYNOPHOTO_THUMB_M.jpg")
        image(tmp_path / name / "#recycle" / "00.png")
    data = tsynd.load(tmp_path)
    assert total(data) == 24 and data.train.groups is None
    _said(r"4 folder\(s\) of a network drive, such as '#recycle', passed over", data, tmp_path)


@pytest.mark.parametrize("name", ["00_mask.png", "00_mask_1.png", "mask/00.png", "00-seg.png", "thumbnails/00.png"])
def test_masks_among_the_images(tmp_path: Path, name: str) -> None:
    folder(tmp_path, ["a", "b"])
    image(tmp_path / "a" / name)
    _said(r"1 image\(s\) are called as masks or thumbnails of others, such as a/", tsynd.load(tmp_path), tmp_path)


def test_folders_and_files_that_the_user_ignores(tmp_path: Path) -> None:
    folder(tmp_path, ["cat", "dog", "dog/masks", "thumbnails"])
    image(tmp_path / "cat" / "00_seg.png")
    data = tsynd.load(tmp_path, ignore=["masks", "thumb*", "*_seg.png"])
    assert data.classes == ("cat", "dog") and total(data) == 24
    assert len(check(str(tmp_path), ignore=["masks", "thumb*", "*_seg.png"]).counts["train"]) == 2
    assert total(tsynd.load(tmp_path, ignore="masks")) == 24 + 1 + 12
    with pytest.raises(TsyndError, match=r"ignore 'mask' names nothing below"):
        tsynd.load(tmp_path, ignore=["mask"])
    with pytest.raises(TsyndError, match=r"crop and ignore are for folders and CSVs of images, and 'phantom' is none"):
        tsynd.load("phantom", ignore=["masks"])
    rows = [[f"cat/{number:02d}.png", "ab"[number % 2]] for number in range(12)]
    with pytest.raises(TsyndError, match=r"ignore 'masks' is for folders"):
        tsynd.load(table(tmp_path, rows), ignore=["masks"])


def test_cropped_images_are_others_and_both_are_cached(tmp_path: Path) -> None:
    for name, grey in (("a", 30), ("b", 90)):
        for number in range(12):
            file = tmp_path / name / f"{number:02d}.png"
            file.parent.mkdir(exist_ok=True)
            pixels = np.full((20, 60), grey + number, np.uint8)
            pixels[:, 20:40] = 200
            Image.fromarray(pixels).save(file)
    for _ in range(2):
        padded, cropped = tsynd.load(tmp_path), tsynd.load(tmp_path, crop=True)
        assert int(cropped.train.images.min()) > 150 and int(padded.train.images.min()) < 110
    assert "24 image(s) are not square: resized in proportion, and cut" in " ".join(cropped.notes)
    assert "padded by repeating the edge, up to 67% of an image; tsynd run --crop" in " ".join(check(str(tmp_path)).notes)


@pytest.mark.parametrize("column", ["patient_id", "PatientID", "subject", "Case", "participant id", "MRN"])
def test_a_column_of_patients_that_is_not_used(tmp_path: Path, column: str) -> None:
    rows = [[f"{number}.png", "ab"[number % 2], f"p{number // 2}"] for number in range(24)]
    for name, *_ in rows:
        image(tmp_path / name)
    path = table(tmp_path, rows, f"path,label,{column}")
    _said(f"column '{column.lower()}' is not used: call it group", tsynd.load(path), path)
    table(tmp_path, [[*row, f"g{number}"] for number, row in enumerate(rows)], f"path,label,{column},group")
    assert not [note for note in tsynd.load(path).notes if "call it group" in note]


def test_one_hot_labels_are_said_to_be_several(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        arrays |= {f"{split}_images": RANDOM.integers(0, 255, (12, 20, 20), dtype=np.uint8)}
        arrays |= {f"{split}_labels": np.eye(3, dtype=np.uint8)[np.arange(12) % 3]}
    np.savez(tmp_path / "hot.npz", **arrays)
    data = tsynd.load(tmp_path / "hot.npz")
    assert data.task == "multi-label"
    _said("every image has exactly one of several labels", data, tmp_path / "hot.npz")


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    image(tmp_path / "x.png")
    pixels = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").unlink()
    try:
        for name in (b"cat", b"\xe4"):
            os.mkdir(root + b"/" + name)
            for number in range(12):
                with open(root + b"/" + name + b"/\x9a%02d.png" % number, "wb") as file:
                    file.write(pixels)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    data = tsynd.load(tmp_path)
    assert data.classes == ("\\xe4", "cat") and total(data) == 24
    assert check(str(tmp_path)).counts["train"]["cat"] >= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_a_tiff_is_turned_however_it_is_packed(tmp_path: Path, orientation: int, compression: str | None, mode: str) -> None:
    grey = np.zeros((20, 30), np.uint8)
    grey[:5, :8], grey[:2, :] = 200, 90
    pixels: Any = {"L": grey, "RGB": np.stack([grey, grey // 2, grey], -1), "I;16": grey.astype(np.uint16) * 256}[mode]
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, 2).swapaxes(0, 1),
        8: np.rot90(pixels),
    }[orientation]
    Image.fromarray(pixels).save(tmp_path / "x.tif", compression=compression, tiffinfo={274: orientation})
    assert np.array_equal(read_picture(tmp_path / "x.tif").pixels, turned)


def trained(classes: tuple[str, ...], size: int = 20) -> Any:
    """What of a run the readers of new images look at."""
    return SimpleNamespace(config={}, data=SimpleNamespace(classes=classes, size=size, channels=1, multi_label=False))


def labels_of(root: Path, classes: tuple[str, ...]) -> dict[str, int | None]:
    rows = [row for some, _ in _from_files(root, trained(classes), 64, print) for row in some]
    return {str(name): None if label is None else int(label) for name, _, _, label in rows}


def test_predict_takes_the_class_folder_that_load_takes(tmp_path: Path) -> None:
    for name in ("0/0/a.png", "0/1/b.png", "1/0/c.png", "1/1/d.png"):
        image(tmp_path / "nested" / name)
    assert labels_of(tmp_path / "nested", ("0", "1")) == {"0/0/a.png": 0, "0/1/b.png": 0, "1/0/c.png": 1, "1/1/d.png": 1}
    for name in ("train/a/b/1.png", "test/b/a/2.png", "test/other/a/3.png"):
        image(tmp_path / "split" / name)
    found = labels_of(tmp_path / "split", ("a", "b"))
    assert found == {"train/a/b/1.png": 0, "test/b/a/2.png": 1, "test/other/a/3.png": None}
    for name in ("download/a/1.png", "download/b/2.png", "loose.png"):
        image(tmp_path / "deeper" / name)
    assert labels_of(tmp_path / "deeper", ("a", "b")) == {"download/a/1.png": 0, "download/b/2.png": 1, "loose.png": None}


def test_predict_knows_a_class_however_it_is_written(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "bösartig")
    for name in (f"{apart}/1.png", "gutartig/2.png"):
        image(tmp_path / "accents" / name)
    assert list(labels_of(tmp_path / "accents", ("bösartig", "gutartig")).values()) == [0, 1]
    for name in ("01/1.png", "1.0/2.png", "2/3.png"):
        image(tmp_path / "numbers" / name)
    assert labels_of(tmp_path / "numbers", ("1", "2")) == {"01/1.png": 0, "1.0/2.png": 0, "2/3.png": 1}


@pytest.mark.parametrize("classes", [("0.0", "1.0", "2.0"), ("0", "1", "2"), ("a", "b", "c")])
def test_labels_of_a_file_are_the_run_s_numbers(tmp_path: Path, classes: tuple[str, ...]) -> None:
    arrays: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        arrays |= {f"{split}_images": RANDOM.integers(0, 255, (6, 20, 20), dtype=np.uint8)}
        arrays |= {f"{split}_labels": np.arange(6) % 3}
    np.savez(tmp_path / "x.npz", **arrays)
    rows = [row for some, _ in _from_data(tsynd.load(str(tmp_path / "x.npz")), trained(classes), 64) for row in some]
    assert [-1 if label is None else int(label) for *_, label in rows] == [0, 1, 2, 0, 1, 2] * 3
