"""All that is asked of a classifier in one call: clean, augmented, corrupted and attacked, and does it know its errors."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
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
from tsynd.robustness.conditions import condition, described, resampled
from tsynd.robustness.corruptions import DEFAULT, corrupt
from tsynd.robustness.metrics import clean_metrics, error_auroc, scores
from tsynd.robustness.report import RobustnessReport
from tsynd.uncertainty import mutual_information

Answers = tuple[Tensor, Tensor | None]

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
) -> RobustnessReport:
    """Evaluate a classifier: clean, randomly augmented, corrupted and attacked, and whether it knows its errors.

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
        A report: the sections `clean`, `test_time_augmentation`, `corruptions`, `attacks`, `uncertainty` and `conditions`, plain
        floats, None where undefined. Cost: about 1 + 2 * draws + 5 * corruptions forward passes an image, and attack_steps
        forward and backward passes for each eps and rightly classified image; with a posterior, also a pass of that for each
        corruption, severity and eps. Memory: a batch and its gradient, every logit of one condition (of all draws, for the
        augmentations), and a byte for each image in each of 1000 resamples.

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
        counts_RB = resampled(labels[chosen], generator_for(seed, "intervals"))
        asked = _Asked(model, posterior, images[chosen], labels[chosen], right[chosen], seed, batch_size, device, counts_RB)
        clean = asked.answers(lambda batch: batch)
        rows = [asked.row("clean", "clean", 0.0, clean)]
        say(f"test-time augmentation, {draws} draws")
        drawn: dict[str, list[Tensor]] = {"inside": [], "outside": []}
        report["test_time_augmentation"] = test_time_augmentation(
            model,
            asked.images,
            asked.labels,
            draws,
            generator_for(seed, "test-time augmentation"),
            batch_size=batch_size,
            device=device,
            seen=lambda name, found: drawn[name].append(found),
        )
        rows += [asked.row("test_time_augmentation", name, None, (torch.cat(each), None)) for name, each in drawn.items()]
        report["corruptions"] = {}
        for name in corruptions:
            say(f"corruption {name}")
            of_name = [asked.row("corruptions", name, severity, asked.corrupted(name, severity)) for severity in range(1, 6)]
            report["corruptions"][name] = {str(row["level"]): row["balanced_accuracy"] for row in of_name}
            rows += of_name
        report["attacks"] = {"pgd": {}, "n": len(chosen), "steps": attack_steps}
        for size in eps:
            say(f"attack pgd, eps {size:.4f}")
            found = asked.attacked(size, attack_steps, clean[0]) if size else clean
            held = (found[0].argmax(dim=-1) == asked.labels) & asked.right if size else asked.right
            report["attacks"]["pgd"][f"{size:.4f}" if size else "0"] = held.double().mean().item()
            rows.append(asked.row("attacks", "pgd", size, found))
        say("uncertainty")
        report["uncertainty"] = {"error_auroc": _error_auroc(posterior, images, _wrong(right), batch_size, device)}
    return RobustnessReport(report | {"conditions": rows})


def check_task(task: str) -> None:
    """Raise a TsyndError unless a classifier for the task can be evaluated."""
    if task not in TASKS:
        raise unknown("task", task, TASKS)


@dataclass(frozen=True)
class _Asked:
    """Who is asked, of which images: what all conditions share."""

    model: Model
    posterior: Posterior | None
    images: Tensor
    labels: Tensor
    right: Tensor
    seed: int
    batch_size: int
    device: torch.device
    counts_RB: Tensor

    def answers(self, change: Callable[[Tensor], Tensor]) -> Answers:
        """Scores of all changed images and their mutual information, on the CPU."""
        found, information = [], []
        for _, batch in batches(self.images, self.batch_size, self.device):
            x = change(batch)
            with torch.no_grad():
                found.append(scores(self.model(x), self.labels).cpu())
            information += self._informed(x)
        return torch.cat(found), torch.cat(information) if information else None

    def corrupted(self, name: str, severity: int) -> Answers:
        """Under one corruption."""
        generator = generator_for(self.seed, f"corruption {name} {severity}")
        return self.answers(lambda batch: corrupt(batch, name, severity, generator))

    def attacked(self, eps: float, steps: int, clean: Tensor) -> Answers:
        """Under PGD. A decision that is wrong without an attack stays as it is: only images with others are attacked."""
        generator = generator_for(self.seed, f"pgd {eps:.6f}")
        found, information = clean.clone(), []
        some_B = self.right.reshape(len(self.right), -1).any(dim=1)
        for where, batch in batches(self.images, self.batch_size, self.device):
            start = 2 * uniform(tuple(batch.shape), generator, batch) - 1  # of every image, so that models share it
            rows, x = some_B[where].nonzero().flatten().to(self.device), batch.clone()
            if len(rows):
                y = self.labels[where].to(self.device)[rows]
                x[rows] = pgd(self.model, batch[rows], y, eps=eps, steps=steps, start=start[rows])
                with torch.no_grad():
                    found[where][rows.cpu()] = scores(self.model(x[rows]), y).cpu()
            information += self._informed(x)
        right = self.right.view(*self.right.shape, 1)
        return torch.where(right, found, clean), torch.cat(information) if information else None

    def _informed(self, x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return [] if self.posterior is None else [mutual_information(self.posterior(x)).cpu()]

    def row(self, section: str, name: str, level: float | None, answers: Answers) -> dict[str, Any]:
        """The answers as a row of `conditions`."""
        measures = described(answers[0], self.labels, self.counts_RB, answers[1])
        return condition(section, name, level, len(self.labels), measures)


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
