"""The class follows the stated rule in the factors, for two, three and four classes; subgroups are ranges of factors."""

from dataclasses import replace

import pytest
import torch

from tsynd.data.phantom import classify, sample_factors, subgroup
from tsynd.data.phantom.phantoms import draw_split
from tsynd.data.phantom.rule import SUBGROUPS, malignancy
from tsynd.errors import TsyndError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_label_is_the_sign_of_the_score() -> None:
    split = draw_split(20, 16, seeded())
    factors = split.factors
    assert torch.equal(split.labels, classify(factors))
    assert torch.equal(split.labels, (malignancy(factors) > 0).long())
    assert malignancy(factors).abs().min() > 0.2


@pytest.mark.parametrize("sign", ["irregularity", "aspect", "shadow"])
def test_each_sign_makes_it_more_malignant_and_the_others_do_not(sign: str) -> None:
    factors = sample_factors(10, seeded())
    assert (malignancy(replace(factors, **{sign: getattr(factors, sign) + 0.1})) > malignancy(factors)).all()
    moved = replace(factors, radius=factors.radius * 2, contrast=-factors.contrast, x=factors.x + 1, gain=factors.gain + 3)
    assert torch.equal(malignancy(moved), malignancy(factors))


@pytest.mark.parametrize(("classes", "bounds"), [(3, (-0.35, 0.35)), (4, (-0.45, 0.0, 0.45))])
def test_more_classes_are_bands_of_the_score(classes: int, bounds: tuple[float, ...]) -> None:
    split = draw_split(20, 16, seeded(), classes=classes)
    score = malignancy(split.factors)
    assert torch.bincount(split.labels).tolist() == [20] * classes
    assert torch.equal(split.labels, torch.stack([score > bound for bound in bounds]).sum(0))
    assert min((score - bound).abs().min() for bound in bounds) > (0.12 if classes == 3 else 0.1)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_every_class_is_drawn_often_enough(classes: int) -> None:
    assert torch.bincount(classify(sample_factors(3000, seeded()), classes)).min() > 3000 / (2.5 * classes)


def test_a_subgroup_is_a_range_of_factors() -> None:
    factors = sample_factors(1000, seeded())
    assert torch.equal(subgroup(factors, "small-irregular"), (factors.radius < 0.17) & (factors.irregularity > 0.65))
    assert all(50 < subgroup(factors, name).sum() < 300 for name in SUBGROUPS)


def test_an_unknown_subgroup_names_the_nearest() -> None:
    with pytest.raises(TsyndError, match="unknown phantom subgroup 'small-iregular': did you mean 'small-irregular'"):
        subgroup(sample_factors(1), "small-iregular")
