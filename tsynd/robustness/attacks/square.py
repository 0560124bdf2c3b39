"""An attack that sees no gradient: what it finds and a gradient attack does not, gradients have hidden."""

import math
from typing import Annotated

import torch
from torch import Tensor

from tsynd.robustness.attacks.gradient import attacking, ball_of, margin_loss, refuse_not_finite
from tsynd.utils.network_passes import Model, finite
from tsynd.utils.rng import uniform
from tsynd.utils.rules import validated, whole


@validated
def random_squares(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    queries: Annotated[int, whole(1)] = 200,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random search: set a random square of the image to +eps or -eps, and keep what raises the loss.

    It starts from vertical stripes, and the squares shrink from .8 of the image's area, as in the Square attack
    (Andriushchenko et al., ECCV 2020, arXiv 1912.00049), whose schedule it shortens: for checks, not for figures. All
    images of a call share the places of the squares, each has its own signs.

    Args:
        queries: forward passes, at least 1.

    The other arguments, result and errors are those of `tsynd.robustness.pgd`.
    """
    with attacking(model, images, labels, eps, gradient=False) as images, torch.no_grad():
        count, channels, height, width = images.shape
        lowest, highest, x = ball_of(images, eps, _signs((count, channels, 1, width), generator, images), None)
        loss_B, wrong_B = margin_loss(model, x, labels)
        for query in range(1, queries):
            side = max(1, round(math.sqrt(0.8 / 2 ** (7 * query / queries)) * min(height, width)))
            numbers = uniform((2,), generator, torch.empty(2))
            top, left = int(numbers[0] * (height - side + 1)), int(numbers[1] * (width - side + 1))
            where = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
            proposed = x.clone()
            proposed[where] = images[where] + eps * _signs((count, channels, 1, 1), generator, images)
            proposed = proposed.clamp(lowest, highest)
            new_loss_B, new_wrong_B = margin_loss(model, proposed, labels)
            refuse_not_finite(model, finite(new_loss_B))
            better_B = (new_wrong_B > wrong_B) | ((new_wrong_B == wrong_B) & (new_loss_B > loss_B))
            x = torch.where(better_B.view(-1, 1, 1, 1), proposed, x)
            loss_B, wrong_B = torch.where(better_B, new_loss_B, loss_B), torch.where(better_B, new_wrong_B, wrong_B)
        return x


def _signs(shape: tuple[int, ...], generator: torch.Generator | None, like: Tensor) -> Tensor:
    return torch.where(uniform(shape, generator, like) < 0.5, -1.0, 1.0).to(like)
