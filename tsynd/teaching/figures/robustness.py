"""Figures of the chapter on robustness: accuracy against eps, attacks side by side, and what random draws hide."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from tsynd.teaching.figures.targeting import sheet
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, styled

__all__ = ["attacked", "bars", "fall", "under_shift"]


def attacked(images: Tensor, found: Tensor, eps: float, before: Sequence[str], after: Sequence[str]) -> Figure:
    """Images, the changes that an attack makes, and the attacked images; below each what the classifier says.

    Args:
        images: (N, 1, H, W) in [0, 1]; found: the attacked ones.
        eps: size of the attack; the change is drawn in full colour there.
        before, after: N short texts.
    """
    change = f"change: ±{eps * 255:.0f}/255 is full colour" if eps else "change"
    rows = {"image": images, change.partition(" is")[0]: found - images, "attacked": found}
    return sheet(rows, notes={"image": before, "attacked": after}, scale=eps or 1 / 255)


@styled
def fall(curves: Mapping[str, Sequence[float]], eps: Sequence[float], title: str = "") -> Figure:
    """Accuracy against the size of the attack, a line for each name; sizes in grey levels."""
    figure = Picture(figsize=(6.2, 3.1))
    axis = figure.subplots()
    for number, (name, values) in enumerate(curves.items()):
        axis.plot([255 * size for size in eps], values, label=name, color=COLOURS[number], marker=MARKERS[number], markersize=6)
    axis.set(xlabel="size of the change, eps (grey levels of 255)", ylabel="accuracy", ylim=(0, 1), title=title)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside right upper", fontsize=9)
    return figure


@styled
def bars(accuracies: Mapping[str, float], clean: float, marked: Sequence[str] = ()) -> Figure:
    """Accuracy under each attack as a bar, with the clean accuracy as a line; those marked are the ones to believe."""
    figure = Picture(figsize=(6.4, 0.36 * len(accuracies) + 1))
    axis = figure.subplots()
    names = list(accuracies)
    for place, name in enumerate(names):
        believed = name in marked
        axis.barh(place, accuracies[name], color=COLOURS[1 if believed else 0], hatch="//" if believed else "", edgecolor="white")
        axis.text(accuracies[name] + 0.01, place, f"{accuracies[name]:.0%}", va="center", fontsize=9)
    axis.axvline(clean, color="0.3", linestyle="--", linewidth=1)
    axis.text(clean, -0.75, f"clean {clean:.0%}", ha="center", fontsize=9)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel="accuracy that is left", xlim=(0, 1))
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.grid(axis="y", visible=False)
    return figure


@styled
def under_shift(rows: Sequence[Mapping[str, float | str | None]], names: Sequence[str]) -> Figure:
    """Balanced accuracy and mutual information by severity, side by side, a line for each corruption; rows of a report."""
    figure = Picture(figsize=(8, 3.3))
    panels = {"balanced_accuracy": "balanced accuracy", "mutual_information": "mean mutual information (nats)"}
    clean = next(row for row in rows if row["section"] == "clean")
    for axis, (measure, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for number, name in enumerate(names):
            of_name = [clean, *(row for row in rows if row["name"] == name)]
            values = torch.tensor([float(row[measure] or 0) for row in of_name])
            axis.plot(range(len(of_name)), values, color=COLOURS[number], marker=MARKERS[number], label=name.replace("_", " "))
            if measure == "balanced_accuracy":
                low, high = ([float(row[end] or 0) for row in of_name] for end in ("low", "high"))
                axis.fill_between(range(len(of_name)), low, high, color=COLOURS[number], alpha=0.12)
        axis.set(xlabel="severity (0: clean)", ylabel=label)
    figure.axes[0].axhline(0.5, color="0.4", linestyle=":", linewidth=1)
    figure.axes[1].set_ylim(bottom=0)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names), fontsize=9)
    return figure
