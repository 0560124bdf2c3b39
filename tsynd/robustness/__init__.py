"""Robustness: random test-time augmentation, corruptions, adversarial attacks and calibration, in one report."""

from tsynd.robustness.attacks import apgd, fgsm, pgd
from tsynd.robustness.augmentation import INSIDE, OUTSIDE, Augmentation, augment
from tsynd.robustness.autoattack import aa, aa_name
from tsynd.robustness.averages import averaged, expected
from tsynd.robustness.blackbox import random_squares
from tsynd.robustness.checks import Check, checks_after, checks_before
from tsynd.robustness.corruptions import CORRUPTIONS, MODALITIES, corrupt, corruptions_for
from tsynd.robustness.evaluation import evaluate
from tsynd.robustness.report import RobustnessReport

__all__ = [
    "CORRUPTIONS",
    "INSIDE",
    "MODALITIES",
    "OUTSIDE",
    "Augmentation",
    "Check",
    "RobustnessReport",
    "aa",
    "aa_name",
    "apgd",
    "augment",
    "averaged",
    "checks_after",
    "checks_before",
    "corrupt",
    "corruptions_for",
    "evaluate",
    "expected",
    "fgsm",
    "pgd",
    "random_squares",
]
