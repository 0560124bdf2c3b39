"""All that is asked of a classifier in one call: clean, augmented, corrupted and attacked, and does it know its errors."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from tsynd.data.dataset import TASKS
from tsynd.errors import TsyndError, unknown
from tsynd.modes import frozen
from tsynd.posterior import Posterior
from tsynd.randomness import generator_for, uniform
from tsynd.robustness.attacks import Model, pgd
from tsynd.robustness.augmentation import test_time_augmentation
from tsynd.robustness.batches import batches, predict
from tsynd.robustness.corruptions import DEFAULT, corrupt
from tsynd.robustness.metrics import balanced_accuracy, clean_metrics, error_auroc, scores
from tsynd.uncertainty import mutual_information

EPS = (0.0, 1 / 255, 2 / 255, 4 / 255, 8 / 255)
"""Sizes of the attacks that are reported, in intensity: up to eight grey levels."""


def evaluate(
    model: Model,
    images: Tensor,
    labels: Tensor,
    task: str,
    *,
    posterior: Posterior | None = None,
    seed: int = 0,
    draws: int = 10,
    corruptions: Iterable[str] = DEFAULT,
    eps: Iterable[float] = EPS,
    attack_steps: int = 20,
    limit: int | None = None,
    batch_size: int = 256,
    device: torch.device | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Evaluate a classifier: the sections `clean`, `test_time_augmentation`, `corruptions`, `attacks` and `uncertainty`.

    Augmentations, noise and the random starts of attacks depend on the seed and not on the model: models evaluated with
    one seed are compared on the same images. With several labels an image, balanced accuracy is the mean over labels, accuracy
    under attack the share of yes-or-no decisions that hold, and an image counts as an error when one of its decisions is wrong;
    attacks climb the sum of the labels' losses. The model is evaluated in eval mode and without weight gradients; modes,
    grad flags and torch's global random state are as before afterwards.

    Args:
        model: float images in [0, 1] to logits (B, C), with its normalisation inside.
        images: (B, channels, S, S) uint8, or float in [0, 1].
        labels: (B,) int64, 0 .. C - 1; multi-label: (B, L) int64, 0 or 1.
        task: "binary", "multi-class", "ordinal" or "multi-label".
        posterior: for the mutual information; without one, `error_auroc` is None.
        seed: of everything random here.
        draws: random test-time augmentations of each image, inside and outside the training range each.
        corruptions: names out of `CORRUPTIONS`, such as those of `corruptions_for`, each at severities 1 to 5.
        eps: sizes of the attacks, in intensity.
        attack_steps: steps of PGD, with one random start.
        limit: augment, corrupt and attack at most so many images, chosen in proportion to the classes; all without one.
        batch_size: bounds the memory.
        device: where to compute; that of the model's parameters without one.
        progress: called with a line for each part that begins.

    Returns:
        Plain floats, ready for JSON; what is undefined is None. Cost: about 1 + 2 * draws + 5 * corruptions forward passes
        an image, and attack_steps forward and backward passes for each eps and rightly classified image.

    Raises:
        TsyndError: for input that is wrong in shape, dtype or range; see the functions that are called.
    """
    check_task(task)
    _check(images, labels, task, limit)
    say = progress or (lambda line: None)
    device = device or _device(model, images)
    labels = labels.cpu()
    with _eval_mode(model, posterior):
        say("clean")
        logits = predict(model, images, batch_size, device).double()
        probs = logits.sigmoid() if task == "multi-label" else logits.softmax(dim=1)
        report: dict[str, Any] = {"clean": clean_metrics(probs, labels, task, seed=seed)}
        right = (probs > 0.5).long() == labels if task == "multi-label" else probs.argmax(dim=1) == labels
        chosen = _proportional(labels if labels.ndim == 1 else labels.unique(dim=0, return_inverse=True)[1], limit)
        some, of_some = images[chosen], labels[chosen]
        say(f"test-time augmentation, {draws} draws")
        report["test_time_augmentation"] = test_time_augmentation(
            model, some, of_some, draws, generator_for(seed, "test-time augmentation"), batch_size=batch_size, device=device
        )
        report["corruptions"] = {}
        for name in corruptions:
            say(f"corruption {name}")
            report["corruptions"][name] = {
                str(severity): _corrupted(model, some, of_some, name, severity, seed, batch_size, device)
                for severity in range(1, 6)
            }
        report["attacks"] = {"pgd": {}, "n": len(chosen), "steps": attack_steps}
        for size in eps:
            say(f"attack pgd, eps {size:.4f}")
            held = _attacked(model, some, of_some, right[chosen], size, attack_steps, seed, batch_size, device)
            report["attacks"]["pgd"][f"{size:.4f}" if size else "0"] = held
        say("uncertainty")
        report["uncertainty"] = {"error_auroc": _error_auroc(posterior, images, _wrong(right), batch_size, device)}
    return report


