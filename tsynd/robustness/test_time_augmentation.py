"""Robustness to random test-time augmentation, inside and outside the range used in training."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor

from tsynd.augmentation.affine import SHIFTED_RANGE, TRAIN_RANGE, augment
from tsynd.metrics.classification import balanced_accuracy, scores
from tsynd.utils.batching import batches, predict
from tsynd.utils.network_trial import logits_of
from tsynd.utils.rules import validated, whole

__test__: dict[str, str] = {}  # no tests, whatever the name says to pytest


@validated
def test_time_augmentation(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    labels_B: Tensor,
    draws: Annotated[int, whole(1)],
    generator: torch.Generator | None = None,
    *,
    batch_size: int = 256,
    device: torch.device | None = None,
    seen: Callable[[str, Tensor], None] | None = None,
) -> dict[str, Any]:
    """Robustness to random test-time augmentation, inside and outside the range used in training.

    In each draw every image is augmented once. Models evaluated with equally seeded generators see the same augmented
    images, so their figures are paired.

    Args:
        model: images in [0, 1] to logits (B, C), in eval mode.
        images: (B, C, S, S) float in [0, 1] or uint8.
        labels_B: (B,) int64; several labels an image: (B, L) of 0 and 1, and logits of as many.
        draws: how often each image is augmented, at least 1.
        generator: a CPU generator; torch's global state without one.
        batch_size: bounds the memory; does not change the result.
        device: where the model is; that of the images without one.
        seen: called with "inside" or "outside" and what the model says of the set, after each draw.

    Returns:
        A dictionary with the number of draws, and, for each of "inside" and "outside", "mean", "worst" and "consistency". These
        are the mean and the worst balanced accuracy over the draws, and the mean fraction of images that keep the class they
        are given without augmentation (of several labels, of all yes-or-no decisions).

    Raises:
        TsyndError: when `draws` < 1 or the set is empty.
    """
    clean_B = scores(predict(model, images, batch_size, device), labels_B).argmax(dim=-1)
    report: dict[str, Any] = {}
    for name, ranges in (("inside", TRAIN_RANGE), ("outside", SHIFTED_RANGE)):
        balanced, kept = [], []
        for _ in range(draws):
            with torch.no_grad():
                parts = [
                    logits_of(model, augment(part, ranges, generator)).cpu() for _, part in batches(images, batch_size, device)
                ]
            scores_BC = scores(torch.cat(parts), labels_B)
            balanced.append(balanced_accuracy(scores_BC, labels_B))
            kept.append((scores_BC.argmax(dim=-1) == clean_B).double().mean().item())
            if seen is not None:
                seen(name, scores_BC)
        report[name] = {"mean": sum(balanced) / draws, "worst": min(balanced), "consistency": sum(kept) / draws}
    return report | {"draws": draws}
