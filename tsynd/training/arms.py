"""What is trained: arms by name, and every number of a training."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tsynd.errors import TsyndError
from tsynd.training.recipe import Recipe
from tsynd.utils.rules import validated
from tsynd.utils.validation import check_kind, check_name


@dataclass(frozen=True)
class Arm:
    """What an arm trains on, and how long.

    objective: of the search for synthetic images; None for none. guard: with the label guard. sham: the search climbs the
    objective of an untrained copy of the classifier, so it moves images as far and knows nothing. pixel: each synthetic image
    takes one signed gradient step of the loss as it enters the bank. adversarial: every batch is attacked by PGD first.
    mixup, label_smoothing: soften batches and labels. trivialaugment: each real image of a batch gets one operation more, after
    the light augmentation that all arms share (see `tsynd.augmentation.trivial_augment`); sources of a search do not. matched: as
    many more steps as `guarded` costs. consistency: a second loss, on images without labels (see `tsynd.training.Consistency`);
    a search then starts from these. ridge: no steps at all, but ridge regression of the labels on the inputs of the last layer
    (see `tsynd.training.ridge`). classifier: the network that it is for, where no other is named. what: one line about it.
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
    consistency: bool = False
    ridge: bool = False
    classifier: str = ""
    what: str = field(default="", compare=False)


ARMS: dict[str, Arm] = {
    "none": Arm(what="real images only, with the light augmentation that all arms share"),
    "none-matched": Arm(matched=True, what="none, with as many more steps as guarded costs"),
    "reconstruction": Arm(objective="reconstruction", what="control: images as the autoencoder reconstructs them"),
    "random": Arm(objective="random", what="control: moved as far as tsynd moves them, in a random direction"),
    "sham": Arm(objective="mutual_information", sham=True, what="control: tsynd on an untrained copy of the classifier"),
    "entropy": Arm(objective="entropy", what="images moved to a higher entropy of the prediction"),
    "cross-entropy": Arm(objective="cross_entropy", what="images moved to a higher loss on their label"),
    "tsynd": Arm(objective="mutual_information", what="the paper: images moved to higher mutual information, labels copied"),
    "guarded": Arm(objective="mutual_information", guard=True, what="tsynd with a penalty where the label becomes less likely"),
    "pixel": Arm(pixel=True, what="with another arm: a signed gradient step in the pixels of each synthetic image"),
    "pgd": Arm(adversarial=True, what="adversarial training: each batch is attacked by PGD first"),
    "mixup": Arm(mixup=True, what="convex combinations of images and of their labels"),
    "label-smoothing": Arm(label_smoothing=True, what="labels mixed with an even guess"),
    "trivialaugment": Arm(trivialaugment=True, what="one more random operation on each real image"),
    "divergence": Arm(objective="divergence", what="images moved to where the prediction differs most from that of their source"),
    "consistency": Arm(consistency=True, what="a second loss on images without labels: predictions should agree"),
    "pixel-ridge": Arm(ridge=True, classifier="linear", what="baseline: ridge regression on the pixels, in closed form"),
    "probe": Arm(
        ridge=True,
        classifier="efficientnet-lite0-frozen",
        what="baseline: ridge regression on features of a pretrained network's blocks",
    ),
}
"""The parts of an arm, which `+` combines."""

SETTINGS: dict[str, dict[str, Any]] = {"consistency": {"decode": "residual"}}
"""Numbers of the recipe that come with a part."""


@dataclass(frozen=True)
class Method:
    """Parts under one name, with the numbers of the recipe that belong to them."""

    parts: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    what: str = ""