def check_task(task: str) -> None:
    """Raise a TsyndError unless a classifier for the task can be evaluated."""
    if task not in TASKS:
        raise unknown("task", task, TASKS)


def _corrupted(
    model: Model, images: Tensor, labels: Tensor, name: str, severity: int, seed: int, batch_size: int, device: torch.device
) -> float:
    """Balanced accuracy under one corruption."""
    generator = generator_for(seed, f"corruption {name} {severity}")
    with torch.no_grad():
        parts = [model(corrupt(batch, name, severity, generator)).cpu() for _, batch in batches(images, batch_size, device)]
    return balanced_accuracy(scores(torch.cat(parts), labels), labels)


def _attacked(
    model: Model,
    images: Tensor,
    labels: Tensor,
    right: Tensor,
    eps: float,
    steps: int,
    seed: int,
    batch_size: int,
    device: torch.device,
) -> float:
    """Accuracy under PGD. A decision that is wrong without an attack stays wrong: only images with others are attacked."""
    if eps == 0:
        return right.double().mean().item()
    generator = generator_for(seed, f"pgd {eps:.6f}")
    held, some_B = 0, right.reshape(len(right), -1).any(dim=1)
    for where, batch in batches(images, batch_size, device):
        start = 2 * uniform(tuple(batch.shape), generator, batch) - 1  # of every image, so that models share it
        attacked = some_B[where].to(device)
        if attacked.any():
            x, y = batch[attacked], labels[where].to(device)[attacked]
            with torch.no_grad():
                predicted = scores(model(pgd(model, x, y, eps=eps, steps=steps, start=start[attacked])), y).argmax(dim=-1)
            held += int(((predicted == y) & right[where].to(device)[attacked]).sum())
    return held / right.numel()


def _wrong(right: Tensor) -> Tensor:
    """Which images have a wrong decision: (B,) bool."""
    return ~right.reshape(len(right), -1).all(dim=1)


def _error_auroc(
    posterior: Posterior | None, images: Tensor, wrong_B: Tensor, batch_size: int, device: torch.device
) -> float | None:
    if posterior is None:
        return None
    return error_auroc(predict(lambda batch: mutual_information(posterior(batch)), images, batch_size, device), wrong_B)


def _proportional(labels: Tensor, limit: int | None) -> Tensor:
    """Indices of at most `limit` images in which each class keeps its share; a smaller limit chooses among the same.

    >>> _proportional(torch.tensor([0, 0, 0, 0, 1, 1]), 3).tolist()
    [0, 1, 4]
    """
    if limit is None or limit >= len(labels):
        return torch.arange(len(labels))
    place = torch.zeros(len(labels))
    for label in labels.unique():
        of_class = labels == label
        place[of_class] = (torch.arange(int(of_class.sum())) + 0.5) / of_class.sum()
    return place.argsort(stable=True)[:limit].sort().values


def _eval_mode(model: Model, posterior: Posterior | None) -> AbstractContextManager[None]:
    networks: tuple[nn.Module, ...] = (model,) if isinstance(model, nn.Module) else ()
    networks += posterior.networks if posterior is not None else ()
    return frozen(*networks) if networks else nullcontext()


def _device(model: Model, images: Tensor) -> torch.device:
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return parameter.device if parameter is not None else images.device


def _check(images: Tensor, labels: Tensor, task: str, limit: int | None) -> None:
    if len(images) == 0:
        raise TsyndError("there are no images to evaluate on")
    if images.is_floating_point() and not bool(((images >= 0) & (images <= 1)).all()):
        raise TsyndError(f"float images must lie in [0, 1], got {float(images.min()):.4g} to {float(images.max()):.4g}")
    wanted, ndim = (f"({len(images)}, L)", 2) if task == "multi-label" else (f"({len(images)},)", 1)
    if labels.ndim != ndim or len(labels) != len(images) or labels.dtype != torch.int64:
        shape = tuple(labels.shape)
        raise TsyndError(f"labels must be int64 of shape {wanted}, got {labels.dtype} of shape {shape}")
    if limit is not None and limit < 1:
        raise TsyndError(f"limit must be >= 1, or None for all images, got {limit}")
