"""Noise, and detail that is lost: out of focus, by motion, by coarse pixels, or in storage.

Lengths are fractions of the image side. kornia is imported where it is used: that takes a second.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.utils.rng import normal, poisson, uniform


def defocus_blur(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """The mean over a disc, as an unfocused lens gives it; `level` is its radius as a fraction of the image side."""
    from kornia.filters import filter2d

    return filter2d(images_BCHW, _disc(level * images_BCHW.shape[-1]).to(images_BCHW).unsqueeze(0), border_type="reflect")


def motion_blur(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """The mean along a straight line, as when patient or detector move; `level` is its length as a fraction of the image side.

    Each image has a direction of its own, drawn evenly.
    """
    from kornia.filters import filter2d

    angle_B = math.pi * uniform((len(images_BCHW),), generator, images_BCHW)
    lines_BKK = _lines(level * images_BCHW.shape[-1], angle_B).to(images_BCHW)
    return filter2d(images_BCHW, lines_BKK, border_type="reflect")


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


def gaussian_noise(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Independent Gaussian noise; `level` is its standard deviation in intensity."""
    return images_BCHW + level * _normal(images_BCHW, generator)


def speckle_noise(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Multiplicative Gaussian noise, as in ultrasound; `level` is its standard deviation relative to the intensity."""
    return images_BCHW * (1 + level * _normal(images_BCHW, generator))


def impulse_noise(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Salt and pepper: a share `level` of the values are lost, half of them to 0 and half to 1."""
    number_BCHW = uniform(tuple(images_BCHW.shape), generator, images_BCHW)
    peppered = torch.where(number_BCHW < level / 2, 0.0, images_BCHW)
    return torch.where(number_BCHW >= 1 - level / 2, 1.0, peppered)


def shot_noise(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Few photons: Poisson numbers of them, `level` on average where the intensity is 1."""
    return poisson(images_BCHW.clamp(0, 1) * level, generator) / level


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


def _lines(length: float, angle_B: Tensor, points: int = 129) -> Tensor:
    """Lines of this length in px as convolution kernels (B, K, K) that sum to one: points that share themselves bilinearly."""
    reach = math.ceil(length / 2)
    along_P = torch.linspace(-length / 2, length / 2, points, device=angle_B.device)
    x_BP, y_BP = angle_B.cos()[:, None] * along_P, angle_B.sin()[:, None] * along_P
    grid_K = torch.arange(-reach, reach + 1, device=angle_B.device)
    over_x_BPK = (1 - (x_BP[..., None] - grid_K).abs()).clamp_min(0)
    over_y_BPK = (1 - (y_BP[..., None] - grid_K).abs()).clamp_min(0)
    return over_y_BPK.mT @ over_x_BPK / points
