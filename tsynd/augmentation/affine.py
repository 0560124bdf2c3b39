"""Random affine, flip, contrast and brightness as one batched function, for training and as a test of robustness."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.utils.rng import uniform
from tsynd.utils.rules import check_fields, number
from tsynd.utils.validation import check_images, check_number

NUMBERS_PER_IMAGE = 7


@dataclass(frozen=True)
class Augmentation:
    """The ranges that random augmentations are drawn from.

    Each range `(low, high)` bounds a *magnitude*, uniform between its ends; its sign is a coin toss of its own. So
    (0, 10) means anything from -10 to 10, and (15, 30) never falls within 15 of no change.

    Args:
        rotation: degrees about the image centre.
        translation: fraction of the image side, along each axis.
        scale: relative change of size; .1 gives factors .9 and 1.1.
        flip: probability of a horizontal flip.
        brightness: shift of intensity, where images lie in [0, 1].
        contrast: relative change of the distance to the image's mean; .3 gives factors .7 and 1.3.

    Raises:
        TsyndError: when a range does not satisfy 0 <= low <= high, a scale or contrast change reaches 1, or the
            probability of a flip lies outside [0, 1].
    """

    rotation: tuple[float, float] = (0.0, 0.0)
    translation: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (0.0, 0.0)
    flip: Annotated[float, number(0, 1)] = 0.0
    brightness: tuple[float, float] = (0.0, 0.0)
    contrast: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("rotation", "translation", "scale", "brightness", "contrast"):
            given = getattr(self, name)
            if not isinstance(given, tuple | list) or len(given) != 2:
                raise TsyndError(f"{name} must be (low, high), got {given!r}")
            low, high = given
            check_number(**{f"the low end of {name}": low, f"the high end of {name}": high})
            if not 0 <= low <= high or (name in ("scale", "contrast") and high >= 1):
                below = " < 1" if name in ("scale", "contrast") else ""
                raise TsyndError(f"{name} must be (low, high) with 0 <= low <= high{below}, got ({low}, {high})")


TRAIN_RANGE = Augmentation(rotation=(0, 10), translation=(0, 0.08), scale=(0, 0.08), flip=0.5)
"""The light augmentation that every arm trains with."""

SHIFTED_RANGE = Augmentation(
    rotation=(15, 30), translation=(0.10, 0.18), scale=(0.15, 0.25), flip=0.5, brightness=(0.04, 0.10), contrast=(0.15, 0.30)
)
"""Beyond training: what is drawn lies outside `TRAIN_RANGE` in rotation, translation, scale, brightness and contrast at once.

A shift is drawn before rotation and scale, which may shorten it along one axis.
"""


def augment(images_BCHW: Tensor, ranges: Augmentation, generator: torch.Generator | None = None) -> Tensor:
    """Augment each image at random: flip, rotate, scale and shift it, then change its contrast and brightness.

    Bilinear, with the border repeated outwards; seven random numbers an image, drawn in order of the images, so that the
    result does not depend on how a set is split into batches.

    Args:
        images_BCHW: (B, C, S, S) float in [0, 1], any device.
        ranges: what to draw from, such as `TRAIN_RANGE`.
        generator: a CPU generator; torch's global state without one.

    Returns:
        (B, C, S, S) float in [0, 1], same device and dtype.

    >>> images = torch.rand(2, 1, 28, 28)
    >>> augment(images, TRAIN_RANGE).shape
    torch.Size([2, 1, 28, 28])
    >>> bool((augment(images, Augmentation()) - images).abs().max() < 1e-5)  # no ranges: no change
    True
    """
    check_images(images_BCHW, in_range=False)
    numbers_B7 = uniform((len(images_BCHW), NUMBERS_PER_IMAGE), generator, images_BCHW).to(images_BCHW.dtype)
    flip, *symmetric = numbers_B7.unbind(dim=1)
    rotation, right, down, scale, brightness, contrast = [2 * number - 1 for number in symmetric]
    angle = torch.deg2rad(_signed(rotation, ranges.rotation))
    shrink = 1 / (1 + _signed(scale, ranges.scale))
    cos, sin = angle.cos() * shrink, angle.sin() * shrink
    shift_right, shift_down = -2 * _signed(right, ranges.translation), -2 * _signed(down, ranges.translation)
    matrix_B23 = torch.stack([cos, -sin, shift_right, sin, cos, shift_down], dim=1).view(-1, 2, 3)
    flipped = torch.where((flip < ranges.flip).view(-1, 1, 1, 1), images_BCHW.flip(-1), images_BCHW)
    moved = warp(flipped, matrix_B23)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    factor = (1 + _signed(contrast, ranges.contrast)).view(-1, 1, 1, 1)
    return ((moved - mean) * factor + mean + _signed(brightness, ranges.brightness).view(-1, 1, 1, 1)).clamp(0, 1)


def warp(images_BCHW: Tensor, matrix_B23: Tensor) -> Tensor:
    """Move images (B, C, S, S), bilinear, with the border repeated outwards.

    `matrix_B23` says where in the input to look for an output pixel; coordinates run from -1 to 1, so a side is 2 long.
    """
    edge = 1 - 1 / images_BCHW.shape[-1]  # the centre of the last pixel; clamping there repeats the border on every device
    grid = F.affine_grid(matrix_B23, list(images_BCHW.shape), align_corners=False).clamp(-edge, edge)
    return F.grid_sample(images_BCHW, grid, align_corners=False)


def _signed(number: Tensor, magnitude: tuple[float, float]) -> Tensor:
    """A number from [-1, 1) to a signed value whose magnitude is uniform in the range."""
    low, high = magnitude
    return torch.where(number < 0, -1.0, 1.0).to(number.dtype) * (low + (high - low) * number.abs())
