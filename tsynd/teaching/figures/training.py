"""Figures of the chapter on training: a classifier of points in the plane, curves of arms, and images that grow old."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tsynd.posterior import Posterior
from tsynd.teaching.figures.targeting import sheet
from tsynd.uncertainty import mutual_information
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, styled

__all__ = ["age", "curves", "plane", "sheet"]

Array = npt.NDArray[np.float32]

SIDE = 61  # points along each side of a map


def survey(posterior: Posterior) -> tuple[Array, Array]:
    """Mutual information and the probability of class 1 over the unit square: (SIDE, SIDE) each, rows from bottom to top."""
    ticks = torch.linspace(0, 1, SIDE)
    points = torch.cartesian_prod(ticks, ticks)
    with torch.no_grad():
        log_probs_NKC = posterior(points.view(-1, 1, 1, 2))
    information, probability = mutual_information(log_probs_NKC), log_probs_NKC.exp().mean(dim=1)[:, 1]
    return information.view(SIDE, SIDE).T.numpy(), probability.view(SIDE, SIDE).T.numpy()


@styled
def plane(panels: Mapping[str, tuple[Posterior, Tensor | None]], points: Tensor, labels: Tensor) -> Figure:
    """What classifiers of points do not know, side by side: mutual information, the border, training points and targeted ones.

    Args:
        panels: by title, a posterior and the targeted points (M, 1, 1, 2), or None.
        points: (N, 1, 1, 2) training points in [0, 1], and labels 0 or 1.
    """
    figure = Picture(figsize=(3.5 * len(panels) + 0.8, 3.5))
    axes, ticks = figure.subplots(1, len(panels), squeeze=False)[0], np.linspace(0, 1, SIDE)
    shown = None
    for axis, (title, (posterior, targeted)) in zip(axes, panels.items(), strict=True):
        information, probability = survey(posterior)
        shown = axis.imshow(information, origin="lower", extent=(0, 1, 0, 1), cmap="Purples", vmin=0, vmax=0.25)
        axis.contour(ticks, ticks, probability, [0.5], colors="black", linestyles="--")
        for label in (0, 1):
            of_class = points[labels == label].flatten(1).numpy()
            axis.plot(of_class[:, 0], of_class[:, 1], MARKERS[label], color=COLOURS[label], ms=5, mec="white", mew=0.6)
        if targeted is not None and len(targeted):
            found = targeted.flatten(1).numpy()
            axis.plot(found[:, 0], found[:, 1], "x", color="black", ms=4, mew=1)
        axis.set(title=title, xticks=[], yticks=[])
        axis.grid(False)
    assert shown is not None
    figure.colorbar(shown, ax=list(axes), label="mutual information (nats)", shrink=0.8)
    return figure


@styled
def curves(lines: Mapping[str, Sequence[float]], steps: Sequence[int], ylabel: str) -> Figure:
    """A measure against the steps of a training, a line for each arm."""
    figure = Picture(figsize=(6.4, 3.2))
    axis = figure.subplots()
    for number, (name, values) in enumerate(lines.items()):
        axis.plot(steps, values, label=name, color=COLOURS[number], marker=MARKERS[number], markersize=5)
    axis.set(xlabel="optimiser steps", ylabel=ylabel)
    figure.legend(loc="outside right upper", fontsize=9)
    return figure


@styled
def age(ages: Sequence[int], values: Sequence[float], start: float, life: int) -> Figure:
    """Mutual information of targeted images, asked of the classifier that they meet, against their age in steps."""
    figure = Picture(figsize=(6.2, 3))
    axis = figure.subplots()
    axis.axvspan(0, life, color=COLOURS[2], alpha=0.12, label="in the bank")
    axis.plot(ages, values, color=COLOURS[0], marker=MARKERS[0], markersize=5, label="targeted images")
    axis.axhline(start, color="0.4", linestyle="--", linewidth=1, label="where searches start")
    axis.set(xlabel="age (steps since the search)", ylabel="mean mutual information (nats)", ylim=(0, None))
    figure.legend(loc="outside right upper", fontsize=9)
    return figure
