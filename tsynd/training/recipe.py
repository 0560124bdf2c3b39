"""Every number of a training, the same for all arms."""

import math
from dataclasses import dataclass
from typing import Any

from tsynd.errors import TsyndError
from tsynd.targeting.search import DECODINGS
from tsynd.training.source_sampling import SOURCES
from tsynd.utils.validation import check_name, check_number, check_whole

# The least value of each whole number of a recipe, and the range of each other number, ends included.
_LEAST = {
    "steps": 0, "batch_size": 1, "refresh_every": 1, "refresh_count": 1, "capacity": 1, "ascent_steps": 0, "samples": 2,
    "pgd_steps": 1, "autoencoder_steps": 0, "members": 2, "unlabelled_count": 0, "unlabelled_batch": 1,
}  # fmt: skip


_HIGHEST = {
    "learning_rate": None, "weight_decay": None, "warmup": 1, "share": 1, "radius": None, "guard_weight": None,
    "guard_bound": None, "pixel_eps": 1, "pgd_eps": 1, "matched_steps": None, "mixup_alpha": None, "label_smoothing": 1,
    "latent_noise": None, "soft_labels": 1, "ema": 1, "displacement": 1, "unlabelled_share": 1, "unlabelled_weight": None,
    "unlabelled_start": 1, "unlabelled_ramp": 1, "teacher_decay": 1, "sharpening": None, "alignment": 1, "threshold": 1,
}  # fmt: skip


_WORDS = {
    "sources": SOURCES, "space": ("latent", "pixel"), "posterior": ("head", "ensemble"),
    "autoencoder_images": ("subset", "all", "unlabelled"), "source_augmentation": ("light", "trivialaugment"),
    "decode": DECODINGS, "pseudo_labels": ("soft", "hard"), "strong_augmentation": ("trivialaugment", "randaugment"),
    "consistency_images": ("unlabelled", "training"),
}  # fmt: skip


OPTIONS_SINCE: dict[str, Any] = {
    "space": "latent",
    "posterior": "head",
    "members": 3,
    "autoencoder_images": "subset",
    "source_augmentation": "light",
    "decode": "image",
    "displacement": 0.0,
    "unlabelled_count": 0,
    "unlabelled_batch": 32,
    "unlabelled_share": 0.375,
    "unlabelled_weight": 1.0,
    "unlabelled_start": 1 / 6,
    "unlabelled_ramp": 1 / 3,
    "teacher_decay": 0.98,
    "sharpening": 2.0,
    "alignment": 0.0,
    "pseudo_labels": "soft",
    "threshold": 0.0,
    "strong_augmentation": "trivialaugment",
    "consistency_images": "unlabelled",
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
    trains on: the `subset` that the classifier has, `all` of the training set, or the subset and the `unlabelled` images.
    `source_augmentation` is what an image gets before a search starts from it: the `light` augmentation that all arms share, or
    `trivialaugment` after it. `decode` and `displacement` are those of `tsynd.targeting.target`; displacement 0 leaves each
    image as it was found.

    Of the second loss, on images without labels: `unlabelled_count` of them are used, 0 for all; `consistency_images` says
    whether the loss is on these or on the training images without their labels. `unlabelled_batch` images take part in a step,
    of which `unlabelled_share` come from searches where the arm has any. The loss begins at the fraction `unlabelled_start` of
    all steps and its weight rises to `unlabelled_weight` over the fraction `unlabelled_ramp`. The targets are a teacher's: an
    average of the classifier of decay `teacher_decay`, 0 for the classifier itself. Its probabilities are moved towards the
    training set's shares of the classes with strength `alignment`, raised to the power `sharpening` (or made `hard`), and count
    where the largest is at least `threshold`. `strong_augmentation` is what the classifier sees of these images.

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
    decode: str = "image"
    displacement: float = 0.0
    unlabelled_count: int = 0
    unlabelled_batch: int = 32
    unlabelled_share: float = 0.375
    unlabelled_weight: float = 1.0
    unlabelled_start: float = 1 / 6
    unlabelled_ramp: float = 1 / 3
    teacher_decay: float = 0.98
    sharpening: float = 2.0
    alignment: float = 0.0
    pseudo_labels: str = "soft"
    threshold: float = 0.0
    strong_augmentation: str = "trivialaugment"
    consistency_images: str = "unlabelled"

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
        if self.displacement and self.decode == "image" and self.space == "latent":
            raise TsyndError("displacement is measured from the source: it needs decode='residual' or space='pixel'")
