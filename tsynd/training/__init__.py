"""Training: one loop for every arm, so that arms differ in what they train on and in nothing else."""

from tsynd.training.arms import ARMS, METHODS, Arm, parse_arm
from tsynd.training.loop import train_classifier
from tsynd.training.recipe import Recipe

__all__ = ["ARMS", "METHODS", "Arm", "Recipe", "parse_arm", "train_classifier"]
