"""Noise: what a detector, a transmission or coherent waves add. All of it is drawn from the generator, image after image."""

import torch
from torch import Tensor

from tsynd.utils.rng import normal, poisson, uniform


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
