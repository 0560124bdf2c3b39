"""A row for each condition that a classifier is tested under: how right, calibrated and uncertain, with an interval."""

from typing import Any

import torch
from torch import Tensor

from tsynd.metrics.calibration import aurc, ece, nll
from tsynd.metrics.classification import balanced_accuracy, error_auroc
from tsynd.utils.rng import uniform

RESAMPLES, CHUNK = 1000, 100


def resampled(labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """How often each image is drawn into each of 1000 bootstrap samples, uint8 (R, B), to be shared by all conditions.

    Drawn with replacement, inside each class, so that every sample has as many images of each; several labels: among all.
    """
    counts_RB = torch.zeros(RESAMPLES, len(labels), dtype=torch.uint8)
    groups = [labels == label for label in labels.unique()] if labels.ndim == 1 else [torch.ones(len(labels), dtype=torch.bool)]
    for group in groups:
        places, size = group.nonzero().flatten(), int(group.sum())
        for rows_rB in counts_RB.split(max(1, 2**22 // max(size, 1))):  # views; parts bound the memory
            drawn_rP = (uniform((len(rows_rB), size), generator, torch.empty(0)) * size).long()
            copies_rP = torch.zeros(drawn_rP.shape, dtype=torch.uint8).scatter_add_(
                1, drawn_rP, torch.ones(drawn_rP.shape, dtype=torch.uint8)
            )
            rows_rB[:, places] = copies_rP
    return counts_RB


def described(scores: Tensor, labels: Tensor, counts_RB: Tensor, information_B: Tensor | None = None) -> dict[str, float | None]:
    """The measures of one condition.

    Args:
        scores: (B, C), or of several labels (B, L, 2), log-probabilities up to a constant; (D * B, ...) of D draws, one after
            the other.
        labels: (B,) int64; several: (B, L).
        counts_RB: as `resampled` gives them.
        information_B: mutual information of each image, in nats.

    Returns:
        accuracy; balanced_accuracy, with low and high of its 95 % interval over images (percentiles); nll in nats, of several
        labels summed over them; ece; aurc, with 1 - the largest probability as uncertainty; the mean mutual_information and
        error_auroc, how well it finds the errors. None where it is undefined.
    """
    draws = len(scores) // len(labels)
    all_labels = labels.repeat(draws, *[1] * (labels.ndim - 1))
    probs_NC, labels_N = scores.double().softmax(dim=-1).flatten(0, -2), all_labels.flatten()
    right = scores.argmax(dim=-1) == all_labels
    wrong_N = ~right.flatten()
    low, high = _interval(right.double().unflatten(0, (draws, -1)).mean(dim=0), labels, counts_RB)
    wrong_B = ~right.reshape(len(right), -1).all(dim=1)
    return {
        "accuracy": right.double().mean().item(),
        "balanced_accuracy": _mean_balanced(scores, labels),
        "low": low,
        "high": high,
        "nll": nll(probs_NC, labels_N) * labels_N.numel() / len(all_labels),
        "ece": ece(probs_NC, labels_N),
        "aurc": aurc(1 - probs_NC.max(dim=1).values, wrong_N),
        "mutual_information": None if information_B is None else information_B.double().mean().item(),
        "error_auroc": None if information_B is None else error_auroc(information_B, wrong_B),
    }


def condition(section: str, name: str, level: float | None, count: int, measures: dict[str, float | None]) -> dict[str, Any]:
    """A row: where it belongs, its severity or eps, of how many images, and its measures."""
    return {"section": section, "name": name, "level": level, "n": count} | measures


def _mean_balanced(scores: Tensor, labels: Tensor) -> float:
    parts = [balanced_accuracy(part, labels) for part in scores.split(len(labels))]
    return sum(parts) / len(parts)


def _interval(right: Tensor, labels: Tensor, counts_RB: Tensor) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the balanced accuracy over the resamples; `right` may be a mean over draws."""
    columns = [(right, labels)] if labels.ndim == 1 else list(zip(right.unbind(1), labels.unbind(1), strict=True))
    parts = []
    for counts_rB in counts_RB.split(CHUNK):
        weights_rB = counts_rB.double()
        recalls = []
        for right_B, labels_B in columns:
            of_class_BC = torch.nn.functional.one_hot(labels_B)[:, labels_B.unique()].double()
            recalls.append((weights_rB @ (of_class_BC * right_B[:, None])) / (weights_rB @ of_class_BC))
        parts.append(torch.stack([recall_rC.nanmean(dim=1) for recall_rC in recalls]).mean(dim=0))
    low, high = torch.cat(parts).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
