"""Figures of the chapter on data: visits, what a leak does to a score, validation by a handful, how factors make a phantom."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tsynd.data import Dataset
from tsynd.teaching.figures import WIDTH, column, taught
from tsynd.teaching.figures.targeting import sheet
from tsynd.teaching.slider import Explorer, explore
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, bare, short

DRAWS = 4000


def contact_sheet(data: Dataset, per_class: int = 4) -> Figure:
    """Draw the first training images of each class, a row for each class."""
    images, labels = data.train.images, data.train.labels
    rows = {short(name).replace(", ", ",\n"): images[labels == label][:per_class] for label, name in enumerate(data.classes)}
    return sheet({name: images_NCHW / 255 for name, images_NCHW in rows.items()})


def visits(images_PVHW: Tensor, names: Sequence[str]) -> Figure:
    """Draw images (P, V, H, W) in [0, 1]: a row for each patient, a column for each visit."""
    return sheet({name: images_VHW[:, None] for name, images_VHW in zip(names, images_PVHW, strict=True)})


@taught
def leak(scores: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Pairs (what the test said, what patients never seen say) by way of splitting: a line for each seed."""
    figure, axes = column(2.7 * len(scores), len(scores), sharey=True)
    for position, (axis, (name, pairs)) in enumerate(zip(axes, scores.items(), strict=True)):
        for told, true in pairs:
            axis.plot([0, 1], [told, true], color=COLOURS[position], marker=MARKERS[position], linewidth=1.5)
        axis.set_xticks([0, 1], ["its own test", "1,000 new patients"])
        axis.set(xlim=(-0.35, 1.35), ylabel="accuracy", title=name)
        axis.yaxis.set_tick_params(labelleft=True)
    return figure


@taught
def nested(chosen: Mapping[int, Tensor], size: int) -> Figure:
    """Which of the first `size` images are in the subset of each number of images: a row a subset, a mark an image."""
    figure, (axis,) = column(0.5 * len(chosen) + 1.0)
    for row, positions_n in enumerate(chosen.values()):
        shown = positions_n[positions_n < size].numpy()
        axis.scatter(shown, [row] * len(shown), color=COLOURS[row], marker=MARKERS[row], s=26)
    axis.set_yticks(range(len(chosen)), [f"{per_class} a class" for per_class in chosen])
    axis.set(xlim=(-2, size + 1), ylim=(-0.6, len(chosen) - 0.4), xlabel=f"position in the training split (first {size})")
    return figure


def alike(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Draw pairs of images (1, H, W) of 0 to 255, one above the other, under the name of each pair."""
    above, below = (torch.stack(images) / 255 for images in zip(*pairs.values(), strict=True))
    return sheet({"": above, " ": below}, list(pairs))


def verdicts(right: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """The accuracies that `DRAWS` validation sets of `count` images measure, the same images for every classifier.

    right: by classifier, which of the same N images it gets right, (N,) bool.
    """
    whole = len(next(iter(right.values())))
    order_DN = torch.rand(DRAWS, whole, generator=torch.Generator().manual_seed(0)).argsort(dim=1)[:, :count]
    return {name: right_N.double()[order_DN].mean(dim=1) for name, right_N in right.items()}


def handful_slider(right: Mapping[str, Tensor], counts: Sequence[int], start: int) -> Explorer:
    """A slider over the images of a validation set: what it says of two classifiers, and how often it does not see the worse."""
    truth = {name: float(right_N.double().mean()) for name, right_N in right.items()}
    worse, better = sorted(truth, key=lambda name: truth[name])

    def missed(said: Mapping[str, Tensor]) -> float:
        return float((said[worse] >= said[better]).double().mean())

    @taught
    def draw(count: int) -> Figure:
        said, (figure, (axis,)) = verdicts(right, count), column(3.4)
        edges = np.linspace(0.325, 1.025, 29).tolist()  # .025 wide, so that sets of 20 images fill them evenly
        for position, name in enumerate((worse, better)):
            look: dict[str, Any] = {"color": COLOURS[position], "linestyle": ("-", "--")[position], "linewidth": 2}
            share = np.full(DRAWS, 100 / DRAWS)
            axis.hist(said[name].numpy(), edges, weights=share, label=name, histtype="step", **look)
            axis.plot(truth[name], 0, marker=MARKERS[position], color=COLOURS[position], clip_on=False, markersize=8)
        axis.set_title(f"{count} images: {missed(said):.0%} of the validation sets\ndo not see which is better")
        axis.set(xlim=(0.32, 1.0), xlabel="accuracy in a validation set (marks: truth)", ylabel="sets, %")
        axis.legend(loc="upper left")
        return figure

    def words(count: int) -> str:
        return f"With {count} images {missed(verdicts(right, count)):.0%} of validation sets do not see which one is better"

    return explore(draw, "images for validation", counts, start=start, alt=words)


@taught
def signs(image_HW: Tensor, mask_HW: Tensor, shares: Mapping[str, float], score: float) -> Figure:
    """A phantom, where its lesion is, and what each of the three signs adds to the score; above 0 it is malignant."""
    figure = Picture(figsize=(WIDTH, 4.4))
    panels = figure.subplot_mosaic([["left", "middle"], ["right", "right"]])
    left, middle, right = panels["left"], panels["middle"], panels["right"]
    left.imshow(image_HW.numpy(), cmap="gray", vmin=0, vmax=1)
    middle.imshow(mask_HW.numpy(), cmap="gray", vmin=0, vmax=1)
    left.set_title("phantom")
    middle.set_title("its lesion")
    names, values = [*shares, "score"], [*shares.values(), score]
    colours = [COLOURS[1] if value > 0 else COLOURS[0] for value in values]
    right.barh(range(len(names)), values, color=colours, height=0.6)
    right.axvline(0, color="black", linewidth=1)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlim(-1.75, 1.75)
    right.set_xlabel("benign  ←  score  →  malignant")
    right.grid(False, axis="y")
    bare(np.array([left, middle]))
    return figure
