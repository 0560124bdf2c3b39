"""The figure of a robustness report: what severity and attacks do to accuracy, calibration and uncertainty."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsynd.utils.plotting import COLOURS, MARKERS, Picture, styled

PANELS = {
    "balanced_accuracy": "balanced accuracy",
    "ece": "calibration error (ECE)",
    "mutual_information": "mutual information (nats)",
    "error_auroc": "errors found by mutual\ninformation (AUROC)",
}


@styled
def conditions(rows: Sequence[dict[str, Any]]) -> Figure:
    """A row of panels a measure: corruptions by severity, each thin and their mean thick, and the attack by its size.

    The band is the 95 % interval over images; over corruptions it is the mean of theirs, so it does not tell corruptions apart.
    The rows are those of a `RobustnessReport`; measures that none of them has are left out.
    """
    measures = [name for name in PANELS if any(row[name] is not None for row in rows)]
    clean = next(row for row in rows if row["section"] == "clean")
    names = list(dict.fromkeys(row["name"] for row in rows if row["section"] == "corruptions"))
    attack = [row for row in rows if row["section"] == "attacks"]
    figure = Picture(figsize=(8.4, 2.1 * len(measures) + 0.9))
    axes = figure.subplots(len(measures), 2, sharex="col", sharey="row", squeeze=False)
    for (left, right), measure in zip(axes, measures, strict=True):
        by_name = [[clean, *(row for row in rows if row["name"] == name)] for name in names]
        for position, of_name in enumerate(by_name):
            style: Any = {"color": COLOURS[position % 8], "marker": MARKERS[position % 8], "markersize": 3.5, "linewidth": 0.8}
            _line(left, of_name, measure, label=names[position].replace("_", " "), alpha=0.7, **style)
        if by_name:
            mean = [_mean(rows_of_level) for rows_of_level in zip(*by_name, strict=True)]
            _line(left, mean, measure, color="#555555", linewidth=3, label="mean", band=True)
        _line(right, attack, measure, scale=255, color=COLOURS[1], marker="s", band=True)
        left.set_ylabel(PANELS[measure], fontsize=9)
        if measure != "error_auroc":
            left.set_ylim(bottom=0)
        if measure == "error_auroc":
            for axis in (left, right):
                axis.axhline(0.5, color="#777777", linewidth=1, linestyle="--")
    axes[0, 0].set_title("corrupted")
    axes[0, 1].set_title("attacked (PGD)")
    axes[-1, 0].set_xlabel("severity (0: clean)")
    axes[-1, 1].set_xlabel("size of the attack, eps (1/255)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=8, ncols=5, loc="outside lower center")
    return figure


def _line(
    axis: Axes, rows: Sequence[dict[str, Any]], measure: str, *, scale: float = 1, band: bool = False, **style: Any
) -> None:
    levels = np.array([scale * row["level"] for row in rows])
    axis.plot(levels, [np.nan if row[measure] is None else row[measure] for row in rows], **style)
    if band and measure == "balanced_accuracy":
        low, high = ([row[end] for row in rows] for end in ("low", "high"))
        axis.fill_between(levels, low, high, color=style["color"], alpha=0.15)


def _mean(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each measure over the rows of one severity, of those that have it."""
    found: dict[str, Any] = {"level": rows[0]["level"]}
    for name in (*PANELS, "low", "high"):
        values = [row[name] for row in rows if row[name] is not None]
        found[name] = sum(values) / len(values) if values else None
    return found
