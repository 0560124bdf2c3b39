"""Training: one loop for every arm, so that arms differ in what they train on and in nothing else."""

from tsynd.training.arms import ARMS, METHODS, Arm, parse_arm, recipe_for
from tsynd.training.loop import train_classifier
from tsynd.training.recipe import Recipe
from tsynd.training.state import History

__all__ = ["ARMS", "METHODS", "Arm", "History", "Recipe", "parse_arm", "recipe_for", "train_classifier"]
