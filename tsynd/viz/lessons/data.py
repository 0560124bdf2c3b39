"""Figures of the chapter on data: what leaks flatter, nested training sets, validation by a handful, signs of malignancy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tsynd.data.phantom import CLASSES, Factors, classify, lesion_masks, malignancy, render
from tsynd.data.phantom.oracle import UNITS
from tsynd.viz.explore import Explorer, explore
from tsynd.viz.style import COLOURS, MARKERS, Picture, bare, styled

SIGNS = {"irregularity": "irregular margin", "aspect": "taller than wide", "shadow": "shadow below"}
DRAWS = 4000


@styled
def flattery(measured: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """What a test said and what is true, joined for each training.

    Args:
        measured: by the kind of training and test, pairs of balanced accuracies: on its own test, on new patients.
    """
    figure = Picture(figsize=(7.6, 0.85 * len(measured) + 0.9))
    axis = figure.subplots()
    for row, pairs in enumerate(measured.values()):
        heights = np.linspace(0.24, -0.24, len(pairs)) - row
        axis.hlines(heights, *zip(*pairs, strict=True), color="#999999", linewidth=1.5, zorder=1)
        for side, label in enumerate(("what its own test says", "what is true: 1,000 new patients")):
            values = [pair[side] for pair in pairs]
            style: dict[str, Any] = {"color": COLOURS[1 - side], "marker": MARKERS[1 - side], "s": 38, "zorder": 2}
            axis.scatter(values, heights, label=label if row == 0 else None, **style)
    axis.set_yticks([-row for row in range(len(measured))], list(measured))
    axis.set_ylim(0.5 - len(measured), 0.5)
    axis.set_xlabel("balanced accuracy, a line for each seed")
    figure.legend(fontsize=9, ncols=2, loc="outside upper center")
    return figure


@styled
def nesting(chosen: Mapping[str, Mapping[str, Tensor]], labels_N: Tensor, classes: Sequence[str]) -> Figure:
    """Which images are in which training set: a panel for each way to draw, a row for each size, a mark for each image.

    A line leads down from each image of the first set, to where it should be in the others.

    Args:
        chosen: by way and by size, positions in train.
        labels_N: classes of all training images.
        classes: their names.
    """
    figure = Picture(figsize=(8.2, 2.5))
    for axis, (way, sets) in zip(figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0], chosen.items(), strict=True):
        axis.vlines(next(iter(sets.values())), 1 - len(sets), 0, color="#CCCCCC", linewidth=1, zorder=0)
        for row, places in enumerate(sets.values()):
            for label, name in enumerate(classes):
                here = places[labels_N[places] == label]
                heights = torch.full(here.shape, 0.07 - 0.14 * label - row)
                style: dict[str, Any] = {"color": COLOURS[label], "marker": MARKERS[label], "s": 16}
                axis.scatter(here, heights, label=name if row == 0 else None, **style)
        axis.set_yticks([-row for row in range(len(sets))], list(sets))
        axis.set_ylim(0.5 - len(sets), 0.5)
        axis.set_xlim(-2, len(labels_N) + 1)
        axis.set_title(way)
        axis.set_xlabel("position in train")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=9, ncols=2, loc="outside upper right")
    return figure


def verdicts(right: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """The accuracies that many validation sets of `count` images measure, the same images for every classifier: (DRAWS,) each.

    Args:
        right: by classifier, which of the same N images it gets right, (N,) bool.
        count: images of a validation set, at most N.
    """
    whole = len(next(iter(right.values())))
    order_DN = torch.rand(DRAWS, whole, generator=torch.Generator().manual_seed(0)).argsort(dim=1)[:, :count]
    return {name: right_N.double()[order_DN].mean(1) for name, right_N in right.items()}


def handful_slider(right: Mapping[str, Tensor], counts: Sequence[int], start: int) -> Explorer:
    """A slider over the size of a validation set: what it says of two classifiers, and how often it prefers the worse."""
    truth = {name: float(right_N.double().mean()) for name, right_N in right.items()}
    worse, better = sorted(truth, key=lambda name: truth[name])

    def mistaken(count: int) -> float:
        said = verdicts(right, count)
        return float((said[worse] >= said[better]).double().mean())

    def draw(count: int) -> Figure:
        said, figure = verdicts(right, count), Picture(figsize=(6.4, 2.5))
        axis = figure.subplots()
        edges = np.linspace(0.325, 1.025, 29)  # .025 wide: sets of 20 images and more fill them evenly
        for position, name in enumerate((worse, better)):
            weights = np.full(DRAWS, 100 / DRAWS)
            style: dict[str, Any] = {"linestyle": ("-", "--")[position], "color": COLOURS[position], "linewidth": 2}
            axis.hist(said[name].numpy(), edges.tolist(), weights=weights, label=name, histtype="step", **style)
            axis.plot(truth[name], 0, marker=MARKERS[position], color=COLOURS[position], clip_on=False, markersize=8)
        axis.set_title(f"{count} images: the worse is not found out in {mistaken(count):.0%} of draws", fontsize=10)
        axis.set(xlim=(0.32, 1.0), xlabel="accuracy that a validation set says (marks: the truth)", ylabel="draws, %")
        axis.legend(fontsize=9, loc="upper left")
        return figure

    def words(count: int) -> str:
        return f"With {count} images the two distributions overlap, and {mistaken(count):.0%} of draws do not tell the worse."

    return explore(draw, "images for validation", counts, start=start, alt=words)


def lesion(**signs: float) -> Factors:
    """One lesion in the middle average but for its signs, which are in standard deviations; its outline stays the same."""
    values = {name: torch.tensor([mean]) for name, (mean, _) in UNITS.items()}
    for name, step in signs.items():
        mean, deviation = UNITS[name]
        values[name] = torch.tensor([mean + step * deviation])
    values["aspect"] = values["aspect"].exp()
    outline = torch.zeros(1, 2, 8)
    outline[0, 0, 1], outline[0, 1, 3], outline[0, 0, 4] = 2.6, 2.2, 2.2
    return replace(Factors(**values, outline=outline), gain=torch.tensor([6.0]))


def sign_slider(size: int = 64) -> Explorer:
    """A slider over one sign at a time, the others average: the phantom, its mask as a line, its score and its class."""
    steps = (-1.5, -0.75, 0.0, 0.75, 1.5)

    def draw(step: float) -> Figure:
        figure = Picture(figsize=(6.4, 2.5))
        axes = figure.subplots(1, len(SIGNS), squeeze=False)
        for axis, (name, words) in zip(axes[0], SIGNS.items(), strict=True):
            factors = lesion(**{name: step})
            image = render(factors, size, torch.Generator().manual_seed(3))[0, 0]
            axis.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="none")
            axis.contour(lesion_masks(factors, size)[0, 0].numpy(), levels=[0.5], colors=COLOURS[4], linewidths=1.5)
            score, label = float(malignancy(factors)), int(classify(factors))
            axis.set_title(words, fontsize=10)
            verdict = CLASSES[2][label] if abs(score) > 0.01 else "at the border"
            axis.set_xlabel(f"score {score:.2f}: {verdict}".replace("-", "−"))
        bare(axes)
        return figure

    def words(step: float) -> str:
        if not step:
            return "A lesion that is average in all three signs lies at the border between the classes"
        verdict = CLASSES[2][int(step > 0)]
        return f"One sign alone at {step:+g} deviations: each of the three makes the lesion {verdict}"

    return explore(draw, "one sign, in standard deviations", steps, start=1.5, alt=words)
