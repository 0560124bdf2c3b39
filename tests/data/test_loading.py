"""One door: which reader a name leads to, and what an unknown one is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsynd.data import load
from tsynd.errors import DataUnavailable, TsyndError


def test_phantom_options_in_the_name_or_as_keywords() -> None:
    named, keywords = load("phantom:seed=1,count=10", 16), load("phantom", 16, seed=1, count=10)
    assert named.name == keywords.name == "phantom:seed=1,count=10"
    assert (named.train.images == keywords.train.images).all()
    assert load("phantom:count=10,seed=0", 16).name == "phantom:count=10"
    assert load("phantom: withheld=faint, classes=4", 16, count=9).name == "phantom:count=9,classes=4,withheld=faint"


def test_files_keep_their_size_without_one(tmp_path: Path, six: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "own.npz", allow_pickle=False, **six)
    assert (load(tmp_path / "own.npz").size, load(str(tmp_path / "own.npz"), size=24).size) == (20, 24)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("brestmnist", {}, "unknown data set 'brestmnist': did you mean 'breastmnist'.*, and no folder or file is called so"),
        ("phantm", {}, "did you mean 'phantom'"),
        ("", {}, "unknown data set ''"),
        ("phantom:cuont=3", {}, "unknown phantom option 'cuont': did you mean 'count'"),
        ("phantom", {"sed": 3}, "unknown phantom option 'sed': did you mean 'seed'"),
        ("phantom:count=3", {"count": 4}, "phantom option 'count' is given twice, with 'phantom:count=3'"),
        ("phantom:count", {}, "phantom option 'count' must be a whole number, got ''"),
        ("phantom:count=many", {}, "phantom option 'count' must be a whole number, got 'many'"),
        ("phantom", {"count": 2.5}, "phantom option 'count' must be a whole number, got 2.5"),
        ("phantom:count=0", {}, "count must be >= 1, got 0"),
        ("phantom", {"size": 8}, "phantoms must be at least 16 px, got size 8"),
        ("phantom", {"size": 0}, "size must be >= 1, got 0"),
        ("phantom", {"size": 28.5}, "size must be a whole number, got 28.5"),
        ("phantom", {"crop": True}, "crop and ignore are for folders and CSVs of images, and 'phantom' is none"),
        ("phantom", {"ignore": 3}, r"ignore must be names of folders or files, such as \['masks'\], got 3"),
        ("breastmnist", {"count": 3}, "options count are for phantoms only, got them with 'breastmnist'"),
    ],
)
def test_names_and_options_that_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message) as caught:
        load(name, **options)
    assert "\n" not in str(caught.value)


def test_paths_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"no such file or folder: .*none"):
        load(tmp_path / "none")
    with pytest.raises(DataUnavailable, match=r"no such file or folder: .*none\.npz"):
        load("none.npz")
    (tmp_path / "own.txt").touch()
    with pytest.raises(TsyndError, match=r"must be an \.npz in MedMNIST layout, or a \.csv of paths and labels, got .*own\.txt"):
        load(tmp_path / "own.txt")
