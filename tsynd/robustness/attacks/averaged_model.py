"""Stochastic models are attacked on their average: over masks that are held fixed, or over fresh draws in every call (EOT).

A gradient of one random draw points the wrong way for the next one, so an attack on a single draw finds less than there is to
find (Athalye et al., ICML 2018, arXiv 1802.00420, section 4). The average is a model with logits log mean_k p_k.
"""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tsynd.errors import TsyndError
from tsynd.posterior import Posterior
from tsynd.uncertainty import log_probabilities
from tsynd.utils.network_passes import trial
from tsynd.utils.network_trial import ask, is_multi_label, refuse_probabilities
from tsynd.utils.rng import seeded
from tsynd.utils.rules import validated, whole
from tsynd.utils.validation import check_images


def averaged_model(posterior: Posterior) -> nn.Module:
    """The model that a posterior's samples make together, deterministic as long as they are held: logits log mean_k p_k.

    Args:
        posterior: images (B, C, H, W) to `log_probs_BKC`, with its samples fixed, such as `tsynd.posterior.HeadDropout`.
            Several labels an image (B, K, L, 2) become one logit a label, log p(yes) - log p(no).

    Returns:
        A module in eval mode, images in [0, 1] to logits (B, classes), differentiable in the images.

    >>> from tsynd.classification import build_classifier
    >>> from tsynd.posterior import HeadDropout
    >>> model = averaged_model(HeadDropout.of(build_classifier(1, 28, 2, seed=0).eval(), samples=8))
    >>> logits = model(torch.rand(3, 1, 28, 28))
    >>> logits.shape, bool(torch.allclose(logits.exp().sum(dim=1), torch.ones(3)))
    (torch.Size([3, 2]), True)
    """
    return _Averaged(posterior)


@validated
def eot_model(
    model: nn.Module, draws: Annotated[int, whole(1)] = 20, generator: torch.Generator | None = None
) -> Callable[[Tensor], Tensor]:
    """The average over fresh draws in each call (expectation over transformation, EOT), for a model that cannot be held fixed.

    Each call runs the model `draws` times, so an attack costs `draws` times as much, and its judgement stays noisy: where a
    posterior with fixed samples exists, take `averaged`.

    Args:
        model: images in [0, 1] to logits (B, classes), random through torch's global state, which is as before afterwards.
        draws: passes in each call, at least 1.
        generator: where the seed of each call comes from; torch's global state without one.

    Returns:
        A function, images in [0, 1] to logits (B, classes), differentiable in the images.

    Raises:
        TsyndError: for draws < 1, or batch norm in training mode, whose statistics every call would change.

    >>> noisy = nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Dropout())  # in training mode: drops out in every call
    >>> eot_model(noisy, draws=5)(torch.rand(3, 1, 8, 8)).shape
    torch.Size([3, 2])
    """
    if any(isinstance(module, _BatchNorm) and module.training for module in model.modules()):
        raise TsyndError("batch norm is in training mode, so every call would change it: only what is random may be, as dropout")

    def average(images: Tensor) -> Tensor:
        check_images(images, in_range=False)
        several = is_multi_label(model)
        if not average.tried:  # type: ignore[attr-defined]
            with trial(model):
                refuse_probabilities(model, images[:8], several)
            average.tried = True  # type: ignore[attr-defined]
        seed = int(torch.randint(2**62, (), generator=generator))
        with seeded(seed):
            return _mean_logits(torch.stack([log_probabilities(ask(model, images), several) for _ in range(draws)], dim=1))

    average.draws_anew, average.tried = True, False  # type: ignore[attr-defined]  # the first, so that a trial lets it
    return average


class _Averaged(nn.Module):
    """A posterior as a module, so that attacks find the mode and the grad flags of its networks."""

    def __init__(self, posterior: Posterior) -> None:
        super().__init__()
        self.posterior, self.networks = posterior, nn.ModuleList(posterior.networks)
        self.training = self.networks.training = False

    def forward(self, images: Tensor) -> Tensor:
        return _mean_logits(self.posterior(images))


def _mean_logits(log_probs_BKC: Tensor) -> Tensor:
    """The logarithm of the mean probability over the samples; of several labels (B, K, L, 2), of yes against no."""
    log_probs = log_probs_BKC.logsumexp(dim=1) - math.log(log_probs_BKC.shape[1])
    return log_probs if log_probs.ndim == 2 else log_probs[..., 1] - log_probs[..., 0]
