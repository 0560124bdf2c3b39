"""What arrays may not mean is said by whoever loads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsynd import load
from tsynd.data import from_arrays
from tsynd.data.quality import check
from tsynd.errors import TsyndError

RANDOM = np.random.default_rng(0)


def split(count: int, *groups: Any, dark: bool = False) -> Any:
    images = RANDOM.integers(0, 2 if dark else 256, (count, 28, 28), dtype=np.uint8)
    return images, np.arange(count) % 2, *groups


def test_copies_dark_images_and_groups_in_arrays() -> None:
    assert not from_arrays(split(20), split(10), split(12)).notes
    test = split(12)
    notes = from_arrays(split(20), test, test).notes
    assert notes == ("12 image(s) of test are in val too, pixel for pixel: a leak; tsynd data check names them",)
    dark = from_arrays(*(split(count, dark=True) for count in (20, 10, 12))).notes
    assert dark == ("no image is brighter than 1 of 255: were they in [0, 1] before they became whole numbers?",)
    patients = [split(12, np.arange(12) + start) for start in (0, 12, 20)]
    assert from_arrays(*patients).notes == ("4 group(s) have images in val and in test, such as 20",)
    hot = [(images, np.eye(2, dtype=int)[labels]) for images, labels in (split(20), split(10), split(12))]
    assert from_arrays(*hot).notes[0].startswith("every image has exactly one of several labels")


@pytest.mark.parametrize("place", [1, 2])
def test_texts_as_labels_and_groups(place: int) -> None:
    given = list(split(20, np.arange(20)))
    given[place] = np.array(["a", "b"] * 10)
    with pytest.raises(TsyndError, match=r"train (labels|groups) must be whole numbers, got texts: number them first"):
        from_arrays(tuple(given), split(10), split(12))


def test_arrays_of_a_file_that_are_not_read(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"patients": np.arange(20)}
    for name, count in (("train", 20), ("val", 10), ("test", 12)):
        arrays[f"{name}_images"], arrays[f"{name}_labels"] = split(count, dark=True)
    np.savez(tmp_path / "d.npz", **arrays)
    notes = load(tmp_path / "d.npz").notes
    assert notes[0].startswith("d.npz has also patients, not read") and "no image is brighter than 1" in notes[1]
    found = check(str(tmp_path / "d.npz"))
    assert [each.kind for each in found.findings if each.kind == "dark"] == ["dark"] and found.notes == [notes[0]]
