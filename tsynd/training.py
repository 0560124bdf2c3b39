"""Training: one loop for every arm, so that arms differ in what they train on and in nothing else."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tsynd.classification import Classifier, as_targets, classification_loss, normalise_to
from tsynd.errors import TsyndError, unknown
from tsynd.posterior import HeadDropout, Posterior
from tsynd.randomness import generator_for, seed_for, seeded
from tsynd.robustness.augmentation import INSIDE, augment
from tsynd.targeting import Autoencoder, Guard, Synthesis, concatenate, target


@dataclass(frozen=True)
class Arm:
    """What an arm trains on: the objective of its synthetic images, and how labels and batches are softened."""

    objective: str | None = None
    guard: bool = False
    mixup: bool = False
    label_smoothing: bool = False


ARMS: dict[str, Arm] = {
    "none": Arm(),
    "reconstruction": Arm(objective="reconstruction"),
    "random": Arm(objective="random"),
    "entropy": Arm(objective="entropy"),
    "tsynd": Arm(objective="mutual_information"),
    "guarded": Arm(objective="mutual_information", guard=True),
    "mixup": Arm(mixup=True),
    "label-smoothing": Arm(label_smoothing=True),
}


@dataclass(frozen=True)
class Recipe:
    """Every number of a training, the same for all arms. Defaults: the budget `cpu`. The reasons stand in book/choices.md.

    Steps are optimiser steps. `warmup` is the fraction of steps before the first synthesis. Every `refresh_every` steps
    `refresh_count` new images enter the bank, which keeps the last `capacity`; from then on `share` of each batch comes
    from the bank. `radius` is a displacement norm / sqrt(D) of standardised codes.
    """

    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    warmup: float = 0.25
    share: float = 0.5
    refresh_every: int = 8
    refresh_count: int = 64
    capacity: int = 256
    radius: float = 0.4
    ascent_steps: int = 5
    samples: int = 64
    guard_weight: float = 3.0
    guard_bound: float = 0.5
    mixup_alpha: float = 0.4
    label_smoothing: float = 0.1
    autoencoder_steps: int = 800
    latent_noise: float = 0.05


@dataclass
class History:
    """What a training recorded.

    loss: of every step. refresh_step: when new images entered the bank, with their mean mutual information before and
    after the search, in nats. seconds: wall-clock of warm-up, targeting and the rest of training.
    """

    loss: list[float] = field(default_factory=list)
    refresh_step: list[int] = field(default_factory=list)
    information_before: list[float] = field(default_factory=list)
    information_after: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"warmup": 0.0, "targeting": 0.0, "training": 0.0})


def parse_arm(name: str) -> Arm:
    """An arm from its name; `+` combines at most one kind of synthetic image with the rest.

    >>> parse_arm("guarded+mixup")
    Arm(objective='mutual_information', guard=True, mixup=True, label_smoothing=False)

    Raises:
        TsyndError: for an unknown or repeated part (the nearest known one is named), or two kinds of synthetic images.
    """
    parts = name.split("+")
    if "" in parts:
        raise TsyndError(f"arm {name!r} has an empty part: name arms, joined by '+'")
    for part in parts:
        if part not in ARMS:
            raise unknown("arm", part, ARMS)
    if len(set(parts)) < len(parts):
        raise TsyndError(f"arm {name!r} names a part twice")
    if len(parts) > 1 and "none" in parts:
        raise TsyndError(f"arm {name!r}: 'none' combines with nothing")
    arms = [ARMS[part] for part in parts]
    objectives = [arm.objective for arm in arms if arm.objective]
    if len(objectives) > 1:
        raise TsyndError(f"arm {name!r} names {len(objectives)} kinds of synthetic images: one at most")
    return Arm(
        objective=objectives[0] if objectives else None,
        guard=any(arm.guard for arm in arms),
        mixup=any(arm.mixup for arm in arms),
        label_smoothing=any(arm.label_smoothing for arm in arms),
    )


def train_classifier(
    classifier: Classifier,
    images_BCHW: Tensor,
    labels_B: Tensor,
    arm: Arm,
    recipe: Recipe,
    *,
    autoencoder: Autoencoder | None = None,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[History, Synthesis | None]:
    """Train a classifier by one arm's recipe: AdamW, one-cycle schedule, light augmentation, and images from the bank.

    Batches, augmentation, bank and mixup draw from generators of their own, so arms that share a seed see the same real
    images in the same order.

    Args:
        images_BCHW, labels_B: real training images in [0, 1] and their int64 classes, on the classifier's device.
        autoencoder: needed by arms with synthetic images.
        progress: called with (step, loss) after each step.

    Returns:
        What was recorded, and the images in the bank at the end (None without synthetic images).
    """
    if arm.objective and autoencoder is None:
        raise TsyndError("an arm with synthetic images needs an autoencoder, got None")
    normalise_to(classifier, images_BCHW)
    _lay_out(classifier, torch.channels_last)  # a step takes a fifth less time so
    bank = Bank(arm, recipe, seed)
    posterior = HeadDropout.of(classifier, recipe.samples, generator_for(seed, "posterior")) if arm.objective else None
    batches, augmenting = generator_for(seed, "batches"), generator_for(seed, "augmentation")
    mixing, picking = generator_for(seed, "mixup"), generator_for(seed, "bank picks")
    optimiser = torch.optim.AdamW(classifier.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, max(recipe.steps, 2))
    warmup = round(recipe.warmup * recipe.steps)
    history = History()
    with seeded(seed_for(seed, "dropout")):
        for step in range(recipe.steps):
            started = time.perf_counter()
            if autoencoder and posterior and step >= warmup and (step - warmup) % recipe.refresh_every == 0:
                new = bank.refresh(images_BCHW, labels_B, autoencoder, posterior)
                history.refresh_step.append(step)
                history.information_before.append(new.information_before_B.mean().item())
                history.information_after.append(new.information_after_B.mean().item())
                history.seconds["targeting"] += time.perf_counter() - started
                started = time.perf_counter()
            index_B = torch.randint(len(images_BCHW), (recipe.batch_size,), generator=batches).to(images_BCHW.device)
            batch_BCHW, batch_B = augment(images_BCHW[index_B], INSIDE, augmenting), labels_B[index_B]
            if len(bank):
                batch_BCHW, batch_B = bank.mix_in(batch_BCHW, batch_B, picking)
            targets_BC = as_targets(batch_B, classifier).to(batch_BCHW.dtype)
            if arm.mixup:
                batch_BCHW, targets_BC = mixup(batch_BCHW, targets_BC, recipe.mixup_alpha, mixing)
            smoothing = recipe.label_smoothing if arm.label_smoothing else 0.0
            classifier.train()
            logits_BC = classifier(batch_BCHW)
            loss = classification_loss(logits_BC, targets_BC, multi_label=classifier.multi_label, smoothing=smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            history.loss.append(loss.item())
            history.seconds["warmup" if arm.objective and step < warmup else "training"] += time.perf_counter() - started
            if progress:
                progress(step, history.loss[-1])
    _lay_out(classifier, torch.contiguous_format)  # as it is loaded from a file, where sums round likewise
    classifier.eval()
    return history, bank.content()


def _lay_out(network: nn.Module, layout: torch.memory_format) -> None:
    network.to(memory_format=layout)  # type: ignore[call-overload]  # a form of `to` that its annotations do not know


def mixup(images_BCHW: Tensor, targets_BC: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Convex combinations of pairs of images and of their targets (Zhang et al., ICLR 2018).

    One weight for each pair, from Beta(alpha, alpha).
    """
    order = torch.randperm(len(images_BCHW), generator=generator).to(images_BCHW.device)
    concentration = torch.full((len(images_BCHW), 2), alpha)
    weight_B = torch._sample_dirichlet(concentration, generator)[:, 0].to(images_BCHW)
    weight_B111, weight_B1 = weight_B[:, None, None, None], weight_B[:, None]
    mixed_BCHW = images_BCHW * weight_B111 + images_BCHW[order] * (1 - weight_B111)
    return mixed_BCHW, targets_BC * weight_B1 + targets_BC[order] * (1 - weight_B1)


