"""Mixup: train on blends of two images and of their labels (Zhang et al., ICLR 2018, arXiv 1710.09412)."""

from typing import Annotated

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.utils.rules import number, validated


@validated
def mixup(
    images_BCHW: Tensor, targets_BC: Tensor, alpha: Annotated[float, number(above=True)], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Convex combinations of pairs of images and of their targets (Zhang et al., ICLR 2018).

    One weight for each pair, from Beta(alpha, alpha).
    """
    floats = images_BCHW.is_floating_point() and targets_BC.is_floating_point()
    if images_BCHW.ndim != 4 or targets_BC.ndim != 2 or len(images_BCHW) != len(targets_BC) or not floats:
        found = f"{images_BCHW.dtype} of {tuple(images_BCHW.shape)} and {targets_BC.dtype} of {tuple(targets_BC.shape)}"
        raise TsyndError(f"mixup needs float images (B, C, H, W) and targets (B, C), got {found}")
    order = torch.randperm(len(images_BCHW), generator=generator).to(images_BCHW.device)
    concentration = torch.full((len(images_BCHW), 2), alpha)
    weight_B = torch._sample_dirichlet(concentration, generator)[:, 0].to(images_BCHW)
    weight_B111, weight_B1 = weight_B[:, None, None, None], weight_B[:, None]
    mixed_BCHW = images_BCHW * weight_B111 + images_BCHW[order] * (1 - weight_B111)
    return mixed_BCHW, targets_BC * weight_B1 + targets_BC[order] * (1 - weight_B1)
