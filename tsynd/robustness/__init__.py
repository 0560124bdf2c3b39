"""Robustness: random test-time augmentation, corruptions, adversarial attacks and calibration, in one report."""

from tsynd.robustness.attacks import apgd, fgsm, pgd
from tsynd.robustness.augmentation import INSIDE, OUTSIDE, Augmentation, augment
from tsynd.robustness.autoattack import aa, aa_name
from tsynd.robustness.averages import averaged, expected
from tsynd.robustness.corruptions import CORRUPTIONS, corrupt
from tsynd.robustness.evaluation import evaluate

__all__ = [
    "CORRUPTIONS",
    "INSIDE",
    "OUTSIDE",
    "Augmentation",
    "aa",
    "aa_name",
    "apgd",
    "augment",
    "averaged",
    "corrupt",
    "evaluate",
    "expected",
    "fgsm",
    "pgd",
]
