"""MedMNIST-C-like corruptions: what acquisition, storage and display do to an image, in five severities.

The names follow MedMNIST-C (Di Salvo et al. 2024, arXiv 2406.17536); the code and the severities are ours, chosen by eye
so that severity 1 is just visible and 5 is severe but still readable. Blur and pixelation are fractions of the image
side, so that a severity means the same at 28 px and at 224 px. kornia is imported where it is used: that takes a second.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError, unknown
from tsynd.randomness import normal


class Corruption(NamedTuple):
    """A corruption: `apply(images_BCHW, level, generator)`, and its level at severities 1 to 5."""

    apply: Callable[[Tensor, float, torch.Generator | None], Tensor]
    levels: tuple[float, float, float, float, float]


def corrupt(images_BCHW: Tensor, name: str, severity: int, generator: torch.Generator | None = None) -> Tensor:
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
        TsyndError: for an unknown name (the nearest is named), or a severity outside 1 to 5.

    >>> corrupt(torch.full((1, 1, 8, 8), 0.4), "brightness_up", 5).mean()
    tensor(0.8400)
    """
    if name not in CORRUPTIONS:
        raise unknown("corruption", name, CORRUPTIONS)
    if severity not in range(1, 6):
        raise TsyndError(f"severity must be 1, 2, 3, 4 or 5, got {severity}")
    corruption = CORRUPTIONS[name]
    return corruption.apply(images_BCHW, corruption.levels[int(severity) - 1], generator).clamp(0, 1)


def gaussian_noise(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Independent Gaussian noise; `level` is its standard deviation in intensity."""
    return images_BCHW + level * _normal(images_BCHW, generator)


def speckle_noise(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Multiplicative Gaussian noise, as in ultrasound; `level` is its standard deviation relative to the intensity."""
    return images_BCHW * (1 + level * _normal(images_BCHW, generator))


def defocus_blur(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """The mean over a disc, as an unfocused lens gives it; `level` is its radius as a fraction of the image side."""
    from kornia.filters import filter2d

    return filter2d(images_BCHW, _disc(level * images_BCHW.shape[-1]).to(images_BCHW).unsqueeze(0), border_type="reflect")


def brightness(images_BCHW: Tensor, level: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A gain: intensity multiplied by `level`, above 1 for brighter; one for all, or (B, 1, 1, 1)."""
    return images_BCHW * level


def contrast(images_BCHW: Tensor, level: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Distances to the image's mean intensity multiplied by `level`; one for all, or (B, 1, 1, 1)."""
    mean = images_BCHW.mean(dim=(1, 2, 3), keepdim=True)
    return mean + level * (images_BCHW - mean)


def pixelate(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """A mosaic of square cells whose side is a fraction `level` of the image's; a pixel on an edge takes its part of both."""
    height, width = images_BCHW.shape[-2:]
    return _mosaic(height, level).to(images_BCHW) @ images_BCHW @ _mosaic(width, level).to(images_BCHW)


def jpeg(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Stored as JPEG of quality `level` (1 to 100), by kornia's batched codec, which takes three channels."""
    from kornia.enhance import jpeg_codec_differentiable

    channels = images_BCHW.shape[1]
    quality = torch.tensor([level], device=images_BCHW.device)
    stored = jpeg_codec_differentiable(images_BCHW.expand(-1, 3, -1, -1).contiguous(), quality)
    return stored if channels == 3 else stored.mean(dim=1, keepdim=True)


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(gaussian_noise, (0.02, 0.04, 0.07, 0.10, 0.14)),
    "speckle_noise": Corruption(speckle_noise, (0.08, 0.15, 0.22, 0.30, 0.40)),
    "defocus_blur": Corruption(defocus_blur, (0.03, 0.045, 0.06, 0.08, 0.10)),
    "brightness_up": Corruption(brightness, (1.15, 1.30, 1.50, 1.75, 2.10)),
    "brightness_down": Corruption(brightness, (0.85, 0.70, 0.55, 0.42, 0.30)),
    "contrast_down": Corruption(contrast, (0.80, 0.65, 0.50, 0.38, 0.28)),
    "pixelate": Corruption(pixelate, (0.045, 0.055, 0.075, 0.09, 0.12)),
    "jpeg": Corruption(jpeg, (60, 40, 25, 15, 8)),
}
"""The corruptions that `evaluate` runs, and their levels at severities 1 to 5 in the unit of each function."""


def _normal(images_BCHW: Tensor, generator: torch.Generator | None) -> Tensor:
    return normal(tuple(images_BCHW.shape), generator, images_BCHW).to(images_BCHW.dtype)


def _mosaic(side: int, level: float) -> Tensor:
    """The (side, side) matrix that averages along one axis over cells and gives each pixel its cells' values; symmetric."""
    cells = max(1, round(1 / level))
    edges, pixels = torch.arange(cells + 1) * (side / cells), torch.arange(side)
    covered = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    covered = covered.clamp_min(0)  # (cells, side): how much of each pixel lies in each cell
    return covered.T @ covered * (cells / side)


def _disc(radius: float, fineness: int = 16) -> Tensor:
    """A disc of this radius in px as a convolution kernel that sums to one; pixels at the rim count by the part covered."""
    reach = max(0, int(radius + 0.5))
    side = 2 * reach + 1
    centres = (torch.arange(side * fineness) + 0.5) / fineness - side / 2
    inside = (centres.square().unsqueeze(0) + centres.square().unsqueeze(1) <= radius**2).float()
    kernel = F.avg_pool2d(inside.view(1, 1, *inside.shape), fineness).squeeze()
    return (kernel / kernel.sum()).view(side, side)
