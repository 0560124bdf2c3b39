"""The training loop, one for every arm."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tsynd.classification import Classifier, as_targets, classification_loss, normalise_to
from tsynd.errors import TsyndError
from tsynd.modes import frozen
from tsynd.posterior import HeadDropout
from tsynd.randomness import generator_for, seed_for, seeded
from tsynd.robustness.attacks import pgd
from tsynd.robustness.augmentation import INSIDE, augment
from tsynd.targeting import Autoencoder, Synthesis
from tsynd.training.arms import Arm, Recipe, steps_of
from tsynd.training.bank import Bank


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
    searched = copy.deepcopy(classifier) if arm.sham else classifier
    posterior = HeadDropout.of(searched, recipe.samples, generator_for(seed, "posterior")) if arm.objective else None
    batches, augmenting = generator_for(seed, "batches"), generator_for(seed, "augmentation")
    mixing, picking = generator_for(seed, "mixup"), generator_for(seed, "bank picks")
    attacking, steps = generator_for(seed, "adversarial training"), steps_of(arm, recipe)
    optimiser = torch.optim.AdamW(classifier.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, max(steps, 2))
    warmup = round(recipe.warmup * steps)
    history = History()
    with seeded(seed_for(seed, "dropout")):
        for step in range(steps):
            started = time.perf_counter()
            if autoencoder and posterior and step >= warmup and (step - warmup) % recipe.refresh_every == 0:
                new = bank.refresh(images_BCHW, labels_B, autoencoder, posterior, classifier)
                history.refresh_step.append(step)
                history.information_before.append(new.information_before_B.mean().item())
                history.information_after.append(new.information_after_B.mean().item())
                history.seconds["targeting"] += time.perf_counter() - started
                started = time.perf_counter()
            index_B = torch.randint(len(images_BCHW), (recipe.batch_size,), generator=batches).to(images_BCHW.device)
            batch_BCHW, batch_B = augment(images_BCHW[index_B], INSIDE, augmenting), labels_B[index_B]
            if len(bank):
                batch_BCHW, batch_B = bank.mix_in(batch_BCHW, batch_B, picking)
            if arm.adversarial:
                with frozen(classifier):
                    batch_BCHW = pgd(
                        classifier, batch_BCHW, batch_B, eps=recipe.pgd_eps, steps=recipe.pgd_steps, generator=attacking
                    )
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
