"""Augmentation: random changes of images that keep their class, batched and seeded image by image."""

from tsynd.augmentation.affine import SHIFTED_RANGE, TRAIN_RANGE, Augmentation, augment
from tsynd.augmentation.mixup import mixup
from tsynd.augmentation.trivialaugment import trivial_augment

__all__ = ["SHIFTED_RANGE", "TRAIN_RANGE", "Augmentation", "augment", "mixup", "trivial_augment"]
