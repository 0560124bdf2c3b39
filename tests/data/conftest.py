"""Small data made in the test."""

import numpy as np
import pytest


@pytest.fixture
def six() -> dict[str, np.ndarray]:
    """The six arrays of a small grey, binary set of 20 px, with 8, 4 and 6 images."""
    random = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 8), ("val", 4), ("test", 6)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 20, 20), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count, dtype=np.uint8) % 2)[:, None]
    return arrays
