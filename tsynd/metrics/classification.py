"""How good are predicted probabilities: discrimination, whether uncertainty finds the errors, and all metrics of a task.

All functions take `probs_BC` (B images, C >= 2 classes, rows sum to one) and `labels_B` (int64, 0 .. C - 1) and return
a plain float. A small test set may lack a class: what is averaged over classes is averaged over those present, and what
is undefined without a second class is None, never NaN. torchmetrics is imported where it is used: that takes seconds.
"""

import math
from statistics import fmean
from typing import Annotated, Any

import torch
from torch import Tensor

from tsynd.data.dataset import TASKS
from tsynd.errors import TsyndError
from tsynd.metrics.calibration import aurc, brier, ece, ece_interval, nll
from tsynd.uncertainty import log_probabilities
from tsynd.utils.rng import generator_for
from tsynd.utils.rules import choice, validated
from tsynd.utils.validation import check_labels, check_tensors

__all__ = ["accuracy", "auroc", "balanced_accuracy", "error_auroc", "quadratic_kappa", "sensitivity_at_90_specificity"]


def accuracy(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Fraction of images whose most probable class is their label (binary: a threshold of .5)."""
    _check_scores(probs_BC, labels_B)
    return float(_confusion(probs_BC, labels_B).trace() / len(labels_B))


def balanced_accuracy(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Mean recall over the classes that are present in the labels; chance is 1 / C. Any scores in the order of probs do.

    Several labels an image: (B, L, 2), as `scores` gives them, and labels (B, L); the mean over labels of the binary ones.

    >>> probs = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0]])
    >>> balanced_accuracy(probs, torch.tensor([0, 0, 1]))  # recalls 1 and 0; class 2 is absent
    0.5
    """
    check_tensors(probabilities=probs_BC, labels=labels_B)
    if labels_B.ndim == 2:
        pairs = zip(probs_BC.unbind(1), labels_B.unbind(1), strict=True)
        return fmean(balanced_accuracy(of_label, is_B) for of_label, is_B in pairs)
    _check_scores(probs_BC, labels_B)
    counts_CC = _confusion(probs_BC, labels_B)
    present_C = counts_CC.sum(dim=1) > 0  # torchmetrics' macro average gives an absent class that is predicted a recall of 0
    return float((counts_CC.diag() / counts_CC.sum(dim=1))[present_C].mean())


@validated
def scores(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits as scores whose largest, along the last dimension, is what is decided.

    One class an image, labels (B,): the logits (B, C) themselves. Several labels, (B, L): of each the log-probability that it
    is absent and present, (B, L, 2); a probability of exactly .5 is decided as absent.

    >>> scores(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]])).argmax(-1)
    tensor([[1, 0]])
    """
    return logits if labels.ndim == 1 else log_probabilities(logits, multi_label=True)


def auroc(probs_BC: Tensor, labels_B: Tensor) -> float | None:
    """Area under the ROC curve: of class 1 when there are two classes, else one-vs-rest, averaged over the classes present.

    None when all labels are the same. Hand and Till (2001) and MedMNIST v2 average one-vs-rest likewise.
    """
    _check_scores(probs_BC, labels_B)
    if len(labels_B.unique()) < 2:
        return None
    if probs_BC.shape[1] == 2:
        return _binary_auroc(probs_BC[:, 1], labels_B == 1)
    areas = [_binary_auroc(probs_BC[:, label], labels_B == label) for label in labels_B.unique().tolist()]
    return sum(areas) / len(areas)


def sensitivity_at_90_specificity(probs_BC: Tensor, labels_B: Tensor) -> float | None:
    """Highest sensitivity among the thresholds whose specificity is at least .9; binary, the positive class is 1.

    None when all labels are the same.
    """
    from torchmetrics.functional.classification import binary_sensitivity_at_specificity

    _check_scores(probs_BC, labels_B)
    if len(labels_B.unique()) < 2:
        return None
    sensitivity, _ = binary_sensitivity_at_specificity(_ranks(probs_BC[:, 1]), labels_B, min_specificity=0.9)
    return float(sensitivity)


def quadratic_kappa(probs_BC: Tensor, labels_B: Tensor) -> float | None:
    """Cohen's kappa of predicted and true grades, weighted by the square of their distance (Cohen 1968); ordinal classes.

    1 - sum_ij (i - j)^2 n_ij / sum_ij (i - j)^2 e_ij, where n counts images of class i that are predicted as j, and e is what
    chance gives with the same margins: 1 is agreement, 0 chance. None when labels and predictions are all of one class.

    >>> probs = torch.eye(3)[[0, 1, 2, 1]]
    >>> quadratic_kappa(probs, torch.tensor([0, 1, 2, 1])), quadratic_kappa(probs, torch.tensor([2, 1, 0, 1]))
    (1.0, -1.0)
    """
    from torchmetrics.functional.classification import multiclass_cohen_kappa

    _check_scores(probs_BC, labels_B)
    kappa = float(multiclass_cohen_kappa(probs_BC, labels_B, num_classes=probs_BC.shape[1], weights="quadratic"))
    return None if math.isnan(kappa) else kappa


@validated
def error_auroc(uncertainty_B: Tensor, wrong_B: Tensor) -> float | None:
    """Does uncertainty find the errors? AUROC of an uncertainty for telling wrong from right predictions; chance is .5.

    None when all predictions are right or all are wrong.

    >>> error_auroc(torch.tensor([0.1, 0.7, 0.2]), torch.tensor([False, True, False]))
    1.0
    """
    if uncertainty_B.ndim != 1 or uncertainty_B.shape != wrong_B.shape or wrong_B.dtype != torch.bool:
        found = f"{tuple(uncertainty_B.shape)} and {wrong_B.dtype} of {tuple(wrong_B.shape)}"
        raise TsyndError(f"uncertainty and wrong must have one shape (B,), and wrong be bool, got {found}")
    if not uncertainty_B.is_floating_point() or bool(uncertainty_B.isnan().any()):
        raise TsyndError(f"uncertainty must be floating-point without NaN, got {uncertainty_B.dtype}")
    if len(wrong_B.unique()) < 2:
        return None
    return _binary_auroc(uncertainty_B, wrong_B)


@validated
def clean_metrics(probs: Tensor, labels: Tensor, task: Annotated[str, choice("task", TASKS)], *, seed: int = 0) -> dict[str, Any]:
    """The `clean` section of `metrics.json`: all metrics that apply to the task, ready for JSON.

    Numbers, None where they are undefined, and lists of these: ece_interval is [low, high], auroc_per_label has L entries.
    Every task: accuracy, balanced_accuracy, auroc, nll, brier, ece, ece_interval and aurc, whose uncertainty is 1 - the largest
    probability. Binary: also sensitivity_at_90_specificity. Ordinal: also quadratic_kappa. Multi-label: also auroc_per_label.

    Multi-label is L yes-or-no questions an image, with labels that may depend on each other. Accuracy (MedMNIST's ACC), ece
    and aurc are over all B * L decisions, at a threshold of .5; the interval resamples images. nll and brier are *sums* over
    labels, mean over images: 0 <= Brier <= 2 L. balanced_accuracy and auroc are means over labels of the binary ones, auroc
    over the labels that occur with both values. With L = 1 all are those of the binary task.

    Args:
        probs: (B, C) probabilities; multi-label: (B, L) probabilities of "yes", each in [0, 1].
        labels: (B,) int64; multi-label: (B, L) int64, 0 or 1.
        task: "binary", "multi-class", "ordinal" or "multi-label".
        seed: of the resamples behind ece_interval.

    Raises:
        TsyndError: for another task, and when probabilities and labels do not fit together.
    """
    probs, labels = probs.detach().cpu(), labels.cpu()
    if task == "multi-label":
        _check_multi_label(probs, labels)
        return _multi_label(probs, labels, seed)
    _check(probs, labels)
    if task == "binary" and probs.shape[1] != 2:
        raise TsyndError(f"a binary task has 2 classes, got probabilities for {probs.shape[1]}")
    metrics: dict[str, Any] = {
        "accuracy": accuracy(probs, labels),
        "balanced_accuracy": balanced_accuracy(probs, labels),
        "auroc": auroc(probs, labels),
    }
    if task == "binary":
        metrics["sensitivity_at_90_specificity"] = sensitivity_at_90_specificity(probs, labels)
    if task == "ordinal":
        metrics["quadratic_kappa"] = quadratic_kappa(probs, labels)
    return metrics | _calibration(probs, labels, seed)


def _multi_label(probs_BL: Tensor, labels_BL: Tensor, seed: int) -> dict[str, Any]:
    by_label = [(_yes_or_no(p_B), y_B) for p_B, y_B in zip(probs_BL.unbind(1), labels_BL.unbind(1), strict=True)]
    decisions_N2, labels_N = _yes_or_no(probs_BL.flatten()), labels_BL.flatten()
    areas = [auroc(p_B2, y_B) for p_B2, y_B in by_label]
    defined = [area for area in areas if area is not None]
    metrics: dict[str, Any] = {
        "accuracy": accuracy(decisions_N2, labels_N),
        "balanced_accuracy": fmean(balanced_accuracy(p_B2, y_B) for p_B2, y_B in by_label),
        "auroc": fmean(defined) if defined else None,
        "auroc_per_label": areas,
    }
    return metrics | _calibration(decisions_N2, labels_N, seed, rows_per_image=len(by_label))


def _calibration(probs_NC: Tensor, labels_N: Tensor, seed: int, rows_per_image: int = 1) -> dict[str, Any]:
    """Scores summed over the rows of an image, calibration and risk over all rows."""
    generator = generator_for(seed, "ece interval")
    confidence_N, predicted_N = probs_NC.double().max(dim=1)
    return {
        "nll": nll(probs_NC, labels_N) * rows_per_image,
        "brier": brier(probs_NC, labels_N) * rows_per_image,
        "ece": ece(probs_NC, labels_N),
        "ece_interval": list(ece_interval(probs_NC, labels_N, rows_per_image=rows_per_image, generator=generator)),
        "aurc": aurc(1 - confidence_N, predicted_N != labels_N),
    }


def _yes_or_no(probs_B: Tensor) -> Tensor:
    """The probabilities of "yes" as those of two classes, (B, 2) in float64; exactly .5 is decided as "no"."""
    return torch.stack([1 - probs_B.double(), probs_B.double()], dim=1)


def _check_scores(scores_BC: Tensor, labels_B: Tensor) -> None:
    """Refuse what are no scores of classes, or have NaN, and what are no labels among these classes."""
    _check_shapes(scores_BC, labels_B)
    if bool(scores_BC.isnan().any()):
        raise TsyndError("probabilities must not be NaN")


def _check(probs_BC: Tensor, labels_B: Tensor) -> None:
    """Refuse what are no probabilities of classes, and what are no labels among these classes."""
    _check_shapes(probs_BC, labels_B)
    if not bool((probs_BC >= 0).all()) or not bool(((probs_BC.sum(dim=1) - 1).abs() < 1e-3).all()):
        raise TsyndError("probabilities must be >= 0 and sum to one in each row; NaN or logits were given instead")


def _check_shapes(scores_BC: Tensor, labels_B: Tensor) -> None:
    check_tensors(probabilities=scores_BC, labels=labels_B)
    if scores_BC.ndim != 2 or scores_BC.shape[1] < 2 or len(scores_BC) == 0 or not scores_BC.is_floating_point():
        found = f"{scores_BC.dtype} of {tuple(scores_BC.shape)}"
        raise TsyndError(f"probabilities must be float of shape (B, C) with B >= 1 and C >= 2, got {found}")
    check_labels(labels_B, (len(scores_BC),), scores_BC.shape[1])


def _check_multi_label(probs_BL: Tensor, labels_BL: Tensor) -> None:
    if probs_BL.ndim != 2 or probs_BL.numel() == 0:
        raise TsyndError(f"probabilities must have shape (B, L) with B >= 1 and L >= 1, got {tuple(probs_BL.shape)}")
    check_labels(labels_BL, tuple(probs_BL.shape))
    if not bool(((probs_BL >= 0) & (probs_BL <= 1)).all()):
        raise TsyndError(f"probabilities must lie in [0, 1], got {float(probs_BL.min()):.4g} to {float(probs_BL.max()):.4g}")


def _confusion(probs_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Images of each class (rows) by predicted class, (C, C) in float64."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    return multiclass_confusion_matrix(probs_BC, labels_B, num_classes=probs_BC.shape[1]).double()


def _binary_auroc(scores_B: Tensor, positive_B: Tensor) -> float:
    from torchmetrics.functional.classification import binary_auroc

    return float(binary_auroc(_ranks(scores_B), positive_B.long()))


def _ranks(scores_B: Tensor) -> Tensor:
    """Scores as ranks in [0, 1], ties kept: torchmetrics puts other ranges through a sigmoid, where small ones would tie."""
    levels, rank_B = scores_B.unique(return_inverse=True)
    return rank_B.double() / max(1, len(levels) - 1)
