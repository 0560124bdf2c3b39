"""Files in MedMNIST layout: what is read, and what is refused with one line that says why."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tsynd.data.medmnist.npz import read_npz, resize
from tsynd.errors import DataUnavailable, TsyndError

Arrays = dict[str, np.ndarray]


def saved(path: Path, given: Arrays) -> Path:
    np.savez_compressed(path / "own.npz", allow_pickle=True, **given)
    return path / "own.npz"


def refused(path: Path) -> str:
    with pytest.raises(TsyndError) as caught:
        read_npz(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "own" in message
    return message


def test_grey_binary(tmp_path: Path, six: Arrays) -> None:
    made = read_npz(saved(tmp_path, six))
    assert (made.name, made.task, made.classes, made.channels, made.size) == ("own", "binary", ("0", "1"), 1, 20)
    assert torch.equal(made.val.images[:, 0], torch.from_numpy(six["val_images"]))
    assert made.val.labels.tolist() == six["val_labels"][:, 0].tolist()


def test_rgb_multi_class_with_flat_labels_and_another_array(tmp_path: Path, six: Arrays) -> None:
    for split in ("train", "val", "test"):
        six[f"{split}_images"] = np.stack([six[f"{split}_images"]] * 3, -1)
        six[f"{split}_labels"] = np.arange(len(six[f"{split}_labels"])) % 4
    made = read_npz(saved(tmp_path, {**six, "patients": np.arange(3)}))
    assert (made.task, len(made.classes), made.channels) == ("multi-class", 4, 3)


def test_multi_label(tmp_path: Path, six: Arrays) -> None:
    for split in ("train", "val", "test"):
        six[f"{split}_labels"] = np.eye(3, dtype=np.uint8)[np.arange(len(six[f"{split}_images"])) % 3]
    made = read_npz(saved(tmp_path, six))
    assert (made.task, made.classes, tuple(made.test.labels.shape)) == ("multi-label", ("0", "1", "2"), (6, 3))


def test_another_size_resizes(tmp_path: Path, six: Arrays) -> None:
    assert read_npz(saved(tmp_path, six), size=32).size == 32
    with pytest.raises(TsyndError, match="size must be at least 16 px, got 4"):
        read_npz(saved(tmp_path, six), size=4)


def test_resize_is_antialiased() -> None:
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 200
    small = resize(stripes, 16)[..., 2:-2].float()
    assert small.sub(100).abs().max() < 10
    assert resize(stripes, 64) is stripes


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="no such file"):
        read_npz(tmp_path / "none.npz")


def test_every_truncation_is_noticed(tmp_path: Path, six: Arrays) -> None:
    path = saved(tmp_path, six)
    whole = path.read_bytes()
    for length in (0, 1, 3, *range(4, len(whole) - 1, 97)):
        path.write_bytes(whole[:length])
        assert ("truncated or damaged" if length not in (1, 3) else "is no .npz") in refused(path)


def test_a_changed_byte_is_noticed(tmp_path: Path, six: Arrays) -> None:
    path = saved(tmp_path, six)
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)
    assert "truncated or damaged" in refused(path)


def test_a_pickle_is_never_opened(tmp_path: Path, six: Arrays) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(pickle.dumps([1, 2]))
    assert "is no .npz, or holds Python objects (a pickle)" in refused(path)
    path.write_text("not an npz")
    assert "is no .npz" in refused(path)
    six["train_images"] = np.array([None, "x"], dtype=object)
    assert "pickle" in refused(saved(tmp_path, six))


def test_a_single_array(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    (tmp_path / "own.npz").write_bytes(buffer.getvalue())
    assert "is a single array" in refused(tmp_path / "own.npz")


def test_missing_arrays_are_named(tmp_path: Path, six: Arrays) -> None:
    del six["val_images"], six["test_labels"]
    assert "lacks val_images, test_labels; it has train_images" in refused(saved(tmp_path, six))


@pytest.mark.parametrize(
    ("array", "value", "message"),
    [
        ("train_images", np.zeros((8, 20, 20), np.float32), "train_images must be 8-bit (uint8, 0 to 255), got float32"),
        ("train_images", np.full((8, 20, 20), np.nan), "got float64, with NaN"),
        ("val_images", np.zeros((4, 20, 20), np.uint16), "got uint16"),
        ("val_images", np.zeros((4, 400), np.uint8), "must be (N, H, W), grey, or (N, H, W, 3), RGB, got (4, 400)"),
        ("val_images", np.zeros((4, 20, 20, 4), np.uint8), "got (4, 20, 20, 4)"),
        ("val_images", np.zeros((0, 20, 20), np.uint8), "val_images is empty"),
        ("val_images", np.zeros((4, 20, 30), np.uint8), "must be square, got 20 x 30 px"),
        ("val_images", np.zeros((4, 0, 0), np.uint8), "must be square, got 0 x 0 px"),
        ("val_images", np.zeros((4, 32, 32), np.uint8), "val images are (1, 32, 32), train images (1, 20, 20)"),
        ("val_images", np.zeros((3, 20, 20), np.uint8), "val_labels has 4 labels for 3 images"),
        ("train_labels", np.zeros((8, 1)), "train_labels must be integers, got float64"),
        ("train_labels", np.full(8, np.nan), "got float64, with NaN"),
        ("train_labels", np.array(["a"] * 8), "must be integers, got <U1"),
        ("train_labels", np.zeros((8, 1, 1), np.uint8), "got (8, 1, 1)"),
        ("train_labels", np.array([0, -1] * 4), "must be at least 0, found -1"),
        ("train_labels", np.array([0, 3] * 4), "must be 0, 1, … without a gap, found 0, 3"),
        ("train_labels", np.array([0, 10**9] * 4), "without a gap, found 0, 1000000000"),
        ("train_labels", np.zeros(8, np.uint8), "needs at least 2 classes, got 1"),
        ("train_labels", np.array([[0, 2]] * 8), "must be 0 or 1 (multi-label), found 2"),
        ("train_labels", np.array([[0, 1]] * 8), "val labels must be int64 of shape (4, 2)"),
        ("test_labels", np.array([0, 1, 2] * 2), "test labels must lie between 0 and 1, found 2"),
    ],
)
def test_wrong_arrays(tmp_path: Path, six: Arrays, array: str, value: np.ndarray, message: str) -> None:
    assert message in refused(saved(tmp_path, {**six, array: value}))
