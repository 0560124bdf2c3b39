"""TrivialAugment: one operation for each image, of a random strength, and nothing to tune (Müller and Hutter, ICCV 2021)."""

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tsynd.augmentation import intensity
from tsynd.augmentation.affine import warp
from tsynd.utils.rng import uniform
from tsynd.utils.rules import validated
from tsynd.utils.validation import check_images

LEVELS = 31  # strengths: 0, 1/30, ..., 1

# What strength 1 means: the ranges of RandAugment, which the paper takes, with shifts as a fraction of the side (10 of 32 px).
DEGREES, SHEAR, SHIFT, FACTOR, BITS = 30.0, 0.3, 0.3125, 0.9, 4


@validated
def trivial_augment(images_BCHW: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Apply to each image one of `OPERATIONS`, drawn evenly, with a strength and a sign of its own.

    Three random numbers an image, drawn in order of the images, so that the result does not depend on how a set is split into
    batches. Grey images have no `colour`: it would be a second identity.

    Args:
        images_BCHW: (B, C, S, S) float in [0, 1], C = 1 or 3, any device.
        generator: torch's global state without one.

    Returns:
        (B, C, S, S) float in [0, 1], same device and dtype.

    Source:
        Müller and Hutter 2021, arXiv 2103.10158, algorithm 1, in the strengths of RandAugment and not in the *wide* ones.
        Ours are: the border repeated where an image is moved, and the sign of brightness, contrast, colour and sharpness drawn
        like that of a rotation (factors 1 - .9 s and 1 + .9 s, in place of one range from .1 to 1.9).

    >>> images = torch.rand(4, 1, 28, 28)
    >>> one, same = (trivial_augment(images, torch.Generator().manual_seed(0)) for _ in range(2))
    >>> one.shape, torch.equal(one, same)
    (torch.Size([4, 1, 28, 28]), True)
    """
    if images_BCHW.shape[:1] == (0,):  # a mask may choose none
        return images_BCHW.clone()
    check_images(images_BCHW, in_range=images_BCHW.device.type == "cpu")  # other devices would have to be waited for
    names = operations(images_BCHW.shape[1])
    operation_B, strength_B = drawn(len(images_BCHW), len(names), generator)
    changed_BCHW = images_BCHW.clone()
    for number in operation_B.unique().tolist():  # on the CPU, so that no device waits for it
        rows_b = (operation_B == number).nonzero().flatten()
        strength_b, rows_b = strength_B[rows_b].to(images_BCHW), rows_b.to(images_BCHW.device)
        changed_BCHW[rows_b] = OPERATIONS[names[number]](images_BCHW[rows_b], strength_b).clamp(0, 1)
    return changed_BCHW


def rand_augment(images_BCHW: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Apply to each image two operations of `trivial_augment` in a row and cut a square of half the side out of it, grey .5.

    This is the strong augmentation of FixMatch (Sohn et al. 2020, arXiv 2001.07685, appendix E): RandAugment with random
    strengths, then Cutout (DeVries and Taylor 2017, arXiv 1708.04552), whose centre lies anywhere, so part of it may lie outside.
    """
    changed_BCHW = trivial_augment(trivial_augment(images_BCHW, generator), generator)
    side = images_BCHW.shape[-1]
    centre_B2 = uniform((len(images_BCHW), 2), generator, torch.empty(0)).to(images_BCHW) * side
    away_BS2 = (torch.arange(side).to(images_BCHW)[None, :, None] + 0.5 - centre_B2[:, None]).abs()
    inside_BSS = (away_BS2[:, :, None, 0] < side / 4) & (away_BS2[:, None, :, 1] < side / 4)
    return changed_BCHW.masked_fill(inside_BSS[:, None], 0.5)


def operations(channels: int) -> tuple[str, ...]:
    """The names that are drawn from: all of `OPERATIONS` for three channels, all but `colour` for one."""
    return tuple(name for name in OPERATIONS if channels == 3 or name != "colour")


def drawn(count: int, choices: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """What each image gets: the number of its operation, int64 (B,), and its strength in [-1, 1], float (B,), on the CPU."""
    choice_B, level_B, sign_B = uniform((count, 3), generator, torch.empty(0)).unbind(dim=1)
    strength_B = (level_B * LEVELS).floor() / (LEVELS - 1)
    return (choice_B * choices).long(), torch.where(sign_B < 0.5, -strength_B, strength_B)


def autocontrast(images_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """Each channel stretched to the whole range [0, 1]; one value everywhere stays."""
    low_BC11, high_BC11 = images_BCHW.amin(dim=(2, 3), keepdim=True), images_BCHW.amax(dim=(2, 3), keepdim=True)
    spread_BC11 = high_BC11 - low_BC11
    stretched_BCHW = (images_BCHW - low_BC11) / torch.where(spread_BC11 > 0, spread_BC11, 1.0)
    return torch.where(spread_BC11 > 0, stretched_BCHW, images_BCHW)


def rotate(images_BCHW: Tensor, strength_B: Tensor) -> Tensor:
    """About the centre, by up to 30 degrees."""
    angle_B = torch.deg2rad(DEGREES * strength_B)
    return _moved(images_BCHW, xx=angle_B.cos(), xy=-angle_B.sin(), yx=angle_B.sin(), yy=angle_B.cos())


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda x, s: x,
    "autocontrast": autocontrast,
    "equalize": lambda x, s: _enhance().equalize(x),  # the histogram of each channel made even, in 256 steps
    "rotate": rotate,
    "shear_x": lambda x, s: _moved(x, xy=SHEAR * s),  # rows shifted in proportion to their height, by up to .3 px a px
    "shear_y": lambda x, s: _moved(x, yx=SHEAR * s),
    "translate_x": lambda x, s: _moved(x, x=2 * SHIFT * s),
    "translate_y": lambda x, s: _moved(x, y=2 * SHIFT * s),
    "solarize": lambda x, s: _enhance().solarize(x, (1 - s.abs()) * 256 / 255),  # inverted from a threshold on: none to all
    "posterize": lambda x, s: _enhance().posterize(x, 8 - (BITS * s.abs()).int()),  # 8 bits a value (no change) down to 4
    "brightness": lambda x, s: intensity.brightness(x, _factor(s)),
    "contrast": lambda x, s: intensity.contrast(x, _factor(s)),
    "sharpness": lambda x, s: _enhance().sharpness(x, _factor(s).flatten()),  # distances to a smoothed copy
    "colour": lambda x, s: _enhance().adjust_saturation_with_gray_subtraction(x, _factor(s).flatten()),
}
"""The operations: `(images_BCHW, strength_B) -> images`, in [0, 1] but for rounding; strengths in [-1, 1], 0 for no change.

`identity`, `autocontrast` and `equalize` have no strength, `solarize` and `posterize` no sign. The last four: times .1 to 1.9.
"""


def _enhance() -> Any:
    """The module of kornia, whose import takes a second."""
    return importlib.import_module("kornia.enhance")


def _factor(strength_B: Tensor) -> Tensor:
    return (1 + FACTOR * strength_B).view(-1, 1, 1, 1)


def _moved(images_BCHW: Tensor, **entries: Tensor) -> Tensor:
    """Images looked up at (xx X + xy Y + x, yx X + yy Y + y), X and Y from -1 to 1; without entries, where they are."""
    like_B = next(iter(entries.values()))
    defaults = {"xx": 1.0, "xy": 0.0, "x": 0.0, "yx": 0.0, "yy": 1.0, "y": 0.0}
    columns = [entries.get(name, torch.full_like(like_B, value)) for name, value in defaults.items()]
    return warp(images_BCHW, torch.stack(columns, dim=1).view(-1, 2, 3))
