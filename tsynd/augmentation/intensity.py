"""Intensities that are shifted: exposure, gain, display curves, and for colour saturation and stain."""

import torch
from torch import Tensor

# Absorption of haematoxylin, eosin and DAB in red, green and blue, by Ruifrok and Johnston 2001, table 1.
STAINS = ((0.650, 0.704, 0.286), (0.072, 0.990, 0.105), (0.268, 0.570, 0.776))


def brightness(images_BCHW: Tensor, level: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A gain: intensity multiplied by `level`, above 1 for brighter; one for all, or (B, 1, 1, 1)."""
    return images_BCHW * level


def contrast(images_BCHW: Tensor, level: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Distances to the image's mean intensity multiplied by `level`; one for all, or (B, 1, 1, 1)."""
    mean = images_BCHW.mean(dim=(1, 2, 3), keepdim=True)
    return mean + level * (images_BCHW - mean)


def gamma(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Another display curve: intensity to the power of `level`, above 1 for darker midtones. Black and white stay."""
    return images_BCHW.clamp(0, 1) ** level


def saturation(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Distances to the pixel's own grey multiplied by `level`; 0 leaves no colour. Grey is that of BT.601."""
    weights_3 = images_BCHW.new_tensor((0.299, 0.587, 0.114))
    grey_B1HW = (images_BCHW * weights_3.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return grey_B1HW + level * (images_BCHW - grey_B1HW)


def stain(images_BCHW: Tensor, level: float, generator: torch.Generator | None = None) -> Tensor:
    """Another laboratory: haematoxylin multiplied by 1 + `level`, eosin by 1 - `level`, the rest of the light unchanged.

    Stains add up in optical density, -log of the intensity (Beer and Lambert), where they are unmixed with the absorption
    of Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23, 2001 (colour deconvolution).
    """
    directions_33 = torch.nn.functional.normalize(torch.tensor(STAINS, dtype=torch.float64), dim=1)
    factors_3 = torch.tensor((1 + level, 1 - level, 1.0), dtype=torch.float64)
    mixing_33 = (torch.linalg.inv(directions_33) @ factors_3.diag() @ directions_33).to(images_BCHW)
    density_BCHW = -images_BCHW.clamp(1 / 255, 1).log()
    return torch.einsum("bchw,cd->bdhw", density_BCHW, mixing_33).neg().exp()
