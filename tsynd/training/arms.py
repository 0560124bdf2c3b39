"""What is trained: arms by name, and every number of a training."""

import math
from dataclasses import dataclass, fields
from typing import Any

from tsynd.arguments import check_kind, check_name, check_number, check_whole
from tsynd.errors import TsyndError
from tsynd.training.sources import SOURCES


@dataclass(frozen=True)
class Arm:
    """What an arm trains on, and how long.

    objective: of the search for synthetic images; None for none. guard: with the label guard. sham: the search climbs the
    objective of an untrained copy of the classifier, so it moves images as far and knows nothing. pixel: each synthetic image
    takes one signed gradient step of the loss as it enters the bank. adversarial: every batch is attacked by PGD first.
    mixup, label_smoothing: soften batches and labels. trivialaugment: each real image of a batch gets one operation more, after
    the light augmentation that all arms share (see `tsynd.training.trivial_augment`); sources of a search do not. matched: as
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


# The least value of each whole number of a recipe, and the range of each other number, ends included.
_LEAST = {
    "steps": 0, "batch_size": 1, "refresh_every": 1, "refresh_count": 1, "capacity": 1, "ascent_steps": 0, "samples": 2,
    "pgd_steps": 1, "autoencoder_steps": 0, "members": 2,
}  # fmt: skip
_HIGHEST = {
    "learning_rate": None, "weight_decay": None, "warmup": 1, "share": 1, "radius": None, "guard_weight": None,
    "guard_bound": None, "pixel_eps": 1, "pgd_eps": 1, "matched_steps": None, "mixup_alpha": None, "label_smoothing": 1,
    "latent_noise": None, "soft_labels": 1, "ema": 1,
}  # fmt: skip

_WORDS = {
    "sources": SOURCES, "space": ("latent", "pixel"), "posterior": ("head", "ensemble"), "autoencoder_images": ("subset", "all"),
    "source_augmentation": ("light", "trivialaugment"),
}  # fmt: skip

LATER: dict[str, Any] = {
    "space": "latent",
    "posterior": "head",
    "members": 3,
    "autoencoder_images": "subset",
    "source_augmentation": "light",
}
"""Options that came after results of this method version: at these values a run is the one that it was without them."""


@dataclass(frozen=True)
class Recipe:
    """Every number of a training, the same for all arms. Defaults: the budget `cpu`. The reasons stand in book/choices.md.

    Steps are optimiser steps. `warmup` is the fraction of steps before the first synthesis. Every `refresh_every` steps
    `refresh_count` new images enter the bank, which keeps the last `capacity`; from then on `share` of each batch comes
    from the bank. `radius` is a displacement norm / sqrt(D) of standardised codes; `guard_weight`, `guard_bound`, `guard_hard`
    are those of `tsynd.targeting.Guard`. `pixel_eps` and `pgd_eps` are in [0, 1] intensity. `matched_steps` is the measured
    cost of `guarded` relative to `none`, by which `none-matched` trains longer.

    Off by default: `soft_labels` softens the labels of synthetic images that the classifier is uncertain of (see
    `tsynd.training.soft_targets`). `sources` says which real images a search starts from (see `choose_sources`). `ema` is
    the decay of an average of the weights over the steps, which is then what training returns; 0 returns the last ones. `space`
    is where the search moves, `latent` or `pixel` (with a radius of its own: .25 would be a quarter of the range). `posterior` is
    what the search climbs: dropout in the `head`, or an `ensemble` of `members` classifiers that are trained beside each other on
    the same batches, each at the full price; the first one is the result. `autoencoder_images` are those that the autoencoder
    trains on: the `subset` that the classifier has, or `all` of the training set, without labels. `source_augmentation` is what
    an image gets before a search starts from it: the `light` augmentation that all arms share, or `trivialaugment` after it.

    Raises:
        TsyndError: when a number is out of range, or a word is unknown.
    """

    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    warmup: float = 0.25
    share: float = 0.5
    refresh_every: int = 10
    refresh_count: int = 20
    capacity: int = 60
    radius: float = 0.25
    ascent_steps: int = 5
    samples: int = 64
    guard_weight: float = 3.0
    guard_bound: float = 0.5
    guard_hard: bool = False
    pixel_eps: float = 2 / 255
    pgd_eps: float = 2 / 255
    pgd_steps: int = 3
    matched_steps: float = 1.4
    mixup_alpha: float = 0.4
    label_smoothing: float = 0.1
    autoencoder_steps: int = 800
    latent_noise: float = 0.05
    soft_labels: float = 0.0
    sources: str = "uniform"
    ema: float = 0.0
    space: str = "latent"
    posterior: str = "head"
    members: int = 3
    autoencoder_images: str = "subset"
    source_augmentation: str = "light"

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise TsyndError(f"{name} must be a whole number >= {least}, got {value!r}")
            check_whole(**{name: value})
        for name, highest in _HIGHEST.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < math.inf or (highest is not None and value > highest):
                raise TsyndError(f"{name} must be {'>= 0' if highest is None else f'in [0, {highest}]'}, got {value!r}")
            check_number(**{name: value})
        if not isinstance(self.guard_hard, bool):
            raise TsyndError(f"guard_hard must be true or false, got {self.guard_hard!r}")
        if self.mixup_alpha == 0:
            raise TsyndError("mixup_alpha must be > 0, got 0: leave 'mixup' out of the arm instead")
        for name, known in _WORDS.items():
            check_name(name, getattr(self, name), known)


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
