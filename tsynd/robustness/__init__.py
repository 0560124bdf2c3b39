"""Robustness: random test-time augmentation, corruptions, adversarial attacks and calibration, in one report."""

from tsynd.robustness.attacks import checks_after, checks_before
from tsynd.robustness.attacks.autoattack import autoattack
from tsynd.robustness.attacks.averaged_model import averaged_model, eot_model
from tsynd.robustness.attacks.gradient import apgd, fgsm, pgd
from tsynd.robustness.attacks.square import random_squares
from tsynd.robustness.conditions import test_time_augmentation
from tsynd.robustness.corruptions import CORRUPTIONS, corrupt, corruptions_for
from tsynd.robustness.evaluation import evaluate
from tsynd.robustness.report import RobustnessReport

__all__ = [
    "CORRUPTIONS",
    "RobustnessReport",
    "apgd",
    "autoattack",
    "averaged_model",
    "checks_after",
    "checks_before",
    "corrupt",
    "corruptions_for",
    "eot_model",
    "evaluate",
    "fgsm",
    "pgd",
    "random_squares",
    "test_time_augmentation",
]
