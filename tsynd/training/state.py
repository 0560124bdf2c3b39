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
from tsynd.training.averaging import moving_average
from tsynd.training.bank import Bank
from tsynd.training.consistency import Consistency
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
        self.classifier, self.arm, self.recipe = classifier, arm, recipe
        self.searched = copy.deepcopy(classifier) if arm.sham else classifier
        fellows = recipe.members - 1 if arm.objective and recipe.posterior == "ensemble" else 0
        self.fellows = [EnsembleMember(classifier, recipe, number, seed) for number in range(1, fellows + 1)]
        self.posterior = self._posterior(seed) if arm.objective else None
        self.averaged = moving_average(classifier, recipe.ema) if recipe.ema else None
        self.consistency = consistency
        self.optimiser = _optimiser(classifier, recipe)
        self.steps = steps_of(arm, recipe)
        self.schedule = _schedule(self.optimiser, self.steps)
        self.bank = Bank(arm, recipe, seed, None if synthetic is None else synthetic.to(self.device))
        self.generators = {name: generator_for(seed, name) for name in STREAMS}
        self.history = History()

    def _posterior(self, seed: int) -> Posterior:
        """What the search climbs."""
        if self.fellows:
            return Ensemble([self.searched, *(fellow.classifier for fellow in self.fellows)])
        return HeadDropout.of(self.searched, self.recipe.samples, generator_for(seed, "posterior"))

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.history.loss)

    @property
    def device(self) -> torch.device:
        """Where the classifier is."""
        return self.classifier.mean.device

    def dump(self) -> dict[str, Any]:
        """Everything as a tree of tensors and JSON values, for a checkpoint."""
        return {
            "classifier": self.classifier.state_dict(),
            "searched": self.searched.state_dict() if self.arm.sham else None,
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "consistency": self.consistency.dump() if self.consistency is not None else None,
            "fellows": [fellow.dump() for fellow in self.fellows],
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "bank": self.bank.state(),
            "generators": {name: generator.get_state() for name, generator in self.generators.items()},
            "dropout": {device: module.get_rng_state() for device, module in self._global_random().items()},
            "history": asdict(self.history),
        }

    def load(self, tree: dict[str, Any]) -> None:
        """Become what `dump` described, torch's global random state included."""
        self.classifier.load_state_dict(tree["classifier"])
        if self.arm.sham:
            self.searched.load_state_dict(tree["searched"])
        if self.averaged is not None:
            self.averaged.load_state_dict(tree["averaged"])
        if self.consistency is not None:
            self.consistency.load(tree["consistency"])
        _restore(self.optimiser, tree["optimiser"])
        self.schedule.load_state_dict(tree["schedule"])
        for fellow, part in zip(self.fellows, tree["fellows"], strict=True):
            fellow.load(part)
        self.bank.restore(tree["bank"], self.device)
        for name, generator in self.generators.items():
            generator.set_state(tree["generators"][name])
        for device, module in self._global_random().items():
            module.set_rng_state(tree["dropout"][device])
        self.history = History(**tree["history"])

    def _global_random(self) -> dict[str, Any]:
        """Where torch keeps the random states that layers drop out from: the CPU's, and that of the classifier's device."""
        device = self.device.type
        return {"cpu": torch} | ({} if device == "cpu" else {device: torch.get_device_module(device)})


class EnsembleMember:
    """Another member of the ensemble that a search climbs: its own initialisation, optimiser and dropout, the same batches."""

    def __init__(self, classifier: Classifier, recipe: Recipe, number: int, seed: int) -> None:
        self.classifier = copy.deepcopy(classifier)
        self.classifier.reinitialise(seed_for(seed, f"initialise member {number}"))
        self.classifier.to(memory_format=classifier.memory_format)  # type: ignore[call-overload]
        self.optimiser = _optimiser(self.classifier, recipe)
        self.schedule = _schedule(self.optimiser, recipe.steps)

    def learn(
        self,
        images_BCHW: Tensor,
        targets_BC: Tensor,
        smoothing: float,
        unlabelled: Unlabelled | None = None,
        weights_B: Tensor | None = None,
    ) -> None:
        """One step on a batch."""
        self.classifier.train()
        descend(self.classifier, self.optimiser, self.schedule, images_BCHW, targets_BC, smoothing, unlabelled, weights_B)

    def dump(self) -> dict[str, Any]:
        """As `State.dump`."""
        return {
            "classifier": self.classifier.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load(self, tree: dict[str, Any]) -> None:
        """As `State.load`."""
        self.classifier.load_state_dict(tree["classifier"])
        _restore(self.optimiser, tree["optimiser"])
        self.schedule.load_state_dict(tree["schedule"])


def descend(
    classifier: Classifier,
    optimiser: torch.optim.Optimizer,
    schedule: OneCycleLR,
    images_BCHW: Tensor,
    targets_BC: Tensor,
    smoothing: float,
    unlabelled: Unlabelled | None = None,
    weights_B: Tensor | None = None,
) -> float:
    """One step of a classifier in training mode, down the loss of a batch; gives that loss.

    Images without labels pass through the network in the same batch, and their weighted mean loss is added.
    """
    count = len(images_BCHW)
    logits_BC = classifier(images_BCHW if unlabelled is None else torch.cat([images_BCHW, unlabelled[0]]))
    several = classifier.multi_label
    loss = classification_loss(logits_BC[:count], targets_BC, multi_label=several, smoothing=smoothing, weights=weights_B)
    if unlabelled is not None:
        _, targets_UC, weight_U = unlabelled
        losses_U = classification_losses(logits_BC[count:], targets_UC, multi_label=several)
        loss = loss + (weight_U * losses_U).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()
    return loss.item()


def _optimiser(classifier: Classifier, recipe: Recipe) -> torch.optim.AdamW:
    return torch.optim.AdamW(classifier.parameter_groups(recipe.learning_rate), weight_decay=recipe.weight_decay)


def _schedule(optimiser: torch.optim.Optimizer, steps: int) -> OneCycleLR:
    """One cycle that peaks at each group's own learning rate."""
    return OneCycleLR(optimiser, [group["lr"] for group in optimiser.param_groups], max(steps, 2))


def _restore(optimiser: torch.optim.AdamW, tree: dict[str, Any]) -> None:
    optimiser.load_state_dict(tree)
    for parameter, moments in optimiser.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape:  # laid out in memory like the weights, as they were: sums round likewise
                moments[name] = torch.empty_like(parameter).copy_(moment)
