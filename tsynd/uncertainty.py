"""What a classifier does not know: total = aleatoric + epistemic uncertainty, from log-probabilities of posterior samples.

All functions take `log_probs_BKC`, the natural log-probabilities of B images under K posterior samples and C classes,
and return one value per image in nats. They are differentiable, and values *and gradients* are finite at the corners,
where a probability underflows to 0. The arithmetic is in fp32 or wider, never narrower than the input.
"""

import math

import torch
from torch import Tensor

from tsynd.errors import TsyndError

# exp(-1e4) is 0 in every float type, so clamping here changes no value; it keeps 0 * -inf out of the gradients.
LOWEST_LOG_PROB = -1e4


def predictive_entropy(log_probs_BKC: Tensor) -> Tensor:
    """Total uncertainty of each image: the entropy of the averaged prediction.

    H(mean_k p_k), in nats; 0 <= H <= ln C.

    Args:
        log_probs_BKC: (B, K, C) natural log-probabilities; each row of classes sums to one after exp.

    Returns:
        (B,) entropies, fp32 or wider.

    Raises:
        TsyndError: when the input is not a (B, K, C) floating-point tensor.

    >>> certain_but_opposed = torch.tensor([[[0.0, -torch.inf], [-torch.inf, 0.0]]])
    >>> predictive_entropy(certain_but_opposed)  # ln 2
    tensor([0.6931])
    """
    log_probs_BKC = _prepare(log_probs_BKC)
    log_mean_BC = torch.logsumexp(log_probs_BKC, dim=1) - math.log(log_probs_BKC.shape[1])
    return _entropy(log_mean_BC)


def expected_entropy(log_probs_BKC: Tensor) -> Tensor:
    """Aleatoric uncertainty of each image: the entropy that is left when the weights are known, averaged over samples.

    mean_k H(p_k), in nats; 0 <= mean_k H(p_k) <= H(mean_k p_k).

    Args and Raises as in `predictive_entropy`.

    >>> expected_entropy(torch.full((1, 4, 2), 0.5).log())  # every sample says: a coin toss
    tensor([0.6931])
    """
    return _entropy(_prepare(log_probs_BKC)).mean(dim=1)


def mutual_information(log_probs_BKC: Tensor) -> Tensor:
    """Epistemic uncertainty of each image: how much the posterior samples disagree (BALD).

    I[y; w | x] = H(mean_k p_k) - mean_k H(p_k), in nats; 0 <= I <= min(ln C, ln K).
    Houlsby et al. 2011 (arXiv 1112.5745), equation 2; the target of TSynD (arXiv 2406.17473).
    With few samples the plug-in value is biased low.

    Args and Raises as in `predictive_entropy`.

    >>> mutual_information(torch.tensor([[[0.0, -torch.inf], [-torch.inf, 0.0]]]))  # full disagreement: ln 2
    tensor([0.6931])
    >>> mutual_information(torch.full((1, 4, 2), 0.5).log())  # uncertain, but in full agreement
    tensor([0.])
    """
    return predictive_entropy(log_probs_BKC) - expected_entropy(log_probs_BKC)


def _entropy(log_probs: Tensor) -> Tensor:
    """-sum p ln p over the last dimension."""
    return -(log_probs.exp() * log_probs).sum(dim=-1)


def _prepare(log_probs_BKC: Tensor) -> Tensor:
    if log_probs_BKC.ndim != 3 or not log_probs_BKC.is_floating_point():
        shape, kind = tuple(log_probs_BKC.shape), log_probs_BKC.dtype
        raise TsyndError(f"log_probs_BKC must be a floating-point (B, K, C) tensor, got shape {shape} of {kind}")
    wide = torch.promote_types(log_probs_BKC.dtype, torch.float32)
    return log_probs_BKC.to(wide).clamp_min(LOWEST_LOG_PROB)
