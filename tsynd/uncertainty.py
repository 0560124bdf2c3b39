"""What a classifier does not know: total = aleatoric + epistemic uncertainty, from log-probabilities of posterior samples.

All functions take `log_probs_BKC`, the natural log-probabilities of B images under K posterior samples and C classes,
and return one value per image in nats. They are differentiable, and values *and gradients* are finite at the corners,
where a probability underflows to 0. The arithmetic is in fp32 or wider, never narrower than the input.

Images with several labels: `log_probs_BKL2`, for each of L labels the log-probability that it is absent and that it is
present. Labels are taken as independent given the weights, and the value of an image is the *sum* of its labels' values;
for the mutual information that is an upper bound of what all labels together tell about the weights.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.utils.rules import validated

__all__ = ["expected_entropy", "log_probabilities", "mutual_information", "predictive_entropy"]

# exp(-1e4) is 0 in every float type, so clamping here changes no value; it keeps 0 * -inf out of the gradients.
LOWEST_LOG_PROB = -1e4


def predictive_entropy(log_probs_BKC: Tensor) -> Tensor:
    """Total uncertainty of each image: the entropy of the averaged prediction.

    H(mean_k p_k), in nats; 0 <= H <= ln C (with L labels: L ln 2).

    Args:
        log_probs_BKC: (B, K, C) natural log-probabilities; each row of classes sums to one after exp. With several labels
            (B, K, L, 2). `log_probabilities` makes either from logits.

    Returns:
        (B,) entropies, fp32 or wider.

    Raises:
        TsyndError: when the input has another shape or is not floating-point, holds NaN, or when its rows are no
            log-probabilities (logits, say). Values are not looked at on the meta device.

    >>> certain_but_opposed = torch.tensor([[[0.0, -torch.inf], [-torch.inf, 0.0]]])
    >>> predictive_entropy(certain_but_opposed)  # ln 2
    tensor([0.6931])
    >>> predictive_entropy(torch.full((1, 4, 3, 2), 0.5).log())  # three labels, a coin toss each: 3 ln 2
    tensor([2.0794])
    """
    return _total(_prepare(log_probs_BKC))


def expected_entropy(log_probs_BKC: Tensor) -> Tensor:
    """Aleatoric uncertainty of each image: the entropy that is left when the weights are known, averaged over samples.

    mean_k H(p_k), in nats; 0 <= mean_k H(p_k) <= H(mean_k p_k).

    Args, Returns and Raises as in `predictive_entropy`.

    >>> expected_entropy(torch.full((1, 4, 2), 0.5).log())  # every sample says: a coin toss
    tensor([0.6931])
    """
    return _aleatoric(_prepare(log_probs_BKC))


def mutual_information(log_probs_BKC: Tensor) -> Tensor:
    """Epistemic uncertainty of each image: how much the posterior samples disagree (BALD).

    I[y; w | x] = H(mean_k p_k) - mean_k H(p_k), in nats; 0 <= I <= min(ln C, ln K) but for rounding (L labels: L times that
    of two classes). Houlsby et al. 2011 (arXiv 1112.5745), equation 2; the target of TSynD (arXiv 2406.17473).
    With few samples the plug-in value is biased low.

    Args and Returns as in `predictive_entropy`.

    Raises:
        TsyndError: as there, and when K < 2, since one sample cannot disagree.

    >>> mutual_information(torch.tensor([[[0.0, -torch.inf], [-torch.inf, 0.0]]]))  # full disagreement: ln 2
    tensor([0.6931])
    >>> mutual_information(torch.full((1, 4, 2), 0.5).log())  # uncertain, but in full agreement
    tensor([0.])
    """
    log_probs_BKLC = _prepare(log_probs_BKC, least_samples=2)
    return _total(log_probs_BKLC) - _aleatoric(log_probs_BKLC)


@validated
def log_probabilities(logits: Tensor, multi_label: bool = False) -> Tensor:
    """Natural log-probabilities of logits, in fp32 or wider: what the three functions above take.

    Args:
        logits: (..., C), one logit for each class; with multi_label (..., L), one for the presence of each label.
        multi_label: whether an image may have several of the labels.

    Returns:
        log softmax, (..., C); with multi_label (..., L, 2), ln sigmoid(-x) for absent and ln sigmoid(x) for present.

    Raises:
        TsyndError: when the logits are not floating-point, or give one class only, whose probability would always be 1.

    >>> log_probabilities(torch.tensor([0.0, 0.0])).exp()
    tensor([0.5000, 0.5000])
    >>> log_probabilities(torch.tensor([0.0, 1e4]), multi_label=True).exp()
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """
    if logits.ndim < 1 or not logits.is_floating_point():
        raise TsyndError(f"logits must be a floating-point tensor (..., C), got shape {tuple(logits.shape)} of {logits.dtype}")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if multi_label:
        return torch.stack([F.logsigmoid(-wide), F.logsigmoid(wide)], dim=-1)
    if logits.shape[-1] < 2:
        raise TsyndError(
            f"logits need at least 2 classes, got shape {tuple(logits.shape)}: for sigmoid outputs set multi_label=True "
            "(a network: its attribute multi_label)"
        )
    return wide.log_softmax(dim=-1)


def _total(log_probs_BKLC: Tensor) -> Tensor:
    """H(mean_k p_k)."""
    return _entropy(torch.logsumexp(log_probs_BKLC, dim=1) - math.log(log_probs_BKLC.shape[1]))


def _aleatoric(log_probs_BKLC: Tensor) -> Tensor:
    """mean_k H(p_k)."""
    return _entropy(log_probs_BKLC).mean(dim=1)


def _entropy(log_probs: Tensor) -> Tensor:
    """-sum p ln p over the classes (last dimension) and over the labels (the one before)."""
    return -(log_probs.exp() * log_probs).sum(dim=(-2, -1))


@validated
def _prepare(log_probs_BKC: Tensor, least_samples: int = 1) -> Tensor:
    """The checked input as (B, K, L, C), widened; L is 1 without labels, and -inf becomes a number whose exp is 0."""
    shape, kind = tuple(log_probs_BKC.shape), log_probs_BKC.dtype
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] == 2)
    if not fits or not all(shape[1:]) or not log_probs_BKC.is_floating_point():
        raise TsyndError(f"log_probs_BKC must be a floating-point (B, K, C) or (B, K, L, 2) tensor, got shape {shape} of {kind}")
    if shape[1] < least_samples:
        raise TsyndError(
            f"mutual information needs at least {least_samples} posterior samples, got K={shape[1]} in shape {shape}"
        )
    wide = log_probs_BKC.to(torch.promote_types(kind, torch.float32))
    if not wide.is_meta:
        with torch.no_grad():
            error = (wide.exp().sum(dim=-1) - 1).abs()
            if not bool((error <= (1e-3 if kind.itemsize >= 4 else 5e-2)).all()):  # NaN fails too
                raise _no_log_probabilities(wide, error)
    lowest = wide.clamp_min(LOWEST_LOG_PROB)
    return lowest if len(shape) == 4 else lowest.unsqueeze(2)


def _no_log_probabilities(values: Tensor, error: Tensor) -> TsyndError:
    """Say what the rows are instead: NaN, probabilities or logits, naming the first or the worst image."""
    nan_B = values.isnan().flatten(1).any(dim=1)
    if nan_B.any():
        return TsyndError(
            f"log_probs_BKC has NaN for image {int(nan_B.int().argmax())} ({int(nan_B.sum())} of {len(nan_B)} images)"
        )
    if (values >= 0).all() and ((values.sum(dim=-1) - 1).abs() < 1e-2).all():
        return TsyndError("log_probs_BKC are probabilities (each row sums to one): pass their logarithm")
    image = int(error.flatten(1).amax(dim=1).argmax())
    return TsyndError(
        f"log_probs_BKC must sum to one over classes after exp, but for image {image} the sum is off by "
        f"{float(error[image].max()):.3g}: if these are logits, pass logits through log_softmax(-1)"
    )
