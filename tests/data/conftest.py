"""Small data made in the test: splits, files in MedMNIST layout, the folder of real files."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.data.servers import Server, running


@pytest.fixture
def six() -> dict[str, np.ndarray]:
    """The six arrays of a small grey, binary set of 20 px, with 8, 4 and 6 images."""
    random = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 8), ("val", 4), ("test", 6)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 20, 20), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count, dtype=np.uint8) % 2)[:, None]
    return arrays


@pytest.fixture
def real() -> Path:
    """The first folder in TSYND_DATA that holds the official files; the test is skipped without one."""
    for folder in os.environ.get("TSYND_DATA", "").split(os.pathsep):
        if folder and (Path(folder) / "breastmnist.npz").is_file():
            return Path(folder)
    pytest.skip("needs the official MedMNIST files: set TSYND_DATA to their folder")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine that behaves as its addresses say."""
    with running() as server:
        yield server
