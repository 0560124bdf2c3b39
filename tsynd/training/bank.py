"""The bank: synthetic images that training draws from, renewed by searches with the present classifier."""

from dataclasses import replace

import torch
from torch import Tensor

from tsynd.classification import Classifier
from tsynd.modes import frozen
from tsynd.posterior import HeadDropout, Posterior
from tsynd.randomness import generator_for
from tsynd.robustness.attacks import fgsm
from tsynd.robustness.augmentation import INSIDE, augment
from tsynd.targeting import Autoencoder, Guard, Synthesis, concatenate, measured, target
from tsynd.training.arms import Arm, Recipe


class Bank:
    """The synthetic images that training draws from: the last `capacity` that the present classifier was searched with."""

    def __init__(self, arm: Arm, recipe: Recipe, seed: int) -> None:
        self.arm, self.recipe = arm, recipe
        self.generator, self.measuring = generator_for(seed, "bank"), generator_for(seed, "bank, measured")
        self.parts: list[Synthesis] = []
        self._images_NCHW = self._labels_N = torch.empty(0)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def refresh(
        self,
        images_BCHW: Tensor,
        labels_B: Tensor,
        autoencoder: Autoencoder,
        posterior: Posterior,
        classifier: Classifier,
    ) -> Synthesis:
        """Search from `refresh_count` real images, chosen uniformly, and forget the oldest beyond `capacity`.

        The images are augmented before they are encoded, and what is found is not augmented again: interpolation would
        blur away much of what the search has put there. `posterior` is what the search climbs; what is recorded, mutual
        information above all, is that of `classifier`, also for the arm `sham`, which climbs another one's.
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
            guard=Guard(recipe.guard_weight, recipe.guard_bound, recipe.guard_hard) if self.arm.guard else None,
            source_B=source_B,
            generator=self.generator,
        )
        if self.arm.pixel:
            with frozen(classifier):
                new = replace(new, images_BCHW=fgsm(classifier, new.images_BCHW, new.labels_B, eps=recipe.pixel_eps))
        if self.arm.pixel or self.arm.sham:
            new = measured(new, HeadDropout.of(classifier, recipe.samples, self.measuring))
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