METHODS: dict[str, Method] = {
    # What two rounds on validation splits chose before version 3 of the method (studies/round-1.yaml, round-2.yaml).
    "refined": Method(
        "guarded+mixup+trivialaugment",
        {"share": 0.25, "source_augmentation": "trivialaugment"},
        "guarded+mixup+trivialaugment, a quarter of each batch synthetic",
    ),
    "refined-random": Method(
        "random+mixup+trivialaugment", {"share": 0.25, "source_augmentation": "trivialaugment"}, "control of refined, by random"
    ),
    # Chosen by the third round (round-3.yaml, round-3-confirm.yaml of studies/), frozen for its confirmation.yaml.
    "recommended": Method(
        "guarded+mixup+trivialaugment",
        {"share": 0.25, "source_augmentation": "trivialaugment"},
        "what we recommend for images with labels: the same as refined",
    ),
    "recommended+unlabelled": Method(
        "consistency+tsynd+mixup+trivialaugment", {}, "what we recommend with images without labels: some of them targeted"
    ),
    # Sohn et al. 2020, arXiv 2001.07685, with its published numbers: hard labels above .95, 7 unlabelled images for each
    # labelled one, weight 1 from the first step, two operations of RandAugment and Cutout, averaged weights. The rest is ours.
    "fixmatch": Method(
        "consistency",
        {
            "teacher_decay": 0.0, "pseudo_labels": "hard", "threshold": 0.95, "unlabelled_batch": 448, "unlabelled_start": 0.0,
            "unlabelled_ramp": 0.0, "strong_augmentation": "randaugment", "ema": 0.999,
        },
        "FixMatch (Sohn et al. 2020), with images without labels",
    ),
    # Osada et al. 2020, arXiv 2011.13181: the classifier's own answer on a source is the target of the decoded image that differs
    # most from it in divergence. Without --unlabelled the sources are the training images.
    "lvat": Method(
        "consistency+divergence",
        {
            "teacher_decay": 0.0, "sharpening": 1.0, "unlabelled_share": 1.0, "unlabelled_start": 0.0, "unlabelled_ramp": 0.0,
            "decode": "image", "consistency_images": "training",
        },
        "LVAT (Osada et al. 2020): consistency under a search in latent space",
    ),
    # What does the autoencoder buy? The same search in both spaces, each image changed by the same root mean square.
    "pixel-residual": Method("tsynd", {"space": "pixel", "radius": 0.02, "displacement": 0.02}, "control: tsynd in pixel space"),
    "latent-residual": Method("tsynd", {"decode": "residual", "displacement": 0.02}, "tsynd, as large as pixel-residual"),
    # A signed gradient step in pixel space from the unlabelled image itself.
    "consistency+pixel": Method("consistency+reconstruction+pixel", {"space": "pixel"}, "control: a pixel step instead"),
}  # fmt: skip
"""Named methods. An arm is named by one of these, or by parts."""


def expand(name: str) -> tuple[list[str], dict[str, Any]]:
    """Return the parts of an arm, and the numbers of the recipe that come with it; a method's name counts before its parts.

    >>> expand("refined")
    (['guarded', 'mixup', 'trivialaugment'], {'share': 0.25, 'source_augmentation': 'trivialaugment'})
    """
    check_kind(str, arm=name)
    left, found, settings = name.split("+"), list[str](), dict[str, Any]()
    while left:  # the longest name of a method that is spelt here, else one part
        ends = [end for end in range(len(left), 0, -1) if "+".join(left[:end]) in METHODS]
        taken, left = left[: (ends or [1])[0]], left[(ends or [1])[0] :]
        method = METHODS.get("+".join(taken), Method(taken[0]))
        parts = method.parts.split("+")
        for each in parts:
            settings |= SETTINGS.get(each, {})
        settings |= method.settings
        found += parts
    return found, settings


def recipe_for(name: str, recipe: Recipe | None = None) -> Recipe:
    """Return a recipe with the numbers that come with an arm.

    >>> recipe_for("refined").share, recipe_for("tsynd").share
    (0.25, 0.5)
    """
    return replace(recipe or Recipe(), **expand(name)[1])


def parse_arm(name: str) -> Arm:
    """An arm from its name, one of `METHODS` or parts; `+` combines at most one kind of synthetic image with the rest.

    The numbers that come with a name are no part of the arm: `recipe_for` gives them.

    >>> parse_arm("guarded+mixup") == Arm(objective="mutual_information", guard=True, mixup=True)
    True

    Raises:
        TsyndError: for an unknown or repeated part (the nearest known one is named), two kinds of synthetic images, or
            `pixel` without any.
    """
    parts, _ = expand(name)
    if "" in parts:
        raise TsyndError(f"arm {name!r} has an empty part: name arms, joined by '+'")
    for part in parts:
        check_name("arm", part, (*ARMS, *METHODS))
        if (part in ("none", "none-matched") or ARMS[part].ridge) and len(parts) > 1:
            raise TsyndError(f"arm {name!r}: {part!r} combines with nothing")
    if len(set(parts)) < len(parts):
        raise TsyndError(f"arm {name!r} names a part twice")
    if len(parts) == 1:
        return ARMS[parts[0]]
    arms = [ARMS[part] for part in parts]
    objectives = [arm.objective for arm in arms if arm.objective]
    if len(objectives) > 1:
        raise TsyndError(f"arm {name!r} names {len(objectives)} kinds of synthetic images: one at most")
    if "pixel" in parts and not objectives:
        raise TsyndError(f"arm {name!r}: 'pixel' changes synthetic images and needs some, as in 'guarded+pixel'")
    texts = ("objective", "classifier", "what")
    flags = {each.name: any(getattr(arm, each.name) for arm in arms) for each in fields(Arm) if each.name not in texts}
    return Arm(objective=objectives[0] if objectives else None, **flags)  # type: ignore[arg-type]  # bool each


@validated
def steps_of(arm: Arm, recipe: Recipe) -> int:
    """How many optimiser steps an arm takes: the recipe's, but for `none-matched`, and none in closed form.

    >>> steps_of(parse_arm("guarded"), Recipe()), steps_of(parse_arm("none-matched"), Recipe())
    (600, 840)
    """
    return 0 if arm.ridge else round(recipe.steps * recipe.matched_steps) if arm.matched else recipe.steps
