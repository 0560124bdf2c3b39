"""MedMNIST-C-like corruptions: what acquisition, storage and display do to an image, in five severities.

The names follow MedMNIST-C (Di Salvo et al. 2024, arXiv 2406.17536); the code and the severities are ours, chosen by eye
so that severity 1 is just visible and 5 is severe but still readable. Blur and pixelation are fractions of the image
side, so that a severity means the same at 28 px and at 224 px.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from tsynd.augmentation.intensity import brightness, contrast, gamma, saturation, stain
from tsynd.errors import TsyndError
from tsynd.robustness.corruptions.functions import (
    defocus_blur,
    gaussian_noise,
    impulse_noise,
    jpeg,
    motion_blur,
    pixelate,
    shot_noise,
    speckle_noise,
)
from tsynd.utils.rules import choice, validated, whole
from tsynd.utils.validation import check_images, check_name


class Corruption(NamedTuple):
    """A corruption: `apply(images_BCHW, level, generator)`, its level at severities 1 to 5, and whether it needs colour."""

    apply: Callable[[Tensor, float, torch.Generator | None], Tensor]
    levels: tuple[float, float, float, float, float]
    colour: bool = False


@validated
def corrupt(
    images_BCHW: Tensor, name: str, severity: Annotated[int, whole(1, 5)], generator: torch.Generator | None = None
) -> Tensor:
    """Corrupt a batch of images.

    Args:
        images_BCHW: (B, C, H, W) float in [0, 1], C = 1 or 3, any device.
        name: one of `CORRUPTIONS`.
        severity: 1 to 5.
        generator: a CPU generator for the noise, torch's global state without one. One that is seeded alike gives the
            same images the same corruption.

    Returns:
        (B, C, H, W) float in [0, 1], same device and dtype.

    Raises:
        TsyndError: for an unknown name (the nearest is named), a severity outside 1 to 5, images that are not float, not in
            [0, 1] or of a number of channels other than 1 and 3, an empty set, and a corruption of colours on grey images.

    >>> corrupt(torch.full((1, 1, 8, 8), 0.4), "brightness_up", 5).mean()
    tensor(0.8400)
    """
    check_name("corruption", name, CORRUPTIONS)
    check_images(images_BCHW, channels=(1, 3))
    corruption = CORRUPTIONS[name]
    if corruption.colour and images_BCHW.shape[1] == 1:
        raise TsyndError(f"corruption {name!r} changes colours, and these images are grey: it needs 3 channels, got 1")
    return corruption.apply(images_BCHW, corruption.levels[int(severity) - 1], generator).clamp(0, 1)


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(gaussian_noise, (0.02, 0.04, 0.07, 0.10, 0.14)),
    "speckle_noise": Corruption(speckle_noise, (0.08, 0.15, 0.22, 0.30, 0.40)),
    "defocus_blur": Corruption(defocus_blur, (0.03, 0.045, 0.06, 0.08, 0.10)),
    "brightness_up": Corruption(brightness, (1.15, 1.30, 1.50, 1.75, 2.10)),
    "brightness_down": Corruption(brightness, (0.85, 0.70, 0.55, 0.42, 0.30)),
    "contrast_down": Corruption(contrast, (0.80, 0.65, 0.50, 0.38, 0.28)),
    "pixelate": Corruption(pixelate, (0.045, 0.055, 0.075, 0.09, 0.12)),
    "jpeg": Corruption(jpeg, (60, 40, 25, 15, 8)),
    "impulse_noise": Corruption(impulse_noise, (0.01, 0.02, 0.04, 0.07, 0.12)),
    "shot_noise": Corruption(shot_noise, (200, 100, 50, 28, 15)),
    "motion_blur": Corruption(motion_blur, (0.06, 0.09, 0.13, 0.18, 0.24)),
    "contrast_up": Corruption(contrast, (1.15, 1.30, 1.50, 1.80, 2.20)),
    "gamma_up": Corruption(gamma, (1.20, 1.40, 1.65, 1.95, 2.30)),
    "gamma_down": Corruption(gamma, (0.85, 0.72, 0.60, 0.50, 0.40)),
    "saturation_up": Corruption(saturation, (1.20, 1.40, 1.70, 2.00, 2.40), colour=True),
    "saturation_down": Corruption(saturation, (0.75, 0.55, 0.35, 0.18, 0.00), colour=True),
    "stain": Corruption(stain, (0.15, 0.30, 0.45, 0.60, 0.80), colour=True),
}
"""All corruptions, and their levels at severities 1 to 5 in the unit of each function."""

DEFAULT = tuple(CORRUPTIONS)[:8]
"""What `evaluate` and `tsynd run` ask, of every kind of image, so that their figures can be compared."""

MODALITIES: dict[str, tuple[str, ...]] = {
    "ultrasound": ("speckle_noise", "motion_blur", "brightness_up", "brightness_down", "contrast_down", "pixelate", "jpeg"),
    "x-ray": (
        *("gaussian_noise", "speckle_noise", "impulse_noise", "shot_noise", "defocus_blur", "brightness_up", "brightness_down"),
        *("contrast_up", "contrast_down", "gamma_up", "gamma_down", "pixelate", "jpeg"),
    ),
    "fundus": (
        *("gaussian_noise", "speckle_noise", "defocus_blur", "motion_blur"),
        *("brightness_down", "contrast_down", "pixelate", "jpeg"),
    ),
    "microscopy": (
        *("defocus_blur", "motion_blur", "brightness_up", "brightness_down", "contrast_up", "contrast_down"),
        *("saturation_up", "saturation_down", "stain", "pixelate", "jpeg"),
    ),
}
"""What befalls which kind of image: the lists of MedMNIST-C for BreastMNIST, PneumoniaMNIST, RetinaMNIST and BloodMNIST.

Ours differ in three: a disc in place of the Gaussian blur of X-rays, saturation both ways, and `stain`, which shifts the stains'
strength, in place of stain deposits and air bubbles.
"""


@validated
def corruptions_for(modality: Annotated[str, choice("modality", MODALITIES)], channels: int) -> tuple[str, ...]:
    """The corruptions of a kind of image; those of colours are left out for one channel.

    Raises:
        TsyndError: for an unknown modality, or another number of channels than 1 or 3.

    >>> corruptions_for("ultrasound", channels=1)[:2]
    ('speckle_noise', 'motion_blur')
    """
    if channels not in (1, 3):
        raise TsyndError(f"channels must be 1 or 3, got {channels}")
    return tuple(name for name in MODALITIES[modality] if channels == 3 or not CORRUPTIONS[name].colour)
