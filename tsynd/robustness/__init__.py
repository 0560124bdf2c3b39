"""Robustness: random test-time augmentation, corruptions, adversarial attacks and calibration, in one report."""

from tsynd.robustness.attacks import fgsm, pgd
from tsynd.robustness.augmentation import INSIDE, OUTSIDE, Augmentation, augment
from tsynd.robustness.corruptions import CORRUPTIONS, corrupt
from tsynd.robustness.evaluation import evaluate

__all__ = ["CORRUPTIONS", "INSIDE", "OUTSIDE", "Augmentation", "augment", "corrupt", "evaluate", "fgsm", "pgd"]
