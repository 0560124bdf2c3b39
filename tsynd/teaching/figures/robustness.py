"""Figures of the chapter on robustness: accuracy against eps, attacks side by side, and what random draws hide."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from tsynd.robustness.corruptions import corrupt
from tsynd.teaching.figures import WIDTH, column, taught
from tsynd.teaching.figures.targeting import look, sheet
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, bare
from tsynd.utils.rng import generator_for

__all__ = ["attacked", "bars", "corrupted", "fall", "under_shift"]


def attacked(images: Tensor, found: Tensor, eps: float, before: Sequence[str], after: Sequence[str]) -> Figure:
    """Images (N, 1, H, W), the changes that an attack makes, in full colour at eps, and the attacked images; below, texts."""
    change = f"change: ±{eps * 255:.0f}/255 is full colour" if eps else "change"
    rows = {"image": images, change.partition(" is")[0]: found - images, "attacked": found}
    return sheet(rows, notes={"image": before, "attacked": after}, scale=eps or 1 / 255)


@taught
def fall(curves: Mapping[str, Sequence[float]], eps: Sequence[float], title: str = "") -> Figure:
    """Accuracy against the size of the attack, a line for each name; sizes in grey levels."""
    figure, (axis,) = column(3.9)
    for number, (name, values) in enumerate(curves.items()):
        axis.plot([255 * size for size in eps], values, label=name, markersize=6, **look(name, number))
    axis.set(xlabel="size of the attack (grey levels of 255)", ylabel="accuracy", ylim=(0, 1), title=title)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@taught
def bars(accuracies: Mapping[str, float], clean: float, marked: Sequence[str] = ()) -> Figure:
    """Accuracy under each attack as a bar, with the clean accuracy as a line; those marked are the ones to believe."""
    figure, (axis,) = column(0.45 * len(accuracies) + 1.1)
    names = list(accuracies)
    for place, name in enumerate(names):
        believed = name in marked
        axis.barh(place, accuracies[name], color=COLOURS[1 if believed else 0], hatch="//" if believed else "", edgecolor="white")
        axis.text(accuracies[name] + 0.01, place, f"{accuracies[name]:.0%}", va="center")
    axis.axvline(clean, color="0.3", linestyle="--", linewidth=1)
    axis.text(clean, -0.75, f"clean {clean:.0%}", ha="center")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel="accuracy that is left", xlim=(0, 1))
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.grid(axis="y", visible=False)
    return figure


@taught
def under_shift(rows: Sequence[Mapping[str, float | str | None]], names: Sequence[str]) -> Figure:
    """Balanced accuracy and mutual information by severity, side by side, a line for each corruption; rows of a report."""
    figure, axes = column(6.6, 2)
    panels = {"balanced_accuracy": "balanced accuracy", "mutual_information": "mutual information (nats)"}
    clean = next(row for row in rows if row["section"] == "clean")
    for axis, (measure, label) in zip(axes, panels.items(), strict=True):
        for number, name in enumerate(names):
            of_name = [clean, *(row for row in rows if row["name"] == name)]
            values = torch.tensor([float(row[measure] or 0) for row in of_name])
            axis.plot(range(len(of_name)), values, color=COLOURS[number], marker=MARKERS[number], label=name.replace("_", " "))
            if measure == "balanced_accuracy":
                low, high = ([float(row[end] or 0) for row in of_name] for end in ("low", "high"))
                axis.fill_between(range(len(of_name)), low, high, color=COLOURS[number], alpha=0.12)
        axis.set(xlabel="severity (0: clean)", ylabel=label)
    axes[0].axhline(0.5, color="0.4", linestyle=":", linewidth=1)
    axes[1].set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@taught
def corrupted(image_CHW: Tensor, names: Sequence[str], severities: Sequence[int] = (1, 3, 5), seed: int = 0) -> Figure:
    """Draw an image and what corruptions make of it, a row for each corruption, at some of the severities 1 to 5."""
    figure = Picture(figsize=(WIDTH, 1.05 * len(names) + 0.3))
    axes = figure.subplots(len(names), 1 + len(severities), squeeze=False)
    for line, name in zip(axes, names, strict=True):
        line[0].set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
        for axis, severity in zip(line, (0, *severities), strict=True):
            made = corrupt(image_CHW[None], name, severity, generator_for(seed, name)) if severity else image_CHW[None]
            axis.imshow(made[0].permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
    for axis, severity in zip(axes[0], (0, *severities), strict=True):
        axis.set_title(f"severity {severity}" if severity else "clean")
    bare(axes)
    return figure
