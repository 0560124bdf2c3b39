"""What a classifier is trained by: labels as targets, and the loss of each image."""

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.classification.networks import Classifier
from tsynd.errors import TsyndError
from tsynd.utils.rules import number, validated


@validated
def as_targets(labels: Tensor, classifier: Classifier) -> Tensor:
    """Labels as what the loss compares with, (B, C): class numbers one-hot, multi-label ones as they are."""
    if classifier.multi_label:
        return labels
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise TsyndError(f"labels must be int64 class numbers (B,), got {labels.dtype} of shape {tuple(labels.shape)}")
    if labels.device.type == "cpu" and len(labels):  # not on other devices, which would wait for it
        low, high = (int(end) for end in labels.aminmax())
        if low < 0 or high >= classifier.classes:
            raise TsyndError(f"labels must lie in 0 .. {classifier.classes - 1}, got {low} to {high}")
    return F.one_hot(labels, classifier.classes)


@validated
def classification_losses(
    logits_BC: Tensor, targets_BC: Tensor, *, multi_label: bool = False, smoothing: Annotated[float, number(0, 1)] = 0.0
) -> Tensor:
    """What `classification_loss` averages: the loss of each image, (B,) in nats.

    Raises:
        TsyndError: when logits and targets are not floating-point (B, C) both, or the smoothing lies outside [0, 1].
    """
    if logits_BC.ndim != 2 or logits_BC.shape != targets_BC.shape or not logits_BC.is_floating_point():
        found = f"{logits_BC.dtype} of {tuple(logits_BC.shape)} and {tuple(targets_BC.shape)}"
        raise TsyndError(f"logits and targets must be floating-point (B, C), got {found}")
    if not multi_label and not targets_BC.is_floating_point():
        raise TsyndError(f"targets must be probabilities (see `as_targets`), got {targets_BC.dtype}")
    if multi_label:
        even_BC = targets_BC * (1 - smoothing) + 0.5 * smoothing
        return F.binary_cross_entropy_with_logits(logits_BC, even_BC, reduction="none").sum(dim=1)
    return F.cross_entropy(logits_BC, targets_BC, label_smoothing=smoothing, reduction="none")


def classification_loss(
    logits_BC: Tensor,
    targets_BC: Tensor,
    *,
    multi_label: bool = False,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """The loss that a classifier is trained by: cross-entropy, or the sum of one binary cross-entropy for each label.

    Args:
        logits_BC: (B, C).
        targets_BC: (B, C) probabilities: rows that sum to one, or for multi-label tasks one probability for each label.
        multi_label: whether several labels may hold at once.
        smoothing: mixes the targets with that much of an even guess.
        weights: how much each image counts; all alike without.

    Returns:
        The mean over the images, in nats.
    """
    loss_B = classification_losses(logits_BC, targets_BC, multi_label=multi_label, smoothing=smoothing)
    return (loss_B if weights is None else loss_B * weights).mean()
