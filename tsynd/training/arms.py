"""What is trained: arms by name, and every number of a training."""

from dataclasses import dataclass, field, fields
from typing import Any

from tsynd.errors import TsyndError
from tsynd.training.recipe import Recipe
from tsynd.utils.validation import check_kind, check_name


@dataclass(frozen=True)
class Arm:
    """What an arm trains on, and how long.

    objective: of the search for synthetic images; None for none. guard: with the label guard. sham: the search climbs the
    objective of an untrained copy of the classifier, so it moves images as far and knows nothing. pixel: each synthetic image
    takes one signed gradient step of the loss as it enters the bank. adversarial: every batch is attacked by PGD first.
    mixup, label_smoothing: soften batches and labels. trivialaugment: each real image of a batch gets one operation more, after
    the light augmentation that all arms share (see `tsynd.augmentation.trivial_augment`); sources of a search do not. matched: as
    many more steps as `guarded` costs. ridge: no steps at all, but ridge regression of the labels on the inputs of the last
    layer (see `tsynd.training.fit_ridge`). classifier: the network that it is for, where no other is named. what: one line.
    """

    what: str = field(default="", compare=False)

    objective: str | None = None
    guard: bool = False
    sham: bool = False
    pixel: bool = False
    adversarial: bool = False
    mixup: bool = False
    label_smoothing: bool = False
    trivialaugment: bool = False
    matched: bool = False
    ridge: bool = False
    classifier: str = ""


ARMS: dict[str, Arm] = {
    "none": Arm("real images only, with the light augmentation that all arms share"),
    "none-matched": Arm("none, for as many more steps as guarded costs", matched=True),
    "reconstruction": Arm("control: images as the autoencoder reconstructs them", objective="reconstruction"),
    "random": Arm("control: moved as far as tsynd moves them, in a random direction", objective="random"),
    "sham": Arm("control: moved up the mutual information of an untrained classifier", objective="mutual_information", sham=True),
    "entropy": Arm("moved up the entropy of the prediction", objective="entropy"),
    "cross-entropy": Arm("moved up the loss on their label", objective="cross_entropy"),
    "tsynd": Arm("the paper: moved up the classifier's mutual information, with copied labels", objective="mutual_information"),
    "guarded": Arm("tsynd with a penalty when the label becomes less likely", objective="mutual_information", guard=True),
    "pixel": Arm("with another arm: one signed gradient step in the pixels of each synthetic image", pixel=True),
    "pgd": Arm("adversarial training: every batch is attacked by PGD first", adversarial=True),
    "mixup": Arm("convex combinations of images and labels", mixup=True),
    "label-smoothing": Arm("labels mixed with an even guess", label_smoothing=True),
    "trivialaugment": Arm("one more random operation on each real image", trivialaugment=True),
    "pixel-ridge": Arm("baseline: ridge regression on the pixels, in closed form", ridge=True, classifier="linear"),
    "probe": Arm(
        "baseline: ridge regression on features of every stage of a network pretrained on ImageNet",
        ridge=True,
        classifier="efficientnet-lite0-frozen",
    ),
}

RECIPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "refined": (
        "guarded+mixup+trivialaugment as two rounds on validation splits refined it",
        "guarded+mixup+trivialaugment",
        {"share": 0.25, "source_augmentation": "trivialaugment"},
    ),
    "refined-random": (
        "control of refined: the same with random",
        "random+mixup+trivialaugment",
        {"share": 0.25, "source_augmentation": "trivialaugment"},
    ),
}
"""What the book's study calls by a name of its own: one line, the arm, and the numbers that are not the budget's."""


def parse_arm(name: str) -> Arm:
    """An arm from its name; `+` combines at most one kind of synthetic image with the rest.

    >>> parse_arm("guarded+mixup") == Arm(objective="mutual_information", guard=True, mixup=True)
    True

    Raises:
        TsyndError: for an unknown or repeated part (the nearest known one is named), two kinds of synthetic images, or
            `pixel` without any.
    """
    check_kind(str, arm=name)
    parts = name.split("+")
    if "" in parts:
        raise TsyndError(f"arm {name!r} has an empty part: name arms, joined by '+'")
    for part in parts:
        check_name("arm", part, ARMS)
        if (part in ("none", "none-matched") or ARMS[part].ridge) and len(parts) > 1:
            raise TsyndError(f"arm {name!r}: {part!r} combines with nothing")
    if len(set(parts)) < len(parts):
        raise TsyndError(f"arm {name!r} names a part twice")
    if len(parts) == 1:
        return ARMS[name]
    arms = [ARMS[part] for part in parts]
    objectives = [arm.objective for arm in arms if arm.objective]
    if len(objectives) > 1:
        raise TsyndError(f"arm {name!r} names {len(objectives)} kinds of synthetic images: one at most")
    if "pixel" in parts and not objectives:
        raise TsyndError(f"arm {name!r}: 'pixel' changes synthetic images and needs some, as in 'guarded+pixel'")
    texts = ("objective", "classifier", "what")
    flags = {each.name: any(getattr(arm, each.name) for arm in arms) for each in fields(Arm) if each.name not in texts}
    return Arm(objective=objectives[0] if objectives else None, **flags)  # type: ignore[arg-type]  # bool each


def steps_of(arm: Arm, recipe: Recipe) -> int:
    """How many optimiser steps an arm takes: the recipe's, but for `none-matched`, and none in closed form.

    >>> steps_of(parse_arm("guarded"), Recipe()), steps_of(parse_arm("none-matched"), Recipe())
    (600, 840)
    """
    check_kind(Arm, arm=arm)
    check_kind(Recipe, recipe=recipe)
    return 0 if arm.ridge else round(recipe.steps * recipe.matched_steps) if arm.matched else recipe.steps
