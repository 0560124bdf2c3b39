"""The truth of a phantom: the rule from factors to class, and named subgroups that can be withheld from training."""

from typing import Annotated

import torch
from torch import Tensor

from tsynd.data.phantom.factors import Factors
from tsynd.errors import TsyndError
from tsynd.utils.rules import choice, validated

# Classes by their number, from the least to the most malignant; after the BI-RADS categories 2 to 5.
CLASSES = {
    2: ("benign", "malignant"),
    3: ("benign", "suspicious", "malignant"),
    4: ("benign", "probably benign", "suspicious", "malignant"),
}
# Scores between which the classes lie.
THRESHOLDS = {2: (0.0,), 3: (-0.35, 0.35), 4: (-0.45, 0.0, 0.45)}
# Lesions whose score is nearer to a threshold than this are not drawn: their class could not be seen.
BORDERLINE = {2: 0.2, 3: 0.12, 4: 0.1}
# Subgroups by the ranges of factors that make them: all must hold, bounds excluded.
ANY = float("inf")
SUBGROUPS: dict[str, dict[str, tuple[float, float]]] = {
    "small-irregular": {"radius": (0.0, 0.17), "irregularity": (0.65, ANY)},
    "tall-smooth": {"aspect": (1.0, ANY), "irregularity": (-ANY, 0.35)},
    "irregular-enhancing": {"irregularity": (0.65, ANY), "shadow": (-ANY, 0.0)},
    "faint": {"contrast": (-13.0, ANY)},
}


@validated
def malignancy(factors: Factors) -> Tensor:
    """The score that decides the class, after the BI-RADS signs of malignancy; shape (B,), higher is more malignant.

    Irregular margin, taller than wide and posterior shadow count alike, each in standard deviations of its own
    distribution; size, contrast, position and gain say nothing.
    """
    irregular = (factors.irregularity - 0.5) / 0.289
    tall = (factors.aspect.log() + 0.2) / 0.318
    shadowing = (factors.shadow - 5) / 8.66
    return (irregular + tall + shadowing) / 3


def classify(factors: Factors, classes: int = 2) -> Tensor:
    """The true class: how many of the thresholds `malignancy` is above; (B,) int64, 0 .. classes - 1.

    Two classes: malignant above 0. Three: suspicious above -0.35, malignant above 0.35. Four: probably benign above -0.45,
    suspicious above 0, malignant above 0.45.

    Raises:
        TsyndError: there is no rule for so many classes.
    """
    check_classes(classes)
    score = malignancy(factors)
    return torch.bucketize(score, torch.tensor(THRESHOLDS[classes], device=score.device, dtype=score.dtype))


def borderline(factors: Factors, classes: int = 2) -> Tensor:
    """Whether the score is too near to a threshold for the class to be seen; (B,) bool."""
    thresholds_T1 = torch.tensor(THRESHOLDS[classes], dtype=factors.aspect.dtype, device=factors.aspect.device).unsqueeze(1)
    return ~((malignancy(factors) - thresholds_T1).abs().amin(0) > BORDERLINE[classes])


@validated
def subgroup(factors: Factors, name: Annotated[str, choice("phantom subgroup", SUBGROUPS)]) -> Tensor:
    """Which lesions belong to one of the `SUBGROUPS`; (B,) bool.

    Raises:
        TsyndError: the subgroup is unknown; the nearest known one is named.
    """
    inside = [
        (getattr(factors, factor) > low) & (getattr(factors, factor) < high) for factor, (low, high) in SUBGROUPS[name].items()
    ]
    return torch.stack(inside).all(0)


def check_classes(classes: int) -> None:
    """Raise a TsyndError unless there is a rule for so many classes."""
    if isinstance(classes, bool) or not isinstance(classes, int) or classes not in CLASSES:
        raise TsyndError(f"phantom option 'classes' must be 2, 3 or 4, got {classes!r}")
