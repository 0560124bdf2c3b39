"""Decoding many images: the cache holds what one would read, notices changes, and is never beside the images."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tsynd.data import load
from tsynd.data.image_folder import decode_cache
from tsynd.data.image_folder.decode_cache import decode
from tsynd.data.image_folder.image_file import fit, read_picture
from tsynd.errors import TsyndError


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """300 grey images, more than are decoded at a time, in two classes."""
    random = np.random.default_rng(0)
    made = []
    for number in range(300):
        made.append(tmp_path / "data" / "ab"[number % 2] / f"{number:03}.png")
        made[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 24), dtype=np.uint8)).save(made[-1])
    return made


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from now on."""
    read: list[Path] = []

    def counting(file: Path, size: int | None = None) -> object:
        read.append(file)
        return read_picture(file, size)

    monkeypatch.setattr(decode_cache, "read_picture", counting)
    return read


def test_as_one_by_one_and_only_once(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = np.stack([fit(read_picture(file), 16) for file in files])
    read = counted(monkeypatch)
    told: list[tuple[int, int]] = []
    first = decode(files, 16, lambda step: told.append((step.done, step.total)))
    assert (first.images == wanted).all() and first.oblong == 300
    assert told == [(0, 300), (256, 300), (300, 300)]
    assert len(read) == 300
    again = decode(files, 16)
    assert (again.images == wanted).all() and again.oblong == 300 and len(read) == 300
    again.images[0] = 0  # stays in memory
    assert (decode(files, 16).images == wanted).all()
    assert decode(files, 20).images.shape == (300, 1, 20, 20) and len(read) == 600


def test_a_changed_file_is_read_again(files: list[Path], own_cache: Path) -> None:
    decode(files, 16)
    facts = files[3].stat()
    Image.new("L", (20, 24), 77).save(files[3])
    os.utime(files[3], ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert (decode(files, 16).images[3] == 77).all()
    assert len(list(own_cache.glob("images/*/*/*"))) == 1  # the former state is gone
    files[3].unlink()
    assert 3 in decode(files, 16).failures


def test_another_list_of_the_same_files_decodes_nothing(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (20, 24), (1, 2, 3)).save(files[3])
    whole = decode(files, 16).images.copy()
    read = counted(monkeypatch)
    some = decode(files[::-3], 16)
    assert (some.images == whole[::-3, :1]).all() and some.images.shape[1] == 1 and some.oblong == 100
    assert (decode(files[:4], 16).images == whole[:4]).all() and not read
    os.utime(files[5])
    decode(files[:8], 16)
    assert read == [files[5]]
    decode(files[:8], 16, crop=True)
    assert len(read) == 9


def test_what_could_not_be_read_is_tried_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def without_decoder(file: Path, size: int | None = None) -> object:
        if file == files[2]:
            raise TsyndError("its decoder is not installed")
        return read_picture(file, size)

    monkeypatch.setattr(decode_cache, "read_picture", without_decoder)
    assert list(decode(files[:5], 16).failures) == [2]
    read = counted(monkeypatch)
    assert not decode(files[:5], 16).failures and read == [files[2]]


def test_colour_that_comes_late(files: list[Path]) -> None:
    grey = decode(files, 16).images.copy()
    Image.new("RGB", (20, 24), (1, 2, 3)).save(files[270])
    mixed = decode(files, 16).images
    assert mixed.shape == (300, 3, 16, 16) and mixed[270, :, 0, 0].tolist() == [1, 2, 3]
    others = np.arange(300) != 270
    assert (mixed[others] == grey[others]).all()


def test_a_cache_that_cannot_be_written_or_is_damaged(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    wanted = decode(files, 16).images.copy()
    (notes,) = own_cache.glob("images/*/*/*/notes.json")
    notes.write_text("{")
    assert (decode(files, 16).images == wanted).all()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "file"))
    assert (decode(files, 16).images == wanted).all()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve room on a disk")
def test_a_disk_that_is_full_costs_the_cache_and_not_the_process(
    files: list[Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = decode(files, 16).images.copy()
    shutil.rmtree(own_cache)

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    found = decode(files, 16).images
    assert np.array_equal(found, expected) and not isinstance(found, np.memmap)
    assert not [file for file in own_cache.rglob("*") if file.is_file()]


def test_unreadable_images_are_skipped_only_on_demand(files: list[Path], tmp_path: Path) -> None:
    whole = load(tmp_path / "data", 16)
    for number in (0, 5, 6, 9):
        files[number].write_bytes(b"")
    with pytest.raises(TsyndError, match=r"cannot be read as an image.*; and 3 more unreadable image\(s\): tsynd data check"):
        load(tmp_path / "data", 16)
    some = load(tmp_path / "data", 16, skip_unreadable=True)
    lost = len(whole.train) + len(whole.val) + len(whole.test) - len(some.train) - len(some.val) - len(some.test)
    assert lost == 4
    assert any(note.startswith("4 image(s) left out, since they cannot be read: ") for note in some.notes)
    # No image has changed its split, and each still has its label.
    for split in ("train", "val", "test"):
        before, after = getattr(whole, split), getattr(some, split)
        known = {image.numpy().tobytes(): int(label) for image, label in zip(before.images, before.labels, strict=True)}
        found = zip(after.images, after.labels, strict=True)
        assert all(known[image.numpy().tobytes()] == int(label) for image, label in found)


def test_nothing_is_written_where_the_images_are(files: list[Path], tmp_path: Path) -> None:
    before = [(path, path.stat().st_mtime_ns) for path in sorted((tmp_path / "data").rglob("*"))]
    for folder in ("a", "b", "."):
        (tmp_path / "data" / folder).chmod(0o555)
    load(tmp_path / "data", 16)
    assert [(path, path.stat().st_mtime_ns) for path in sorted((tmp_path / "data").rglob("*"))] == before
    for folder in (".", "a", "b"):
        (tmp_path / "data" / folder).chmod(0o755)


def test_a_copy_in_two_splits_is_told(files: list[Path], tmp_path: Path) -> None:
    for position, split in enumerate(("train", "test", "val")):
        for number in range(2):
            path = tmp_path / "split" / split / "ab"[number] / f"{position}.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(files[number if split != "val" else number + 2].read_bytes())
    notes = load(tmp_path / "split", 16).notes
    assert notes[-1] == "2 image(s) of test are in train too, pixel for pixel: a leak; tsynd data check names them"


def test_dark_images_of_sixteen_bits_are_told(tmp_path: Path) -> None:
    for number in range(6):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 20), 4095, dtype=np.uint16)).save(path)
    assert "6 image(s) of 16 bits reach 6.2% of the range at most, and come out dark" in " ".join(load(tmp_path).notes)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_large_jpeg_is_decoded_at_reduced_scale_to_nearly_the_same_pixels(tmp_path: Path, mode: str) -> None:
    waves = 127 + 100 * np.sin(np.arange(600)[:, None] / 40) * np.cos(np.arange(800) / 30)
    Image.fromarray(waves.astype(np.uint8)).convert(mode).save(tmp_path / "a.jpg", quality=95)
    whole, part = read_picture(tmp_path / "a.jpg"), read_picture(tmp_path / "a.jpg", 28)
    assert whole.pixels.shape[:2] == (600, 800)
    assert 56 <= min(part.pixels.shape[:2]) <= 150
    assert np.abs(fit(whole, 28).astype(int) - fit(part, 28)).max() <= 4
    Image.fromarray(waves.astype(np.uint8)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", 28).pixels.shape == (600, 800)
