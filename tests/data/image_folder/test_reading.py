"""Images of your own, in folders: what is read, how it is split, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tsynd.data import load
from tsynd.errors import TsyndError


def grey(path: Path, value: int = 100, size: tuple[int, int] = (20, 20), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


def fill(root: Path, counts: dict[str, int], ending: str = "png") -> Path:
    for name, count in counts.items():
        for number in range(count):
            grey(root / name / f"{number:03}.{ending}", value=number)
    return root


def refused(root: Path) -> str:
    with pytest.raises(TsyndError) as caught:
        load(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_split_by_name(tmp_path: Path) -> None:
    made = load(fill(tmp_path / "my images é", {"b": 20, "a": 10, "c": 10}), size=16)
    assert (made.name, made.classes, made.task) == ("my images é", ("a", "b", "c"), "multi-class")
    assert (made.channels, made.size) == (1, 16)
    assert [split.labels.bincount().tolist() for split in (made.train, made.val, made.test)] == [[7, 14, 7], [1, 2, 1], [2, 4, 2]]
    # Which ones: a hash of the names decides, so this is the same everywhere.
    assert made.test.images[:, 0, 0, 0].tolist() == [0, 7, 0, 8, 16, 19, 3, 8]
    values = torch.cat([split.images[split.labels == 1][:, 0, 0, 0] for split in (made.train, made.val, made.test)])
    assert sorted(values.tolist()) == list(range(20))


def test_size_is_28_without_one(tmp_path: Path) -> None:
    assert load(fill(tmp_path, {"a": 3, "b": 3})).size == 28


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    for split, count in (("train", 4), (val, 2), ("test", 3)):
        fill(tmp_path / split, {"no": count, "yes": count})
    made = load(tmp_path)
    assert [len(split) for split in (made.train, made.val, made.test)] == [8, 4, 6]
    assert (made.classes, made.task) == (("no", "yes"), "binary")


def test_val_is_taken_from_train(tmp_path: Path) -> None:
    for split in ("train", "test"):
        fill(tmp_path / split, {"no": 20, "yes": 30})
    made = load(tmp_path)
    assert [split.labels.bincount().tolist() for split in (made.train, made.val, made.test)] == [[18, 27], [2, 3], [20, 30]]


def test_padded_not_distorted(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    ramp = np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[:, None], 20, axis=1)
    for number in range(3):
        Image.fromarray(ramp).save(tmp_path / "a" / f"{number:03}.png")
    images = load(tmp_path, size=40).train.images[0, 0]
    assert (images == torch.from_numpy(ramp[:, :1]).expand(40, 40)).all()


def test_one_colour_image_makes_all_rgb(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    Image.new("RGB", (20, 20), (9, 9, 9)).save(tmp_path / "a" / "002.png")
    Image.new("1", (20, 20)).save(tmp_path / "b" / "002.png")
    assert load(tmp_path).channels == 1
    grey(tmp_path / "a" / "colour.jpg", 200, mode="RGB")
    assert load(tmp_path).channels == 3


def test_what_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3, ".git": 1, "__MACOSX": 1})
    for name in (".hidden.png", "notes.txt"):
        (tmp_path / "a" / name).write_text("not an image")
    assert len(load(tmp_path).train) == 2


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "jfif", "webp", "bmp", "tif", "tiff"])
def test_endings(tmp_path: Path, ending: str) -> None:
    assert len(load(fill(tmp_path, {"a": 3, "b": 3}, ending)).train) == 2


def test_nothing_is_written(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    before = sorted(tmp_path.rglob("*"))
    load(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def animated(path: Path) -> None:
    frames = [Image.new("L", (20, 20), value) for value in (0, 255)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(path.with_suffix(".jpg"))
    path.write_bytes(path.with_suffix(".jpg").read_bytes()[:1500])
    path.with_suffix(".jpg").unlink()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("not an image"), "cannot be read as an image (cannot identify image file)"),
        (lambda path: path.write_bytes(b""), "cannot be read as an image"),
        (truncated, "cannot be read as an image (image file is truncated"),
        (lambda path: Image.new("RGBA", (20, 20)).save(path), "has transparent parts"),
        (lambda path: Image.new("L", (1, 1)).save(path), "is 1 x 1 px: an image must have at least 8 px each way"),
        (animated, "has 2 frames"),
    ],
)
def test_images_that_are_refused_by_name(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    make(tmp_path / "a" / "001.png")
    assert message in refused(tmp_path)
    assert "001.png" in refused(tmp_path)


def test_cmyk(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    Image.new("CMYK", (20, 20)).save(tmp_path / "a" / "print.jpg")
    assert "print.jpg must be grey (8 or 16 bits), RGB or with a palette, got mode CMYK" in refused(tmp_path)


@pytest.mark.parametrize("limit", [250, 100])
def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert f"claims to have more than {limit} pixels" in refused(fill(tmp_path, {"a": 3, "b": 3}))


def test_folders_that_are_refused(tmp_path: Path) -> None:
    assert "must have a folder of images for each class, at least two, found no images" in refused(tmp_path)
    grey(tmp_path / "loose.png")
    assert "found images without a class" in refused(tmp_path)
    fill(tmp_path, {"a": 3})
    assert "must have at least two classes, found only 'a'" in refused(tmp_path)
    (tmp_path / "b").mkdir()
    assert "has no images (files that end in .png" in refused(tmp_path)
    fill(tmp_path, {"b": 2})
    assert "class 'b' has 2 image(s), too few for train and test and val" in refused(tmp_path)
    fill(tmp_path, {"b/test": 1})
    assert "b has the split 'test' in it: splits come first, as in test/b" in refused(tmp_path)


def test_the_folder_inside_is_meant(tmp_path: Path) -> None:
    fill(tmp_path / "data", {"a": 3, "b": 3})
    assert f"is it {tmp_path / 'data'} that you mean?" in refused(tmp_path)


def test_split_folders_that_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"no": 3, "yes": 3})
    assert "has train but no test images" in refused(tmp_path)
    fill(tmp_path / "test", {"no": 3, "maybe": 3})
    assert "train has no image of class 'maybe'; and 1 more problem(s): tsynd data check" in refused(tmp_path)
    fill(tmp_path, {"more": 1})
    assert "has split folders (test, train) beside others (more): use one kind" in refused(tmp_path)
    with pytest.raises(TsyndError, match="size must be at least 16 px, got 8"):
        load(tmp_path, size=8)
