"""Training: one loop for every arm, so that arms differ in what they train on and in nothing else."""

from tsynd.training.arms import ARMS, Arm, Recipe, parse_arm, steps_of
from tsynd.training.bank import Bank, soft_targets
from tsynd.training.checkpoint import load_checkpoint, save_checkpoint
from tsynd.training.loop import CHECKPOINT_EVERY, mixup, train_classifier
from tsynd.training.sources import SOURCES, choose_sources
from tsynd.training.state import History
from tsynd.training.trivialaugment import trivial_augment

__all__ = [
    "ARMS",
    "CHECKPOINT_EVERY",
    "SOURCES",
    "Arm",
    "Bank",
    "History",
    "Recipe",
    "choose_sources",
    "load_checkpoint",
    "mixup",
    "parse_arm",
    "save_checkpoint",
    "soft_targets",
    "steps_of",
    "train_classifier",
    "trivial_augment",
]
