"""Sets too large for memory: mapped, equal to what fits into memory, whole or not at all."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tsynd.data import Dataset, load
from tsynd.data.dataset import fingerprint
from tsynd.data.medmnist import memory_map
from tsynd.errors import TsyndError
from tsynd.utils.progress import Step

Arrays = dict[str, np.ndarray]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; from 1000 bytes of images on a file is large, and it is unpacked 3 images at a time."""
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(memory_map, "LARGE", 1000)
    monkeypatch.setattr(memory_map, "BLOCK", 3 * 400)
    return tmp_path / "cache" / "unpacked"


def both(path: Path, monkeypatch: pytest.MonkeyPatch, size: int | None = None) -> tuple[Dataset, Dataset]:
    """The file mapped, and in memory."""
    mapped = load(path, size=size)
    with monkeypatch.context() as patch:
        patch.setattr(memory_map, "LARGE", 10**9)
        return mapped, load(path, size=size)


@pytest.mark.parametrize("rgb", [False, True])
@pytest.mark.parametrize("size", [None, 16])
def test_mapped_is_equal(
    cache: Path, tmp_path: Path, six: Arrays, monkeypatch: pytest.MonkeyPatch, rgb: bool, size: int | None
) -> None:
    if rgb:
        six = {name: np.stack([array, array // 2, 255 - array], -1) if "images" in name else array for name, array in six.items()}
    np.savez_compressed(tmp_path / "large.npz", allow_pickle=False, **six)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of arrays that cannot be written to
        mapped, plain = both(tmp_path / "large.npz", monkeypatch, size)
    assert fingerprint(mapped) == fingerprint(plain)
    assert (mapped.channels, mapped.size) == (plain.channels, plain.size)
    assert torch.equal(mapped.subset(2).train.images, plain.subset(2).train.images)
    assert len(list(cache.glob("[!.]*"))) == 1


def test_it_is_unpacked_once_and_a_write_stays_private(cache: Path, tmp_path: Path, six: Arrays) -> None:
    np.savez(tmp_path / "large.npz", allow_pickle=False, **six)
    said: list[Step] = []
    first = load(tmp_path / "large.npz", progress=said.append)
    total = sum(six[f"{split}_images"].nbytes for split in ("train", "val", "test"))
    assert said[0].done == 0
    assert said[-1].done == total
    assert said[0].text.startswith(f"unpacking {tmp_path / 'large.npz'} into {cache}, once (0.0 MB")
    expected = first.train.images.clone()
    first.train.images.zero_()
    again: list[Step] = []
    (tmp_path / "large.npz").rename(tmp_path / "renamed.npz")
    second = load(tmp_path / "renamed.npz", progress=again.append)
    assert again == []
    assert torch.equal(second.train.images, expected)
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "renamed.npz"}


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("val_images", np.zeros((4, 20, 20), np.float32), r"val_images must be 8-bit \(uint8, 0 to 255\), got float32"),
        ("test_images", np.zeros((6, 20, 21), np.uint8), "test_images must be square"),
        ("test_images", np.array([None] * 6), r"test_images must be 8-bit .*, got object"),
        ("val_labels", np.array([None] * 4), "Python objects"),
        ("train_images", np.asfortranarray(np.zeros((8, 20, 20), np.uint8)), "by columns"),
        ("val_labels", np.zeros((3, 1), np.uint8), "3 labels for 4 images"),
    ],
)
def test_bad_files_are_refused_and_leave_nothing(
    cache: Path, tmp_path: Path, six: Arrays, name: str, array: np.ndarray, message: str
) -> None:
    np.savez(tmp_path / "large.npz", allow_pickle=True, **six | {name: array})
    with pytest.raises(TsyndError, match=message):
        load(tmp_path / "large.npz")
    assert len(list(cache.glob("[!.]*"))) == (name == "val_labels" and array.dtype != object)


def test_a_damaged_file(cache: Path, tmp_path: Path, six: Arrays) -> None:
    six |= {name: np.tile(six[name], (20, 1, 1)[: six[name].ndim]) for name in ("train_images", "train_labels")}
    np.savez(tmp_path / "large.npz", allow_pickle=False, **six)
    content = bytearray((tmp_path / "large.npz").read_bytes())
    content[50_000:50_100] = bytes(100)  # far behind the head of an array, which is looked at first
    (tmp_path / "large.npz").write_bytes(content)
    with pytest.raises(TsyndError, match="truncated or damaged"):
        load(tmp_path / "large.npz")
    assert list(cache.glob("[!.]*")) == []


def test_what_a_killed_process_left_is_removed(cache: Path, tmp_path: Path, six: Arrays) -> None:
    np.savez(tmp_path / "large.npz", allow_pickle=False, **six)
    load(tmp_path / "large.npz")
    (folder,) = cache.glob("[!.]*")
    (folder / "val_images.npy").unlink()
    (cache / f".{folder.name}.unpacking-abc").mkdir()
    lock = cache / f".{folder.name}.lock"
    lock.touch()
    assert len(load(tmp_path / "large.npz").val) == 4
    assert [path.name for path in cache.glob("[!.]*")] == [folder.name]


def test_a_damaged_cache_and_one_that_cannot_be_written(
    cache: Path, tmp_path: Path, six: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "large.npz", allow_pickle=False, **six)
    load(tmp_path / "large.npz")
    (folder,) = cache.glob("[!.]*")
    (folder / "val_images.npy").write_bytes(b"nothing")
    with pytest.raises(TsyndError, match=r"is damaged .*: delete it, it will be made again"):
        load(tmp_path / "large.npz")
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "large.npz"))
    with pytest.raises(TsyndError, match=r"cannot be unpacked into .*; TSYND_CACHE can name another folder"):
        load(tmp_path / "large.npz")
