"""What a run is: a pure function of this configuration, written out in full beside its results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, Literal

import torch

from tsynd.autoencoding.networks import KINDS
from tsynd.classification.build import check_architecture
from tsynd.data.loading import names_to_ignore
from tsynd.errors import TsyndError
from tsynd.training import Recipe, parse_arm
from tsynd.training.arms import recipe_for
from tsynd.utils.environment import METHOD_VERSION
from tsynd.utils.factories import FORMS, file_hash, find_factory, is_factory
from tsynd.utils.rules import FLAG, check_fields, whole
from tsynd.utils.validation import check_kind, check_name, check_whole

NETWORKS = ("classifier", "head", "classifier_weights", "autoencoder", "autoencoder_weights")
"""The settings of a run that name its networks."""
FACTORIES, DEFAULTS = ("classifier", "autoencoder"), ("compact", "conv")


@dataclass(frozen=True)
class Evaluation:
    """How much is measured: draws of test-time augmentation, PGD steps, and at most how many images under shifts and attack.

    `limit=None` means all of them. Clean performance is always measured on all. `strong`: also under stronger attacks, with the
    checks of them (see `tsynd.robustness.evaluate`).

    Raises:
        TsyndError: when a number is out of range.
    """

    draws: Annotated[int, whole(1)] = 10
    attack_steps: Annotated[int, whole(1)] = 20
    limit: Annotated[int, whole(1)] | None = None
    strong: Annotated[bool, FLAG] = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Budget:
    """One meaning of smoke, cpu and gpu everywhere: the recipe of training and the extent of evaluation."""

    recipe: Recipe
    evaluation: Evaluation


BUDGETS: dict[str, Budget] = {
    # Seconds: to see that everything works. Its numbers mean nothing.
    "smoke": Budget(Recipe(steps=120, autoencoder_steps=160), Evaluation(draws=2, limit=64)),
    # A few minutes on one core: small networks, trained to the end.
    "cpu": Budget(Recipe(), Evaluation()),
    # Minutes on a GPU, for images of 64 px and more: a wider autoencoder, a larger bank, more steps. Never measured.
    "gpu": Budget(
        Recipe(steps=3000, autoencoder_steps=4000, autoencoder_width=128, samples=128, refresh_count=80, capacity=240),
        Evaluation(draws=20),
    ),
}


@dataclass(frozen=True)
class RunConfig:
    """One run.

    Args:
        data: a data set's name (`breastmnist`, `phantom`, `phantom:seed=1`), a folder, or an `.npz` file.
        arm: how to train: a method's name, or parts that combine with `+` (see `tsynd.training.METHODS` and `ARMS`).
        per_class: training images of each class; None or "all" for all.
        size: side of the images in px; None for 28, or a file's own size.
        seed: of the subset, the initialisation and all that is drawn.
        budget: `smoke`, `cpu` or `gpu`.
        evaluate: the split that is evaluated, `test` or `val`.
        device: `auto` (cuda, then mps, then cpu) or the name of a torch device.
        synthetic: a file of synthetic images that batches are mixed with, in place of a search; for arms without one.
        review: an expert's decisions about these images; rejected and unreviewed ones are left out.
        skip_unreadable: leave out images of a folder or CSV that cannot be read, in place of an error.
        crop: cut images of a folder or CSV to a square, instead of padding them.
        ignore: names of folders and files below a folder that are passed over, with `*` for any letters.
        unlabelled: images without labels, for arms with consistency: `rest`, the training images that `per_class` leaves out,
            or a folder. None means `rest` where the arm needs some.
        changes: numbers of the budget's recipe or evaluation that are others in this run, by name: `{"radius": 0.1}`.
        classifier: the network, as `tsynd.classification.build_classifier` takes it: `compact`, `resnet18`, …, or a factory of
            yours, `FILE.py:factory` or `package.module:factory`. None for the arm's own, which is `compact` for most.
        head: the layer of a factory's network where dropout begins; found without it.
        classifier_weights: a file of weights for a factory's network.
        autoencoder: `conv`, `vae`, or a factory of yours (see `tsynd.autoencoding.adopt_autoencoder`).
        autoencoder_weights: a file of weights for a factory's autoencoder.

    Raises:
        TsyndError: when a value is not one of these.
    """

    data: str
    arm: str = "guarded"
    per_class: int | Literal["all"] | None = None
    size: int | None = None
    seed: int = 0
    budget: str = "cpu"
    evaluate: str = "test"
    device: str = "auto"
    synthetic: str | None = None
    review: str | None = None
    skip_unreadable: bool = False
    unlabelled: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    classifier: str | None = None
    head: str | None = None
    classifier_weights: str | None = None
    autoencoder: str | None = None
    autoencoder_weights: str | None = None
    crop: bool = False
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("data", "arm", "budget", "evaluate", "device"):
            if not isinstance(getattr(self, name), str):
                raise TsyndError(f"{name} must be a text, got {getattr(self, name)!r}")
        if self.per_class == "all":
            object.__setattr__(self, "per_class", None)
        for name, kinds in (("per_class", int | None), ("size", int | None), ("seed", int)):
            if not isinstance(value := getattr(self, name), kinds) or isinstance(value, bool):
                raise TsyndError(f"{name} must be a whole number, got {value!r}")
        for name in ("synthetic", "review", "unlabelled", *NETWORKS):
            if not isinstance(getattr(self, name), str | None):
                raise TsyndError(f"{name} must be the name of a file, got {getattr(self, name)!r}")
        check_kind(bool, skip_unreadable=self.skip_unreadable, crop=self.crop)
        object.__setattr__(self, "ignore", names_to_ignore(self.ignore))
        self._check_networks()
        arm = parse_arm(self.arm)
        if self.unlabelled is not None and not arm.consistency:
            better = "add consistency to it, as in 'consistency+mixup'"
            raise TsyndError(f"arm {self.arm!r} has no use for images without labels: {better}")
        if arm.objective and self.synthetic:
            raise TsyndError(f"arm {self.arm!r} makes synthetic images of its own: with --synthetic use none, mixup or another")
        if self.review and not self.synthetic:
            raise TsyndError(f"--review {self.review} needs the images that it is about: --synthetic FILE.npz")
        check_name("budget", self.budget, BUDGETS)
        check_name("split", self.evaluate, ["test", "val"])
        if isinstance(self.per_class, int):
            check_whole(per_class=self.per_class)
            if self.per_class < 1:
                raise TsyndError(f"per_class must be >= 1 or all, got {self.per_class}")
        if self.size is not None and not 16 <= self.size <= 1024:
            raise TsyndError(f"size must be between 16 and 1024 px, got {self.size}")
        if self.seed < 0:
            raise TsyndError(f"seed must be >= 0, got {self.seed}")
        known = [each.name for kind in (Recipe, Evaluation) for each in fields(kind)]
        for name in self.changes:
            check_name("setting", name, known)
        _ = self.recipe, self.evaluation  # they check their own numbers
        if self.unlabelled is None and arm.consistency and self.recipe.consistency_images == "unlabelled":
            object.__setattr__(self, "unlabelled", "rest")

    def _check_networks(self) -> None:
        """Refuse networks that there are not, an arm that is for another one, and settings of a factory without any."""
        arm = parse_arm(self.arm)
        if self.classifier is not None:
            check_architecture(self.classifier)
            if arm.classifier == "linear" and self.classifier != "linear":
                better = "leave the classifier out, or use 'probe'"
                raise TsyndError(f"arm {self.arm!r} is of the pixels, not of {self.classifier!r}: {better}")
        if self.autoencoder is not None and not is_factory(self.autoencoder):
            check_name("autoencoder", self.autoencoder, (*KINDS, FORMS))
        for name, network in (("head", self.classifier), *((f"{kind}_weights", getattr(self, kind)) for kind in FACTORIES)):
            if getattr(self, name) is not None and not (network and is_factory(network)):
                raise TsyndError(f"{name} {getattr(self, name)!r} is for a network of your own: name its factory as {FORMS}")

    @property
    def recipe(self) -> Recipe:
        """The numbers of the training. They are the budget's, except for those that come with the arm or are in `changes`."""
        return replace(recipe_for(self.arm, BUDGETS[self.budget].recipe), **self._changed(Recipe))

    @property
    def evaluation(self) -> Evaluation:
        """The extent of the evaluation, the budget's but for `changes`."""
        return replace(BUDGETS[self.budget].evaluation, **self._changed(Evaluation))

    def _changed(self, kind: type) -> dict[str, Any]:
        return {each.name: self.changes[each.name] for each in fields(kind) if each.name in self.changes}

    def resolved(self) -> dict[str, Any]:
        """The configuration with every default of the method written out: what `config.json` holds."""
        given: dict[str, Any] = {"synthetic": self.synthetic, "review": self.review, "unlabelled": self.unlabelled}
        given |= {"skip_unreadable": self.skip_unreadable or None, "crop": self.crop or None, "ignore": list(self.ignore) or None}
        return {
            **{name: value for name, value in asdict(self).items() if name not in (*given, *NETWORKS, "changes")},
            **{name: value for name, value in given.items() if value is not None},
            **self._networks(),
            "method_version": METHOD_VERSION,
            "recipe": asdict(self.recipe),
            "evaluation": asdict(self.evaluation),
        }

    def _networks(self) -> dict[str, Any]:
        """The networks that are not the default, each with what identifies a factory's source and its file of weights."""
        found = {name: getattr(self, name) for name in NETWORKS if getattr(self, name) not in (None, *DEFAULTS)}
        if not parse_arm(self.arm).objective:  # no search, no autoencoder
            found = {name: value for name, value in found.items() if not name.startswith("autoencoder")}
        for name in FACTORIES:
            if is_factory(found.get(name, "")):
                found[f"{name}_identity"] = find_factory(found[name]).identity
            if weights := found.get(f"{name}_weights"):
                found[f"{name}_weights_identity"] = file_hash(weights)
        return found


def changes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a resolved configuration that are not those of its budget and arm: what `RunConfig.changes` may have been.

    >>> changes(RunConfig("phantom", changes={"radius": 0.1, "draws": 10}).resolved())
    {'radius': 0.1}
    """
    budget = BUDGETS[config["budget"]]
    usual = asdict(recipe_for(config.get("arm", "none"), budget.recipe)) | asdict(budget.evaluation)
    found = {**config.get("recipe", {}), **config.get("evaluation", {})}
    return {name: value for name, value in found.items() if name in usual and usual[name] != value}


def find_device(name: str) -> torch.device:
    """The torch device of a name; `auto` is cuda, then mps, then cpu. TsyndError when this machine does not have it."""
    if name == "auto":
        best = torch.accelerator.current_accelerator()
        return best if best is not None and torch.accelerator.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise TsyndError(f"device {name!r} cannot be used here: use auto or cpu") from error
    return device


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """Every number of the training of a run, from its configuration; what later versions took out is passed over."""
    if not isinstance(recipe := settings["recipe"], dict):
        raise TsyndError(f"recipe must be `key: value` pairs, got {recipe!r}")
    return Recipe(**{each.name: recipe[each.name] for each in fields(Recipe) if each.name in recipe})
