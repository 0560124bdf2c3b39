"""Numbers and figures of the chapter on the study: our own ten seeds, what intervals hold, and how many seeds it takes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tsynd.teaching.figures import column, taught
from tsynd.utils.plotting import COLOURS, MARKERS

NUMBERS = json.loads(Path(__file__).with_name("numbers.json").read_text(encoding="utf-8"))
# From results/refresh/runs.csv, seeds 0 to 9, validation: AUROC on BreastMNIST and accuracy under PGD 2/255 on RetinaMNIST,
# without synthetic images and with those of the default bank (arm guarded).
NONE: dict[str, list[float]] = NUMBERS["none"]
GUARDED: dict[str, list[float]] = NUMBERS["guarded"]
# From results/main/runs.csv, the sets of the first tier, test: tsynd minus none at seeds 0 to 9, mean over the four sets.
MAIN: dict[str, list[float]] = NUMBERS["main"]


@taught
def seeds(differences: Mapping[str, Sequence[float]], shown: int | None = None, of: str = "guarded − none") -> Figure:
    """Differences at each seed as points, their mean as a bar, a panel a measure; with `shown`, the other seeds are hidden."""
    figure, axes = column(2.9 * len(differences), len(differences))
    for axis, (name, values) in zip(axes, differences.items(), strict=True):
        seen = list(values)[:shown]
        for seed, value in enumerate(seen):
            number = 2 if value > 0 else 1
            axis.plot(seed, value, MARKERS[number], color=COLOURS[number], ms=7)
        axis.axhline(0, color="0.3", linewidth=1)
        axis.axhline(np.mean(seen), color=COLOURS[0], linewidth=2, linestyle="--", label=f"mean {np.mean(seen):+.3f}")
        limit = 1.15 * max(abs(value) for value in values)
        axis.set(xlabel="seed", title=name, xlim=(-0.6, len(values) - 0.4), ylim=(-limit, limit), xticks=range(len(values)))
        axis.legend(loc="best")
        axis.set_ylabel(of)
    return figure


@taught
def held(coverage: Mapping[str, Mapping[str, float]]) -> Figure:
    """How often intervals hold the true difference: a group of bars for each situation, a bar for each kind of interval."""
    figure, (axis,) = column(4.4)
    kinds = list(next(iter(coverage.values())))
    width = 0.8 / len(kinds)
    for number, kind in enumerate(kinds):
        places = np.arange(len(coverage)) + (number - (len(kinds) - 1) / 2) * width
        values = [of_situation[kind] for of_situation in coverage.values()]
        style: Any = {"color": COLOURS[number], "hatch": ("", "//", "..", "xx")[number % 4], "edgecolor": "w"}
        axis.bar(places, values, width * 0.9, label=kind, **style)
    axis.axhline(0.95, color="black", linestyle="--", linewidth=1)
    axis.set_xticks(range(len(coverage)), [name.replace(" ", "\n", 1) for name in coverage])
    axis.set(ylabel="studies whose interval\nholds the truth", ylim=(0, 1))
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside upper center", ncols=1)
    return figure


@taught
def intervals(found: Sequence[tuple[float, float, float]], true: float, title: str) -> Figure:
    """Many simulated studies: for each its mean and interval, in another colour and marker where the interval lies above 0."""
    figure, (axis,) = column(3.6)
    for place, (mean, low, high) in enumerate(sorted(found)):
        number = 2 if low > 0 else 0
        axis.plot([low, high], [place, place], color=COLOURS[number], linewidth=1.2)
        axis.plot(mean, place, MARKERS[number], color=COLOURS[number], ms=3)
    axis.axvline(0, color="0.3", linewidth=1)
    axis.axvline(true, color=COLOURS[1], linestyle="--", linewidth=1.2, label=f"truth {true:+.3f}")
    above = sum(low > 0 for _, low, _ in found)
    axis.set(yticks=[], xlabel="difference", title=f"{title}: {above} of {len(found)} lie above 0")
    axis.legend(loc="lower right")
    return figure
