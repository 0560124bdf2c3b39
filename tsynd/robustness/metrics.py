"""How good are predicted probabilities: discrimination, calibration, and whether uncertainty finds the errors.

All functions take `probs_BC` (B images, C >= 2 classes, rows sum to one) and `labels_B` (int64, 0 .. C - 1) and return
a plain float. A small test set may lack a class: what is averaged over classes is averaged over those present, and what
is undefined without a second class is None, never NaN. torchmetrics is imported where it is used: that takes seconds.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError, unknown

TASKS = ("binary", "multi-class", "ordinal")


def accuracy(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Fraction of images whose most probable class is their label (binary: a threshold of .5)."""
    return float(_confusion(probs_BC, labels_B).trace() / len(labels_B))


def balanced_accuracy(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Mean recall over the classes that are present in the labels; chance is 1 / C. Any scores in the order of probs do.

    >>> probs = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0]])
    >>> balanced_accuracy(probs, torch.tensor([0, 0, 1]))  # recalls 1 and 0; class 2 is absent
    0.5
    """
    counts_CC = _confusion(probs_BC, labels_B)
    present_C = counts_CC.sum(dim=1) > 0  # torchmetrics' macro average gives an absent class that is predicted a recall of 0
    return float((counts_CC.diag() / counts_CC.sum(dim=1))[present_C].mean())


def auroc(probs_BC: Tensor, labels_B: Tensor) -> float | None:
    """Area under the ROC curve: of class 1 when there are two classes, else one-vs-rest, averaged over the classes present.

    None when all labels are the same. Hand and Till (2001) and MedMNIST v2 average one-vs-rest likewise.
    """
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

    if len(labels_B.unique()) < 2:
        return None
    sensitivity, _ = binary_sensitivity_at_specificity(_ranks(probs_BC[:, 1]), labels_B, min_specificity=0.9)
    return float(sensitivity)


def nll(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Negative log-likelihood of the labels, mean over images, in nats; a probability of 0 counts as the smallest float64."""
    probs_B = probs_BC.double().gather(1, labels_B.view(-1, 1))
    return float(-probs_B.clamp_min(torch.finfo(torch.float64).tiny).log().mean())


def brier(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Brier score: squared error of the probabilities, *summed* over classes, mean over images; 0 <= Brier <= 2 (Brier 1950).

    For two classes it is twice the form that looks at class 1 only.
    """
    return float((probs_BC.double() - F.one_hot(labels_B, probs_BC.shape[1])).square().sum(dim=1).mean())


def ece(probs_BC: Tensor, labels_B: Tensor, bins: int = 15, fewest: int = 10) -> float:
    """Expected calibration error with equal-mass bins: mean |accuracy - confidence| over bins that hold equally many images.

    Confidence is the largest probability. Equal mass keeps every bin as sure as the others (Nixon et al. 2019, arXiv
    1904.01685). Images of one confidence share their mean correctness, so that their order does not matter.

    Args:
        bins: number of bins; fewer when a bin would hold less than `fewest` images.
    """
    bins = max(1, min(bins, len(labels_B) // fewest))
    confidence_B, predicted_B = probs_BC.double().max(dim=1)
    correct_B = (predicted_B == labels_B).double()
    levels, level_B, count = confidence_B.unique(return_inverse=True, return_counts=True)  # sorted
    mean_correct = torch.zeros_like(levels).index_add_(0, level_B, correct_B) / count
    gaps = (mean_correct - levels).repeat_interleave(count)
    return float(sum(part.sum().abs() for part in gaps.tensor_split(bins)) / len(labels_B))


def error_auroc(uncertainty_B: Tensor, wrong_B: Tensor) -> float | None:
    """Does uncertainty find the errors? AUROC of an uncertainty for telling wrong from right predictions; chance is .5.

    None when all predictions are right or all are wrong.

    >>> error_auroc(torch.tensor([0.1, 0.7, 0.2]), torch.tensor([False, True, False]))
    1.0
    """
    if len(wrong_B.unique()) < 2:
        return None
    return _binary_auroc(uncertainty_B, wrong_B)


def clean_metrics(probs_BC: Tensor, labels_B: Tensor, task: str) -> dict[str, float | None]:
    """The `clean` section of `metrics.json`: all of the metrics above that apply to the task.

    Args:
        probs_BC: (B, C) probabilities.
        labels_B: (B,) int64.
        task: "binary", "multi-class" or "ordinal".

    Raises:
        TsyndError: for another task, and when probabilities and labels do not fit together.
    """
    check_task(task)
    _check(probs_BC, labels_B)
    if task == "binary" and probs_BC.shape[1] != 2:
        raise TsyndError(f"a binary task has 2 classes, got probabilities for {probs_BC.shape[1]}")
    probs_BC, labels_B = probs_BC.detach().cpu(), labels_B.cpu()
    metrics: dict[str, float | None] = {
        "accuracy": accuracy(probs_BC, labels_B),
        "balanced_accuracy": balanced_accuracy(probs_BC, labels_B),
        "auroc": auroc(probs_BC, labels_B),
    }
    if task == "binary":
        metrics["sensitivity_at_90_specificity"] = sensitivity_at_90_specificity(probs_BC, labels_B)
    return metrics | {"nll": nll(probs_BC, labels_B), "brier": brier(probs_BC, labels_B), "ece": ece(probs_BC, labels_B)}


def check_task(task: str) -> None:
    """Raise a TsyndError unless the task can be evaluated."""
    if task == "multi-label":
        raise TsyndError(f"task 'multi-label' cannot be evaluated yet: one of {', '.join(TASKS)} would do")
    if task not in TASKS:
        raise unknown("task", task, TASKS)


def _check(probs_BC: Tensor, labels_B: Tensor) -> None:
    if probs_BC.ndim != 2 or probs_BC.shape[1] < 2 or len(probs_BC) == 0:
        raise TsyndError(f"probabilities must have shape (B, C) with B >= 1 and C >= 2, got {tuple(probs_BC.shape)}")
    if labels_B.shape != probs_BC.shape[:1] or labels_B.dtype != torch.int64:
        expected, got = len(probs_BC), f"{labels_B.dtype} of shape {tuple(labels_B.shape)}"
        raise TsyndError(f"labels must be int64 of shape ({expected},), got {got}")
    if int(labels_B.min()) < 0 or int(labels_B.max()) >= probs_BC.shape[1]:
        lowest, highest = int(labels_B.min()), int(labels_B.max())
        raise TsyndError(f"labels must lie in 0 .. {probs_BC.shape[1] - 1}, got {lowest} .. {highest}")
    if not bool((probs_BC >= 0).all()) or not bool(((probs_BC.sum(dim=1) - 1).abs() < 1e-3).all()):
        raise TsyndError("probabilities must be >= 0 and sum to one in each row; NaN or logits were given instead")


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
