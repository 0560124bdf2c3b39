"""Numbers and figures of the chapter on the study: our own ten seeds, what intervals hold, and how many seeds it takes."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tsynd.teaching.figures import WIDTH, taught
from tsynd.utils.plotting import COLOURS, MARKERS, Picture

Array = npt.NDArray[np.float64]

# From results/refresh/runs.csv, seeds 0 to 9, validation: AUROC on BreastMNIST and accuracy under PGD 2/255 on RetinaMNIST,
# without synthetic images and with those of the default bank (arm guarded).
NONE = {
    "AUROC, BreastMNIST": [0.81537, 0.85965, 0.78363, 0.82874, 0.90894, 0.81955, 0.84795, 0.87302, 0.87552, 0.86048],
    "PGD 2/255, RetinaMNIST": [0.04167, 0.05833, 0.15, 0.15833, 0.1, 0.19167, 0.06667, 0.06667, 0.11667, 0.125],
}
GUARDED = {
    "AUROC, BreastMNIST": [0.848, 0.8797, 0.8221, 0.7903, 0.8605, 0.8588, 0.8145, 0.8596, 0.8137, 0.7845],
    "PGD 2/255, RetinaMNIST": [0.25, 0.225, 0.2917, 0.3167, 0.1417, 0.2833, 0.1667, 0.275, 0.175, 0.2],
}

# From results/main/runs.csv, the sets of the first tier, test: tsynd minus none at seeds 0 to 9, mean over the four sets.
MAIN = {
    "AUROC": [-0.0015, 0.00582, -0.00291, 0.01151, -0.00872, 0.01189, -0.01169, 2e-05, -0.01352, -0.00895],
    "PGD 2/255": [0.1072, 0.17862, 0.11113, 0.12791, 0.08135, 0.06872, 0.08847, 0.11747, 0.08602, 0.11797],
}


@taught
def seeds(differences: Mapping[str, Sequence[float]], shown: int | None = None, of: str = "guarded − none") -> Figure:
    """Differences at each seed as points, their mean as a bar, a panel a measure; with `shown`, the other seeds are hidden."""
    figure = Picture(figsize=(WIDTH, 2.9 * len(differences)))
    for axis, (name, values) in zip(figure.subplots(len(differences), 1, squeeze=False)[:, 0], differences.items(), strict=True):
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
    figure = Picture(figsize=(WIDTH, 4.4))
    axis = figure.subplots()
    kinds = list(next(iter(coverage.values())))
    width = 0.8 / len(kinds)
    for number, kind in enumerate(kinds):
        places = np.arange(len(coverage)) + (number - (len(kinds) - 1) / 2) * width
        values = [of_situation[kind] for of_situation in coverage.values()]
        axis.bar(
            places,
            values,
            width * 0.9,
            color=COLOURS[number],
            hatch=("", "//", "..", "xx")[number % 4],
            label=kind,
            edgecolor="w",
        )
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
    figure = Picture(figsize=(WIDTH, 3.6))
    axis = figure.subplots()
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
