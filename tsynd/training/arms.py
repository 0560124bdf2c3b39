"""What is trained: arms by name, and every number of a training."""

from dataclasses import dataclass, fields

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
    many more steps as `guarded` costs.
    """

    objective: str | None = None
    guard: bool = False
    sham: bool = False
    pixel: bool = False
    adversarial: bool = False
    mixup: bool = False
    label_smoothing: bool = False
    trivialaugment: bool = False
    matched: bool = False


ARMS: dict[str, Arm] = {
    "none": Arm(),
    "none-matched": Arm(matched=True),
    "reconstruction": Arm(objective="reconstruction"),
    "random": Arm(objective="random"),
    "sham": Arm(objective="mutual_information", sham=True),
    "entropy": Arm(objective="entropy"),
    "cross-entropy": Arm(objective="cross_entropy"),
    "tsynd": Arm(objective="mutual_information"),
    "guarded": Arm(objective="mutual_information", guard=True),
    "pixel": Arm(pixel=True),
    "pgd": Arm(adversarial=True),
    "mixup": Arm(mixup=True),
    "label-smoothing": Arm(label_smoothing=True),
    "trivialaugment": Arm(trivialaugment=True),
}


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
        if part in ("none", "none-matched") and len(parts) > 1:
            raise TsyndError(f"arm {name!r}: {part!r} combines with nothing")
    if len(set(parts)) < len(parts):
        raise TsyndError(f"arm {name!r} names a part twice")
    arms = [ARMS[part] for part in parts]
    objectives = [arm.objective for arm in arms if arm.objective]
    if len(objectives) > 1:
        raise TsyndError(f"arm {name!r} names {len(objectives)} kinds of synthetic images: one at most")
    if "pixel" in parts and not objectives:
        raise TsyndError(f"arm {name!r}: 'pixel' changes synthetic images and needs some, as in 'guarded+pixel'")
    flags = {each.name: any(getattr(arm, each.name) for arm in arms) for each in fields(Arm) if each.name != "objective"}
    return Arm(objective=objectives[0] if objectives else None, **flags)


def steps_of(arm: Arm, recipe: Recipe) -> int:
    """How many optimiser steps an arm takes: the recipe's, but for `none-matched`.

    >>> steps_of(parse_arm("guarded"), Recipe()), steps_of(parse_arm("none-matched"), Recipe())
    (600, 840)
    """
    check_kind(Arm, arm=arm)
    check_kind(Recipe, recipe=recipe)
    return round(recipe.steps * recipe.matched_steps) if arm.matched else recipe.steps