class Bank:
    """The synthetic images that training draws from: the last `capacity` that the present classifier was searched with."""

    def __init__(self, arm: Arm, recipe: Recipe, seed: int) -> None:
        self.arm, self.recipe = arm, recipe
        self.generator = generator_for(seed, "bank")
        self.parts: list[Synthesis] = []
        self._images_NCHW = self._labels_N = torch.empty(0)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def refresh(self, images_BCHW: Tensor, labels_B: Tensor, autoencoder: Autoencoder, posterior: Posterior) -> Synthesis:
        """Search from `refresh_count` real images, chosen uniformly, and forget the oldest beyond `capacity`.

        The images are augmented before they are encoded, and what is found is not augmented again: interpolation would
        blur away much of what the search has put there.
        """
        recipe, device = self.recipe, images_BCHW.device
        source_B = torch.randint(len(images_BCHW), (recipe.refresh_count,), generator=self.generator).to(device)
        new = target(
            augment(images_BCHW[source_B], INSIDE, self.generator),
            labels_B[source_B],
            autoencoder,
            posterior,
            objective=str(self.arm.objective),
            radius=recipe.radius,
            steps=recipe.ascent_steps,
            guard=Guard(recipe.guard_weight, recipe.guard_bound) if self.arm.guard else None,
            source_B=source_B,
            generator=self.generator,
        )
        self.parts.append(new)
        while len(self) - len(self.parts[0]) >= recipe.capacity:
            self.parts.pop(0)
        self._images_NCHW = torch.cat([part.images_BCHW for part in self.parts])
        self._labels_N = torch.cat([part.labels_B for part in self.parts])
        return new

    def mix_in(self, images_BCHW: Tensor, labels_B: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Replace the last `share` of a batch by images drawn from the bank."""
        count = round(self.recipe.share * len(images_BCHW))
        index = torch.randint(len(self), (count,), generator=generator).to(images_BCHW.device)
        kept = len(images_BCHW) - count
        mixed_BCHW = torch.cat([images_BCHW[:kept], self._images_NCHW[index]])
        return mixed_BCHW, torch.cat([labels_B[:kept], self._labels_N[index]])

    def content(self) -> Synthesis | None:
        """The bank as one synthesis, oldest first; None when it is empty."""
        return concatenate(self.parts) if self.parts else None
