"""Training: one loop for every arm, so that arms differ in what they train on and in nothing else."""

from tsynd.training.arms import ARMS, Arm, Recipe, parse_arm, steps_of
from tsynd.training.bank import Bank
from tsynd.training.loop import History, mixup, train_classifier

__all__ = ["ARMS", "Arm", "Bank", "History", "Recipe", "mixup", "parse_arm", "steps_of", "train_classifier"]
