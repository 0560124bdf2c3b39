"""Adversarial attacks, and checks of models and attacks."""

from tsynd.robustness.attacks.checks import CLASSES_NEEDED, Check, checks_after, checks_before

__all__ = ["CLASSES_NEEDED", "Check", "checks_after", "checks_before"]
