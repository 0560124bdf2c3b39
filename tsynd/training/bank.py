"""The bank: synthetic images that training draws from, renewed by searches with the present classifier."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.augmentation.trivialaugment import trivial_augment
from tsynd.classification import Classifier
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout, Posterior
from tsynd.robustness.attacks.gradient import fgsm
from tsynd.targeting import Autoencoder, Guard, Synthesis, concatenate, remeasure, target
from tsynd.training.arms import Arm
from tsynd.training.checkpoint import restore, states
from tsynd.training.recipe import Recipe
from tsynd.training.source_sampling import better_half, choose_sources
from tsynd.utils.batching import as_float
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import generator_for
from tsynd.utils.rules import validated


@validated
def soft_targets(labels_B: Tensor, information_B: Tensor, classes: int, softness: float) -> Tensor:
    """Labels as distributions, the more even the less certain the classifier is of the image.

    (1 - w) onehot(label) + w / C with w = softness * I / ln C, clipped to [0, 1], where I is the image's mutual information
    in nats. I reaches its bound ln C when posterior samples are certain and spread evenly over the classes; then the label
    says nothing that they agree on, and the target with softness 1 is the even guess. The classifier's own mean prediction
    would be the other choice; it would teach the classifier what it says already, mistakes included. With several labels, (B, L)
    of 0 and 1, I is bounded by L ln 2 and the even guess is one half for each: w = softness * I / (L ln 2).

    Returns:
        (B, C) in the type of `information_B`; each row sums to one, or is a probability for each label.

    >>> soft_targets(torch.tensor([0, 0]), torch.tensor([0.0, math.log(2)]), classes=2, softness=0.5)
    tensor([[1.0000, 0.0000],
            [0.7500, 0.2500]])
    """
    if not information_B.is_floating_point():
        raise TsyndError(f"information must be floating-point, got {information_B.dtype}")
    if labels_B.ndim not in (1, 2) or labels_B.shape[:1] != information_B.shape or labels_B.dtype != torch.int64:
        found = f"{labels_B.dtype} of {tuple(labels_B.shape)} and {tuple(information_B.shape)}"
        raise TsyndError(f"soft targets need int64 labels (B,) or (B, L) and information (B,), got {found}")
    if classes < 2 and labels_B.ndim == 1:
        raise TsyndError(f"classes must be >= 2, got {classes}")
    if labels_B.ndim == 2:
        weight_B1 = (softness * information_B / (classes * math.log(2))).clamp(0, 1)[:, None]
        return (1 - weight_B1) * labels_B + weight_B1 / 2
    weight_B1 = (softness * information_B / math.log(classes)).clamp(0, 1)[:, None]
    return (1 - weight_B1) * F.one_hot(labels_B, classes) + weight_B1 / classes


class Bank:
    """The synthetic images that training draws from: the last `capacity` that the present classifier was searched with.

    With `given`, it holds these images from the start and is never refreshed.
    """

    def __init__(self, arm: Arm, recipe: Recipe, seed: int, given: Synthesis | None = None) -> None:
        self.arm, self.recipe = arm, recipe
        self.generator, self.measuring = generator_for(seed, "bank"), generator_for(seed, "bank, measured")
        self.given = given
        self._hold([] if given is None else [given])

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def refresh(
        self,
        images_BCHW: Tensor,
        labels_B: Tensor,
        autoencoder: Autoencoder,
        posterior: Posterior,
        classifier: Classifier,
        numbers_N: Tensor | None = None,
    ) -> Synthesis:
        """Search from `refresh_count` real images, chosen by `recipe.sources`, and forget the oldest beyond `capacity`.

        The images are augmented before they are encoded, and what is found is not augmented again: interpolation would
        blur away much of what the search has put there. `posterior` is what the search climbs; what is recorded, mutual
        information above all, is that of `classifier`, also for the arm `sham`, which climbs another one's. `numbers_N` are
        the images' numbers in the set that they were drawn from, by which sources are recorded; without it they are that set.
        """
        recipe = self.recipe
        source_B = choose_sources(
            recipe.sources,
            images_BCHW,
            labels_B,
            classifier,
            count=recipe.refresh_count * (1 if recipe.keep == "all" else 2),
            samples=recipe.samples,
            generator=self.generator,
        )
        sources_BCHW = augment(as_float(images_BCHW[source_B]), TRAIN_RANGE, self.generator)
        if recipe.source_augmentation == "trivialaugment":
            sources_BCHW = trivial_augment(sources_BCHW, self.generator)
        new = target(
            sources_BCHW,
            labels_B[source_B],
            autoencoder,
            posterior,
            objective=str(self.arm.objective),
            space=recipe.space,
            decode=recipe.decode,
            displacement=recipe.displacement or None,
            radius=recipe.radius,
            steps=recipe.ascent_steps,
            guard=Guard(recipe.guard_weight, recipe.guard_bound, recipe.guard_hard) if self.arm.guard else None,
            sources=source_B if numbers_N is None else numbers_N[source_B],
            generator=self.generator,
        )
        if self.arm.pixel:
            with frozen(classifier):
                new = replace(new, images=fgsm(classifier, new.images, new.labels, eps=recipe.pixel_eps))
        if self.arm.pixel or self.arm.sham:
            new = remeasure(new, HeadDropout.of(classifier, recipe.samples, self.measuring))
        if recipe.keep != "all":
            new = new[better_half(recipe.keep, new.images, images_BCHW, classifier, self.generator)]
        parts = [*self.parts, new]
        while sum(map(len, parts[1:])) >= recipe.capacity:
            parts.pop(0)
        self._hold(parts)
        return new

    def mix_in(
        self, images_BCHW: Tensor, labels_B: Tensor, targets_BC: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Replace the last `share` of a batch by images drawn from the bank.

        Returns:
            Images, their classes, and the targets of the loss. A target is a distribution over the classes, that of a
            synthetic image softened by `recipe.soft_labels` (see `soft_targets`).
        """
        count = round(self.recipe.share * len(images_BCHW))
        index = torch.randint(len(self), (count,), generator=generator).to(images_BCHW.device)
        kept = len(images_BCHW) - count
        drawn_B, classes = self._labels_N[index], targets_BC.shape[1]
        drawn_BC = soft_targets(drawn_B, self._information_N[index], classes, self.recipe.soft_labels)
        mixed_BCHW = torch.cat([images_BCHW[:kept], self._images_NCHW[index]])
        return mixed_BCHW, torch.cat([labels_B[:kept], drawn_B]), torch.cat([targets_BC[:kept], drawn_BC.to(targets_BC)])

    def pick(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw images, with replacement, and the numbers of their sources: (count, C, H, W) and (count,)."""
        index_B = torch.randint(len(self), (count,), generator=generator).to(self._images_NCHW.device)
        return self._images_NCHW[index_B], self._sources_N[index_B]

    def content(self) -> Synthesis | None:
        """The bank as one synthesis, oldest first; None when it is empty."""
        return concatenate(self.parts) if self.parts else None

    def state(self) -> dict[str, Any]:
        """All that the next refresh and draw depend on, for a checkpoint; given images are not part of it."""
        found = [vars(part) for part in self.parts] if self.given is None else []
        return states({"generator": self.generator, "measuring": self.measuring}) | {"parts": found}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Become what `state` was taken from."""
        restore({"generator": self.generator, "measuring": self.measuring}, state)
        if self.given is None:
            self._hold([Synthesis(**part).to(device) for part in state["parts"]])

    def _hold(self, parts: list[Synthesis]) -> None:
        self.parts = parts
        if parts:
            self._images_NCHW = torch.cat([part.images for part in parts])
            self._sources_N = torch.cat([part.sources for part in parts])
            self._labels_N = torch.cat([part.labels for part in parts])
            self._information_N = torch.cat([part.mutual_information_after for part in parts])
