"""Figures of the landing page and of the page of results, drawn from the tables of the main study."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from tsynd.study.comparisons import MEAN
from tsynd.utils.plotting import Picture, method_style, styled

Row = Mapping[str, str]
# With few images, as in the comparisons that decide: by data set, images of each class.
FEW = {"breastmnist": "60", "pneumoniamnist": "25", "retinamnist": "25", "phantom:withheld=irregular-enhancing": "60"}
PLAIN = {"none": "no synthetic images", "random": "random directions", "tsynd": "targeted (TSynD)", "pgd": "adversarial training"}
MEASURES = {
    "auroc": "Clean images: ranking (AUROC)",
    "augmented": "Augmented images: accuracy",
    "pgd_2_255": "Under attack: accuracy",
}
PANELS = {"auroc": "clean images:\nAUROC", "augmented": "augmented images:\naccuracy", "pgd_2_255": "under attack:\naccuracy"}
# One method minus another, by group; the first of each pair gives the colour.
PAIRS = (
    *(("tsynd", other) for other in ("none", "reconstruction", "random", "sham", "entropy", "pgd")),
    *(("guarded+mixup", other) for other in ("mixup", "trivialaugment", "random+mixup")),
    *(("refined", other) for other in ("mixup", "trivialaugment", "mixup+trivialaugment", "refined-random")),
)

MAIN = (
    *(("tsynd", other) for other in ("none", "random", "entropy", "pgd")),
    ("guarded+mixup", "mixup"),
    ("refined", "refined-random"),
)


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pooled_means(means: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The mean over the four data sets, by method and measure."""
    return {
        arm: {
            name: fmean(float(row[name]) for row in means if row["arm"] == arm and FEW.get(row["data"]) == row["per_class"])
            for name in MEASURES
        }
        for arm in PLAIN
    }


@styled
def summary(means: Sequence[Row]) -> Figure:
    """Draw four methods by three measures, each the mean over four data sets: narrow, so that a phone shows its words."""
    found = pooled_means(means)
    figure = Picture(figsize=(4.2, 5.2))
    for axis, (name, title) in zip(figure.subplots(3, 1, sharex=True), MEASURES.items(), strict=True):
        for place, arm in enumerate(reversed(PLAIN)):
            value = found[arm][name]
            style = method_style(arm)
            axis.plot([0, value], [place, place], color=style["color"], linewidth=2.5, solid_capstyle="butt")
            axis.plot(value, place, markersize=9, markeredgecolor="white", **style)
            axis.text(value + 0.035, place, f"{value:.2f}", va="center", fontsize=11)
        axis.set_title(title, fontsize=12, loc="right")
        axis.set_yticks(range(len(PLAIN)), list(reversed(PLAIN.values())), fontsize=11)
        axis.set(xlim=(0, 1), ylim=(-0.6, len(PLAIN) - 0.4))
        axis.tick_params(axis="x", labelsize=11)
        axis.grid(axis="y", visible=False)
    return figure


@styled
def pooled(differences: Sequence[Row], narrow: bool = False) -> Figure:
    """Draw differences between methods in the mean over the data sets, a panel for each measure that decides.

    narrow: the panels stand below each other and have the main rows only, for a phone.
    """
    figure = Picture(figsize=(4.2, 8.4) if narrow else (7.6, 5.0))
    pairs = MAIN if narrow else PAIRS
    panels = figure.subplots(3, 1) if narrow else figure.subplots(1, 3, sharey=True)
    for axis, (name, title) in zip(panels, PANELS.items(), strict=True):
        for place, (arm, other) in enumerate(pairs):
            key = (arm, other, name, MEAN)
            for row in [each for each in differences if (each["arm"], each["other"], each["measure"], each["data"]) == key][:1]:
                mean, low, high = (float(row[bound]) for bound in ("mean", "low", "high"))
                style = method_style(arm)
                axis.plot([low, high], [place, place], color=style["color"], linewidth=1.6)
                axis.plot(mean, place, markersize=7, **style)
        axis.axvline(0, color="0.3", linewidth=1)
        axis.set_title(title.replace("\n", " ") if narrow else title, fontsize=12 if narrow else 11)
        axis.tick_params(labelsize=10.5 if narrow else 10)
        axis.grid(axis="y", visible=False)
        axis.set_xlim(-0.16, 0.17)  # the same for all, so that sizes can be compared
        axis.set_yticks(range(len(pairs)), [f"{arm}\n− {other}" if narrow else f"{arm} − {other}" for arm, other in pairs])
        axis.set_ylim(len(pairs) - 0.5, -0.5)
    return figure
