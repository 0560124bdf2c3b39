"""Every number of a training, the same for all arms."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from tsynd.errors import TsyndError
from tsynd.targeting.search import DECODINGS
from tsynd.training.source_sampling import KEPT, SOURCES
from tsynd.utils.rules import FLAG, check_fields, choice, number, whole

# What the fields of a recipe may be.
Count = Annotated[int, whole(1)]
Steps = Annotated[int, whole(0)]
Amount = Annotated[float, number()]
Share = Annotated[float, number(0, 1)]


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
    `trivialaugment` after it. `keep` says which images enter the bank: `all` that are found, or half of twice as many, the
    `dense` or the `diverse` ones (see `tsynd.training.source_sampling.better_half`). `decode` and `displacement` are those of
    `tsynd.targeting.target`; displacement 0 leaves each image as it was found. `class_weights` lets each class of the
    training set count alike in the loss, however many images it has. `latent_channels`, `autoencoder_width` (a multiple of
    16) and `autoencoder_depth` are settings of `tsynd.autoencoding.ConvAutoencoder`; the first one sets how many numbers a
    code has; its default stands for 32 (RGB: 64) from 64 px on, where our autoencoder takes a quarter of `autoencoder_steps`.

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

    steps: Steps = 600
    batch_size: Count = 64
    learning_rate: Amount = 4e-3
    weight_decay: Amount = 1e-2
    warmup: Share = 0.25
    share: Share = 0.5
    refresh_every: Count = 10
    refresh_count: Count = 20
    capacity: Count = 60
    radius: Amount = 0.25
    ascent_steps: Steps = 5
    samples: Annotated[int, whole(2)] = 64
    guard_weight: Amount = 3.0
    guard_bound: Amount = 0.5
    guard_hard: Annotated[bool, FLAG] = False
    pixel_eps: Share = 2 / 255
    pgd_eps: Share = 2 / 255
    pgd_steps: Count = 3
    matched_steps: Amount = 1.4
    mixup_alpha: Amount = 0.4
    label_smoothing: Share = 0.1
    autoencoder_steps: Steps = 800
    latent_noise: Amount = 0.05
    soft_labels: Share = 0.0
    sources: Annotated[str, choice("sources", SOURCES)] = "uniform"
    ema: Share = 0.0
    # From here on, options that came after results of this method version (see OPTIONS_SINCE): new ones at the end.
    space: Annotated[str, choice("space", ("latent", "pixel"))] = "latent"
    posterior: Annotated[str, choice("posterior", ("head", "ensemble"))] = "head"
    members: Annotated[int, whole(2)] = 3
    autoencoder_images: Annotated[str, choice("autoencoder_images", ("subset", "all", "unlabelled"))] = "subset"
    source_augmentation: Annotated[str, choice("source_augmentation", ("light", "trivialaugment"))] = "light"
    latent_channels: Count = 16
    autoencoder_width: Count = 64
    autoencoder_depth: Steps = 0
    decode: Annotated[str, choice("decode", DECODINGS)] = "image"
    displacement: Share = 0.0
    unlabelled_count: Steps = 0
    unlabelled_batch: Count = 32
    unlabelled_share: Share = 0.375
    unlabelled_weight: Amount = 1.0
    unlabelled_start: Share = 1 / 6
    unlabelled_ramp: Share = 1 / 3
    teacher_decay: Share = 0.98
    sharpening: Amount = 2.0
    alignment: Share = 0.0
    pseudo_labels: Annotated[str, choice("pseudo_labels", ("soft", "hard"))] = "soft"
    threshold: Share = 0.0
    strong_augmentation: Annotated[str, choice("strong_augmentation", ("trivialaugment", "randaugment"))] = "trivialaugment"
    consistency_images: Annotated[str, choice("consistency_images", ("unlabelled", "training"))] = "unlabelled"
    class_weights: Annotated[bool, FLAG] = False
    keep: Annotated[str, choice("keep", KEPT)] = "all"

    @property
    def autoencoder_settings(self) -> dict[str, int]:
        """The settings of `build_autoencoder`, by its names; the default of `latent_channels` goes by the size of the images."""
        own = {} if self.latent_channels == 16 else {"latent_channels": self.latent_channels}
        return own | {"width": self.autoencoder_width, "depth": self.autoencoder_depth}

    def __post_init__(self) -> None:
        check_fields(self)
        if self.autoencoder_width % 16:
            raise TsyndError(f"autoencoder_width must be a multiple of 16, got {self.autoencoder_width}")
        if self.mixup_alpha == 0:
            raise TsyndError("mixup_alpha must be > 0, got 0: leave 'mixup' out of the arm instead")
        if self.displacement and self.decode == "image" and self.space == "latent":
            raise TsyndError("displacement is measured from the source: it needs decode='residual' or space='pixel'")


_NAMES = [each.name for each in fields(Recipe)]
OPTIONS_SINCE: dict[str, Any] = {each.name: each.default for each in fields(Recipe)[_NAMES.index("space") :]}
"""Options that came after results of this method version: at these values a run is the one that it was without them."""
