"""The renderer of phantoms as an autoencoder that loses nothing: its codes are the factors, its decoder draws them."""

import torch
from torch import Tensor

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.data.phantom import Factors, render
from tsynd.data.phantom.factors import LIMITS
from tsynd.data.phantom.oracle import UNITS
from tsynd.errors import TsyndError

SIZE = 28


def codes(factors: Factors) -> Tensor:
    """Factors as codes (B, 8): less the mean of their distribution, over its standard deviation; the aspect as its logarithm."""
    columns = {name: getattr(factors, name) for name in UNITS} | {"aspect": factors.aspect.log()}
    return torch.stack([(columns[name] - mean) / deviation for name, (mean, deviation) in UNITS.items()], 1)


class Renderer:
    """The perfect autoencoder of one batch of phantoms: its codes are their known factors, its decoder draws them.

    A code (B, 8) is the factors but for the outline's shape, which cannot be read off a sharp ellipse, in the means and standard
    deviations of their distribution (`UNITS`), so that a radius means what it does for an autoencoder. What is not a code is
    held fixed in each image: outline, tissue and speckle, and the light augmentation, as when images are augmented before they
    are encoded. Factors are clamped to the range that they are drawn from. A smooth squash would stretch the units near
    the ends, and the ends themselves, where lesions are, would have no code.

    Args:
        factors: of all images of the batch; `decode` takes their codes in this order.
        tissue: seed of tissue and speckle. augmentation: seed of the augmentation.
    """

    def __init__(self, factors: Factors, tissue: int, augmentation: int) -> None:
        self.factors, self.tissue, self.augmentation = factors, tissue, augmentation

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """The known codes (B, 8) of the batch, whose images these must be."""
        if len(images_BCHW) != len(self.factors):
            raise TsyndError(f"a renderer knows the {len(self.factors)} images that it was made for, got {len(images_BCHW)}")
        return codes(self.factors)

    def decode(self, latents_BD: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1], differentiable in the codes."""
        images_BCHW = render(self.moved(latents_BD), SIZE, torch.Generator().manual_seed(self.tissue))
        return augment(images_BCHW, TRAIN_RANGE, torch.Generator().manual_seed(self.augmentation))

    def moved(self, latents_BD: Tensor) -> Factors:
        """The factors that codes stand for, inside the range that factors are drawn from (the gain's has no ends)."""
        columns = {}
        for column_B, (name, (mean, deviation)) in zip(latents_BD.unbind(1), UNITS.items(), strict=True):
            reach = float("inf") if name == "gain" else 3**0.5 * deviation  # half the width of a uniform distribution
            values_B = (column_B * deviation + mean).clamp(mean - reach, mean + reach)
            columns[name] = (values_B.exp() if name == "aspect" else values_B).clamp(*LIMITS[name])
        return Factors(**columns, outline=self.factors.outline[: len(latents_BD)])
