"""The data set of phantoms: the same seed, the same images; truth with every image; a subgroup withheld where it should be."""

import hashlib

import pytest
import torch

from tsynd.data import load
from tsynd.data.phantom import classify, lesion_masks, subgroup
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.data.phantom.rule import SUBGROUPS
from tsynd.errors import TsyndError

# Of the default data set, taken before it had options: 2,000 + 200 + 500 labels of each class, and a row of pixels.
GOLDEN_LABELS = {"train": "a344ad3da93eb84d", "val": "5fda35c2bff560df", "test": "af8d30934e27e13e"}
GOLDEN_ROWS = {  # every second pixel of row 14 of the last image
    "train": [102, 104, 95, 78, 51, 60, 82, 90, 83, 73, 109, 115, 80, 61],
    "val": [64, 16, 10, 8, 11, 11, 13, 25, 69, 111, 151, 163, 87, 91],
    "test": [84, 91, 101, 95, 84, 87, 78, 55, 46, 14, 21, 56, 105, 78],
}


def test_the_same_seed_gives_the_same_images() -> None:
    one, same, other = (load("phantom", count=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.train.images, same.train.images)
    assert not torch.equal(one.train.images, other.train.images)
    larger = load("phantom", count=6)
    assert torch.equal(one.test.images, larger.test.images)
    assert torch.equal(one.val.images, larger.val.images)


def test_global_randomness_is_untouched() -> None:
    before = torch.random.get_rng_state()
    load("phantom", count=2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_counts_classes_and_licence() -> None:
    made = load("phantom", count=3, size=32)
    assert [split.labels.bincount().tolist() for split in (made.train, made.val, made.test)] == [[3, 3], [200, 200], [500, 500]]
    assert (made.name, made.classes, made.task, made.size) == ("phantom:count=3", ("benign", "malignant"), "binary", 32)


def test_the_default_data_set_is_what_it_was() -> None:
    made = load("phantom")
    for name, digest in GOLDEN_LABELS.items():
        split = getattr(made, name)
        assert hashlib.blake2b(split.labels.numpy().tobytes(), digest_size=8).hexdigest() == digest
        # One grey level of tolerance: exp and log may round differently on another processor.
        torch.testing.assert_close(split.images[-1, 0, 14, ::2].int(), torch.tensor(GOLDEN_ROWS[name]).int(), rtol=0, atol=1)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_truth_comes_with_every_image(classes: int) -> None:
    made = load("phantom", count=30, classes=classes)
    for split in (made.train, made.val, made.test, made.subset(10).train):
        assert isinstance(split, PhantomSplit)
        assert len(split.factors) == len(split)
        assert torch.equal(classify(split.factors, classes), split.labels)
        for name in SUBGROUPS:
            assert torch.equal(split.subgroups[name], subgroup(split.factors, name))
    assert isinstance(made.train, PhantomSplit)
    assert torch.equal(made.train.masks(), lesion_masks(made.train.factors, 28))


@pytest.mark.parametrize("name", SUBGROUPS)
def test_a_withheld_subgroup_is_absent_in_train_and_val_and_present_in_test(name: str) -> None:
    made, whole = load(f"phantom:count=100,withheld={name}", 16), load("phantom:count=100", 16)
    assert made.name == f"phantom:count=100,withheld={name}"
    assert not made.train.subgroups[name].any()
    assert not made.val.subgroups[name].any()
    assert made.test.subgroups[name].sum() > 40
    assert whole.train.subgroups[name].any()
    assert torch.equal(made.test.images, whole.test.images)
    assert torch.bincount(made.train.labels).tolist() == [100, 100]


def test_a_withheld_subgroup_can_be_rare_in_place_of_absent() -> None:
    whole, rare = load("phantom:count=400", 16), load("phantom:count=400,withheld=faint,kept=0.2", 16)
    assert rare.name == "phantom:count=400,withheld=faint,kept=0.2"
    shares = [float(data.train.subgroups["faint"].double().mean()) for data in (rare, whole)]
    assert 0.1 * shares[1] < shares[0] < 0.35 * shares[1]
    assert torch.equal(rare.test.images, whole.test.images)


def test_a_subgroup_that_is_all_of_a_class_cannot_be_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SUBGROUPS, "any", {"radius": (0.0, 1.0)})
    with pytest.raises(TsyndError, match="withheld='any' leaves class 'benign' no image where 5 are wanted") as caught:
        load("phantom", count=5, withheld="any")
    assert "\n" not in str(caught.value)


def test_other_options_are_refused() -> None:
    with pytest.raises(TsyndError, match="phantom option 'classes' must be 2, 3 or 4, got 5"):
        load("phantom:classes=5")
    with pytest.raises(TsyndError, match="unknown phantom subgroup 'fain': did you mean 'faint'"):
        load("phantom:withheld=fain")
    with pytest.raises(TsyndError, match=r"phantom option 'kept' must lie between 0 and 1, got 1\.5"):
        load("phantom:withheld=faint,kept=1.5")
    with pytest.raises(TsyndError, match=r"'kept' must go with withheld, .*, got 0\.5"):
        load("phantom:kept=0.5")
    with pytest.raises(TsyndError, match="phantom option 'kept' must be a number, got 'few'"):
        load("phantom:withheld=faint,kept=few")
    with pytest.raises(TsyndError, match="at most 30, since class 'benign' has 30 training images, got 31"):
        load("phantom", count=30).subset(31)
