"""What a search climbs: objectives of the classifier's predictions, and the guard that keeps an image of its class."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.uncertainty import LOWEST_LOG_PROB, mutual_information, predictive_entropy
from tsynd.utils.rules import FLAG, check_fields, number
from tsynd.utils.validation import check_name

Objective = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Divergence:
    """KL(p0 || p) in nats, from the mean prediction at the start of the search to the present one.

    This is what virtual adversarial training climbs (Miyato et al. 2018, arXiv 1704.03976), here on decoded images as in LVAT
    (Osada et al. 2020, arXiv 2011.13181). Before it is bound to the predictions at the start it is 0 everywhere. At the start
    it is 0 with a gradient of 0, so a search begins with its noise.
    """

    start_BKC: Tensor | None = None

    def __call__(self, log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        now_BC = _log_mean(log_probs_BKC)
        before_BC = now_BC.detach() if self.start_BKC is None else _log_mean(self.start_BKC)
        return (before_BC.exp() * (before_BC - now_BC)).flatten(1).sum(dim=1)


def bind(objective: Objective, start_BKC: Tensor) -> Objective:
    """Return the objective of a search that starts at these predictions; only a `Divergence` depends on them."""
    return replace(objective, start_BKC=start_BKC) if isinstance(objective, Divergence) else objective


def _log_mean(log_probs_BKC: Tensor) -> Tensor:
    """The log of the mean prediction over the samples, (B, C), or (B, L, 2) of several labels."""
    return (log_probs_BKC.logsumexp(dim=1) - math.log(log_probs_BKC.shape[1])).clamp_min(LOWEST_LOG_PROB)


OBJECTIVES: dict[str, Objective] = {
    "mutual_information": lambda log_probs_BKC, labels_B: mutual_information(log_probs_BKC),
    "entropy": lambda log_probs_BKC, labels_B: predictive_entropy(log_probs_BKC),
    "cross_entropy": lambda log_probs_BKC, labels_B: -log_prob(log_probs_BKC, labels_B),
    "divergence": Divergence(),
    # The controls report mutual information. Random: the same search is run, but of its displacement only the length is
    # kept. Reconstruction: no search.
    "random": lambda log_probs_BKC, labels_B: mutual_information(log_probs_BKC),
    "reconstruction": lambda log_probs_BKC, labels_B: mutual_information(log_probs_BKC),
}


@dataclass(frozen=True)
class Guard:
    """The label guard: how far log p(label) may fall during the search before it costs.

    The penalty is weight * relu(log p0(y) - log p(y) - bound), where p is the mean over the fixed posterior samples and
    p0 its value at the start. Images that start wrong may not get worse: for them the bound is 0.

    weight: nats of the objective for a nat below the bound, at least 0. bound: in nats, at least 0. hard: the penalty steers
    the search as before, and a code below the bound is never kept, whatever its objective.
    """

    weight: Annotated[float, number()] = 3.0
    bound: Annotated[float, number()] = 0.5
    hard: Annotated[bool, FLAG] = False

    def __post_init__(self) -> None:
        check_fields(self)

    def floor(self, log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        """The value of log p(label) below which the penalty begins, from the predictions at the start: (B,)."""
        mean = log_probs_BKC.logsumexp(dim=1).argmax(dim=-1)
        right_B = (mean == labels_B).reshape(len(labels_B), -1).all(dim=1)
        return log_prob(log_probs_BKC, labels_B) - self.bound * right_B

    def penalty(self, log_probs_BKC: Tensor, labels_B: Tensor, floor_B: Tensor) -> Tensor:
        """What the objective loses: (B,), at least 0."""
        return self.weight * (floor_B - log_prob(log_probs_BKC, labels_B)).relu()

    def refuses(self, log_probs_BKC: Tensor, labels_B: Tensor, floor_B: Tensor) -> Tensor:
        """Which codes may not be kept: (B,) bool; none unless `hard`."""
        return log_prob(log_probs_BKC, labels_B) < floor_B - 1e-6 if self.hard else torch.zeros_like(floor_B, dtype=torch.bool)


def log_prob(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
    """log of the mean probability of each image's label; with several labels, (B, K, L, 2) and (B, L), the sum of theirs."""
    if log_probs_BKC.ndim == 3:
        log_probs_BKC, labels_B = log_probs_BKC.unsqueeze(2), labels_B.unsqueeze(1)
    samples = log_probs_BKC.shape[1]
    label_BKL = log_probs_BKC.gather(3, labels_B[:, None, :, None].expand(-1, samples, -1, 1)).squeeze(3)
    return (label_BKL.clamp_min(LOWEST_LOG_PROB).logsumexp(dim=1) - math.log(samples)).sum(dim=1)


def find_objective(objective: str | Objective) -> Objective:
    """The function that a name stands for; a function is itself."""
    if callable(objective):
        return objective
    check_name("objective", objective, OBJECTIVES)
    return OBJECTIVES[objective]


def check_labels(labels_B: Tensor, log_probs_BKC: Tensor) -> None:
    """Refuse labels that are not among the classes of the predictions; values are not looked at on the meta device."""
    classes, expected = log_probs_BKC.shape[-1], (len(log_probs_BKC), *log_probs_BKC.shape[2:-1])
    if tuple(labels_B.shape) != expected:
        raise TsyndError(f"labels must have shape {expected} for these predictions, got {tuple(labels_B.shape)}")
    if not labels_B.is_meta and bool(((labels_B < 0) | (labels_B >= classes)).any()):
        low, high = (int(end) for end in labels_B.aminmax())
        raise TsyndError(f"labels must be in 0 .. {classes - 1}, the classifier's classes, got {low} .. {high}")


def check_values(values_A: Tensor, row_A: Tensor, step: int) -> Tensor:
    """The objective's values, if there is one finite number for each image that is searched; `row_A` are their numbers."""
    if not isinstance(values_A, Tensor) or values_A.shape != row_A.shape:
        found = tuple(values_A.shape) if isinstance(values_A, Tensor) else type(values_A).__name__
        raise TsyndError(f"the objective must give one value for each image, shape {tuple(row_A.shape)}, got {found}")
    refuse_not_finite(values_A, row_A, step, "the objective")
    return values_A


def refuse_not_finite(values: Tensor, row_A: Tensor, step: int, what: str) -> None:
    """Name the first image whose values are NaN or infinite; values are not looked at on the meta device."""
    if values.is_meta or bool(torch.isfinite(values).all()):
        return
    bad_A = ~torch.isfinite(values.detach()).reshape(len(values), -1).all(dim=1)
    first = int(bad_A.int().argmax())
    kind = "NaN" if bool(values[first].isnan().any()) else "infinite"
    raise TsyndError(f"{what} is {kind} for image {int(row_A[first])} at step {step} ({int(bad_A.sum())} images in all)")
