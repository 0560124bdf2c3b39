"""Figures of the chapter on training: a classifier of points in the plane, curves of arms, and images that grow old."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from tsynd.posterior import Posterior
from tsynd.teaching.figures import WIDTH, column, taught
from tsynd.teaching.figures.targeting import look, sheet
from tsynd.uncertainty import mutual_information
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, bare

__all__ = ["age", "before_and_after", "border", "plane", "sheet"]

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


@taught
def plane(panels: Mapping[str, tuple[Posterior, Tensor | None]], points: Tensor, labels: Tensor) -> Figure:
    """What classifiers of points do not know, side by side: mutual information, the border, training points and targeted ones.

    Points are (N, 1, 1, 2) in [0, 1]; labels are 0 or 1.
    """
    figure = Picture(figsize=(WIDTH, 3.7 if len(panels) > 1 else 5.2))
    axes, ticks = figure.subplots(1, len(panels), squeeze=False)[0], np.linspace(0, 1, SIDE)
    surveys = [survey(posterior) for posterior, _ in panels.values()]
    shown, top = None, max(float(information.max()) for information, _ in surveys)
    for axis, (information, probability), (title, (_, targeted)) in zip(axes, surveys, panels.items(), strict=True):
        shown = axis.imshow(information, origin="lower", extent=(0, 1, 0, 1), cmap="Purples", vmin=0, vmax=top)
        axis.contour(ticks, ticks, probability, [0.5], colors="black", linestyles="--")
        for label in (0, 1):
            of_class = points[labels == label].flatten(1).numpy()
            axis.plot(of_class[:, 0], of_class[:, 1], MARKERS[label], color=COLOURS[label], ms=5, mec="white", mew=0.6)
        if targeted is not None and len(targeted):
            found = targeted.flatten(1).numpy()
            axis.plot(found[:, 0], found[:, 1], "x", color="black", ms=4, mew=1)
        axis.set(title=title.replace(" targeted", "\ntargeted"), xticks=[], yticks=[])
        axis.grid(False)
    assert shown is not None
    figure.colorbar(shown, ax=list(axes), location="bottom", label="mutual information (nats)", shrink=0.8, aspect=30)
    return figure


@taught
def border(distances: Mapping[str, Tensor]) -> Figure:
    """Draw the share of images that keep their answer against the size of the attack, in grey levels, a line for each method:
    from the smallest attack that changes the answer of each image.
    """
    figure, (axis,) = column(3.4)
    for number, (name, values_N) in enumerate(distances.items()):
        levels = [0.0, *sorted(set(values_N.tolist()))]
        kept = [float((values_N > level).double().mean()) for level in levels]
        axis.step(levels, kept, where="post", label=name, **look(name, number))
    axis.set(xlabel="size of the attack (grey levels of 255)", ylabel="answers that are kept", ylim=(0, 1.03), xlim=(0, None))
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.legend()
    return figure


@taught
def before_and_after(images: Mapping[str, Tensor], votes: Mapping[tuple[str, str], Tensor]) -> Figure:
    """Draw an image as it is and attacked; below, how probable the posterior samples of each method find the true class: (K,)
    by method and by what was done to the image.
    """
    methods = list(dict.fromkeys(method for method, _ in votes))
    figure = Picture(figsize=(WIDTH, 2.1 + 2.3 * len(methods)))
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.1, 2.3 * len(methods)))[:, 0]
    pictures = above.subplots(1, len(images), squeeze=False)
    for axis, (name, image_1CHW) in zip(pictures[0], images.items(), strict=True):
        axis.imshow(image_1CHW[0].mean(0).numpy(), cmap="gray", vmin=0, vmax=1)
        axis.set_title(name)
    bare(pictures)
    kinds = list(dict.fromkeys(kind for _, kind in votes))
    for axis, method in zip(below.subplots(len(methods), 1, sharex=True, squeeze=False)[:, 0], methods, strict=True):
        for number, kind in enumerate(kinds):
            style: Any = {
                "color": ("#777777", look(method, 0)["color"])[number],
                "hatch": ("", "//")[number],
                "edgecolor": "white",
            }
            axis.hist(votes[method, kind].numpy(), np.linspace(0, 1, 21).tolist(), alpha=0.8, label=kind, **style)
        axis.axvline(0.5, color="black", linestyle=":", linewidth=1)
        axis.set(title=method, ylabel="samples", xlim=(0, 1))
        axis.legend(loc="upper center")
    axis.set_xlabel("probability of the true class")
    return figure


@taught
def age(ages: Sequence[int], values: Sequence[float], start: float, life: int) -> Figure:
    """Mutual information of targeted images, asked of the classifier that they meet, against their age in steps."""
    figure, (axis,) = column(4)
    axis.axvspan(0, life, color=COLOURS[2], alpha=0.12, label="in the bank")
    axis.plot(ages, values, color=COLOURS[0], marker=MARKERS[0], markersize=5, label="targeted images")
    axis.axhline(start, color="0.4", linestyle="--", linewidth=1, label="where searches start")
    axis.set(xlabel="age (steps since the search)", ylabel="mutual information (nats)", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=1)
    return figure
