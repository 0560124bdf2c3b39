"""All that the next step of a training depends on, in one place, so that a training can be stopped and go on."""

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from tsynd.classification import Classifier, classification_loss, classification_losses
from tsynd.posterior import Ensemble, HeadDropout, Posterior
from tsynd.targeting import Synthesis
from tsynd.training.arms import Arm, steps_of
from tsynd.training.bank import Bank
from tsynd.training.checkpoint import restore, states
from tsynd.training.consistency import Consistency, moving_average
from tsynd.training.recipe import Recipe
from tsynd.utils.rng import generator_for, seed_for

Unlabelled = tuple[Tensor, Tensor, Tensor]
"""Images without labels, their targets, and the weight of each in the second loss."""

STREAMS = ("batches", "augmentation", "mixup", "bank picks", "adversarial training", "trivialaugment")


@dataclass
class History:
    """What a training recorded.

    loss: of every step. refresh_step: when new images entered the bank, with their mean mutual information before and
    after the search, in nats. seconds: wall-clock of warm-up, targeting and the rest of training.
    """

    loss: list[float] = field(default_factory=list)
    refresh_step: list[int] = field(default_factory=list)
    mutual_information_before: list[float] = field(default_factory=list)
    mutual_information_after: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"warmup": 0.0, "targeting": 0.0, "training": 0.0})


class State:
    """A training between two steps: networks, optimiser, schedule, bank, streams of random numbers, and what was recorded.

    The masks that the search's posterior holds are no part of it: every search draws new ones from the bank's generator.
    """

    def __init__(
        self,
        classifier: Classifier,
        arm: Arm,
        recipe: Recipe,
        seed: int,
        synthetic: Synthesis | None,
        consistency: Consistency | None = None,
    ) -> None:
        self.classifier, self.arm, self.recipe, self.steps = classifier, arm, recipe, steps_of(arm, recipe)
        self.searched = copy.deepcopy(classifier) if arm.sham else classifier
        self.learners = [Learner(classifier, recipe, self.steps)]
        if arm.objective and recipe.posterior == "ensemble":
            self.learners += [_fellow(classifier, recipe, number, seed) for number in range(1, recipe.members)]
        self.posterior = self._posterior(seed) if arm.objective else None
        self.averaged = moving_average(classifier, recipe.ema) if recipe.ema else None
        self.consistency = consistency
        self.bank = Bank(arm, recipe, seed, None if synthetic is None else synthetic.to(self.device))
        self.generators = {name: generator_for(seed, name) for name in STREAMS}
        self.history = History()

    def _posterior(self, seed: int) -> Posterior:
        """What the search climbs."""
        if len(self.learners) > 1:
            return Ensemble([self.searched, *(fellow.classifier for fellow in self.learners[1:])])
        return HeadDropout.of(self.searched, self.recipe.samples, generator_for(seed, "posterior"))

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.history.loss)

    @property
    def device(self) -> torch.device:
        """Where the classifier is."""
        return self.classifier.mean.device

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own, by name."""
        searched = self.searched if self.arm.sham else None
        found = {"learners": [vars(each) for each in self.learners], "searched": searched, "averaged": self.averaged}
        return found | {"generators": self.generators}

    def dump(self) -> dict[str, Any]:
        """Everything as a tree of tensors and JSON values, for a checkpoint."""
        dropout = {device: module.get_rng_state() for device, module in self._global_random().items()}
        second = self.consistency.dump() if self.consistency is not None else None
        more = {"consistency": second, "bank": self.bank.state(), "dropout": dropout, "history": asdict(self.history)}
        return states(self._parts()) | more

    def load(self, tree: dict[str, Any]) -> None:
        """Become what `dump` described, torch's global random state included."""
        restore(self._parts(), tree)
        if self.consistency is not None:
            self.consistency.load(tree["consistency"])
        self.bank.restore(tree["bank"], self.device)
        for device, module in self._global_random().items():
            module.set_rng_state(tree["dropout"][device])
        self.history = History(**tree["history"])

    def _global_random(self) -> dict[str, Any]:
        """Where torch keeps the random states that layers drop out from: the CPU's, and that of the classifier's device."""
        device = self.device.type
        return {"cpu": torch} | ({} if device == "cpu" else {device: torch.get_device_module(device)})


class Learner:
    """A classifier with its optimiser and its schedule, one cycle that peaks at each group's own learning rate."""

    def __init__(self, classifier: Classifier, recipe: Recipe, steps: int) -> None:
        groups = classifier.parameter_groups(recipe.learning_rate)
        self.classifier = classifier
        self.optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        self.schedule = OneCycleLR(self.optimiser, [group["lr"] for group in groups], max(steps, 2))

    def learn(
        self,
        images_BCHW: Tensor,
        targets_BC: Tensor,
        smoothing: float,
        unlabelled: Unlabelled | None = None,
        weights_B: Tensor | None = None,
    ) -> float:
        """One step down the loss of a batch; gives that loss.

        Images without labels pass through the network in the same batch, and their weighted mean loss is added.
        """
        self.classifier.train()
        count, several = len(images_BCHW), self.classifier.multi_label
        logits_BC = self.classifier(images_BCHW if unlabelled is None else torch.cat([images_BCHW, unlabelled[0]]))
        loss = classification_loss(logits_BC[:count], targets_BC, multi_label=several, smoothing=smoothing, weights=weights_B)
        if unlabelled is not None:
            _, targets_UC, weight_U = unlabelled
            losses_U = classification_losses(logits_BC[count:], targets_UC, multi_label=several)
            loss = loss + (weight_U * losses_U).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return loss.item()


def _fellow(classifier: Classifier, recipe: Recipe, number: int, seed: int) -> Learner:
    """Another member of the ensemble that a search climbs: its own initialisation, optimiser and dropout, the same batches."""
    fresh = copy.deepcopy(classifier)
    fresh.reinitialise(seed_for(seed, f"initialise member {number}"))
    fresh.to(memory_format=classifier.memory_format)  # type: ignore[call-overload]
    return Learner(fresh, recipe, recipe.steps)
