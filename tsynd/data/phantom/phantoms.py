"""The data set of phantoms: splits of images with their labels, factors, lesion masks and subgroups."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import torch
from torch import Tensor

from tsynd.data.dataset import SPLITS, Dataset, Split
from tsynd.data.phantom.factors import Factors, sample_factors
from tsynd.data.phantom.rendering import lesion_masks, render
from tsynd.data.phantom.rule import CLASSES, SUBGROUPS, borderline, check_classes, classify, subgroup
from tsynd.errors import TsyndError
from tsynd.utils.rng import generator_for, uniform
from tsynd.utils.rules import SEED, validated, whole

OPTIONS: dict[str, Any] = {"seed": 0, "count": 2000, "classes": 2, "withheld": None, "kept": 0.0}
VAL_PER_CLASS, TEST_PER_CLASS = 200, 500
BATCH = 50


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PhantomSplit(Split):
    """Phantoms with their truth: `factors` made the images, `subgroups` says which image belongs to which of `SUBGROUPS`."""

    factors: Factors

    def __getitem__(self, chosen: Tensor | slice) -> Self:
        return replace(super().__getitem__(chosen), factors=self.factors[chosen])

    def masks(self) -> Tensor:
        """Where the lesions are: (N, 1, size, size) in [0, 1], drawn from the factors when asked for."""
        size, starts = self.images.shape[-1], range(0, len(self), BATCH)
        return torch.cat([lesion_masks(self.factors[start : start + BATCH], size) for start in starts])


@validated
def phantom(
    seed: Annotated[int, SEED] = 0,
    count: Annotated[int, whole(1)] = OPTIONS["count"],
    size: Annotated[int, whole(1)] = 28,
    *,
    classes: int = 2,
    withheld: str | None = None,
    kept: float = 0.0,
) -> Dataset:
    """A data set of phantoms: `count` per class in train, 200 in val, 500 in test; the same seed, the same images.

    Each split is a `PhantomSplit`: factors, lesion masks and subgroups come with the images.

    Args:
        seed: of factors and images; each split has its own stream, so `count` and `withheld` leave the test set as it is.
        count: training images per class.
        size: height and width in pixels.
        classes: 2, 3 or 4: the rule is in `tsynd.data.phantom.rule`. Three and four are ordinal.
        withheld: a name out of `SUBGROUPS`: absent, or rare, in train and val; in test as common as ever.
        kept: the share of the withheld subgroup that stays in train and val: 0 makes it absent, .1 rare.

    Raises:
        TsyndError: an option is out of range or unknown, or a class would be left without enough images.

    >>> phantom(count=10).train
    PhantomSplit(20 images of 1 x 28 x 28)
    """
    check_classes(classes)
    if not 0 <= kept <= 1 or (kept and withheld is None):
        allowed = "lie between 0 and 1" if withheld else "go with withheld, the subgroup of which a share is kept"
        raise TsyndError(f"phantom option 'kept' must {allowed}, got {kept:g}")
    counts = {"train": count, "val": VAL_PER_CLASS, "test": TEST_PER_CLASS}
    streams = {split: generator_for(seed, f"phantom {split}") for split in counts}
    train, val, test = (
        draw_split(
            counts[split], size, streams[split], classes=classes, withheld=None if split == "test" else withheld, kept=kept
        )
        for split in SPLITS
    )
    chosen = {"seed": seed, "count": count, "classes": classes, "withheld": withheld, "kept": kept}
    options = ",".join(f"{key}={value}" for key, value in chosen.items() if value != OPTIONS[key])
    name = f"phantom:{options}" if options else "phantom"
    task = "binary" if classes == 2 else "ordinal"
    return Dataset(name, train, val, test, CLASSES[classes], task, "CC BY 4.0", source="tsynd.data.phantom")


@validated
def withheld_in(name: str) -> str | None:
    """The subgroup that a data set of phantoms of this name withholds; None for none, and for other data.

    >>> withheld_in("phantom:seed=1,withheld=faint"), withheld_in("phantom")
    ('faint', None)
    """
    kind, _, options = name.partition(":")
    return dict(option.split("=") for option in options.split(",")).get("withheld") if kind == "phantom" and options else None


@validated
def draw_split(
    per_class: Annotated[int, whole(1)],
    size: Annotated[int, whole(1)],
    generator: torch.Generator | None = None,
    *,
    classes: int = 2,
    withheld: str | None = None,
    kept: float = 0.0,
) -> PhantomSplit:
    """Draw phantoms with `per_class` of each class, in mixed order, less a withheld subgroup; arguments as in `phantom`."""
    # Of lesions that are not borderline each class has at least a third (4 classes: a sixth): this is more than enough.
    check_classes(classes)
    drawn = sample_factors(3 * classes * per_class + 64, generator)
    drawn = drawn[~borderline(drawn, classes)]
    if withheld is not None:
        chance = uniform((len(drawn),), generator, drawn.radius)
        drawn = drawn[~subgroup(drawn, withheld) | (chance < kept)]
    labels = classify(drawn, classes)
    for label, left in enumerate(torch.bincount(labels, minlength=classes).tolist()):
        if left < per_class:
            few = f"{left} images" if left else "no image"
            raise TsyndError(f"withheld={withheld!r} leaves class {CLASSES[classes][label]!r} {few} where {per_class} are wanted")
    chosen = torch.cat([(labels == label).nonzero().flatten()[:per_class] for label in range(classes)]).sort().values
    factors = drawn[chosen]
    drawn_parts = (render(factors[start : start + BATCH], size, generator) for start in range(0, len(factors), BATCH))
    return PhantomSplit(
        torch.cat([(part * 255).round().to(torch.uint8) for part in drawn_parts]),  # of a large set, never all as floats
        labels[chosen],
        subgroups={name: subgroup(factors, name) for name in SUBGROUPS},
        factors=factors,
    )
