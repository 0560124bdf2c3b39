"""Figures of the chapter on autoencoding: images and reconstructions, what is lost, the ball around a code, and walks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from tsynd.autoencoding.standardised import Standardised
from tsynd.data.phantom.oracle import Oracle
from tsynd.teaching.figures import column, taught
from tsynd.teaching.figures.targeting import sheet
from tsynd.teaching.slider import Explorer, explore
from tsynd.utils.plotting import COLOURS, MARKERS


def copies(images_BCHW: Tensor, copies_BCHW: Tensor) -> Figure:
    """Draw images, their reconstructions below, and the change in colour: red where the reconstruction is brighter."""
    change_BCHW = copies_BCHW - images_BCHW
    limit = max(float(change_BCHW.abs().max()), 1e-3)
    rows = {"image": images_BCHW, "recon-\nstruction": copies_BCHW, "change": change_BCHW}
    return sheet(rows, scale=limit, told="reconstruction minus image")


@taught
def losses(batches: Sequence[float], tests: Sequence[float], every: int) -> Figure:
    """Draw the squared error of a training against its steps: of each batch, and of test images every so many steps."""
    figure, (axis,) = column(3.2)
    axis.plot(batches, color="#BBBBBB", linewidth=1, label="training, each batch")
    axis.plot(range(0, every * len(tests), every), tests, color=COLOURS[0], marker=MARKERS[0], markersize=5, label="test images")
    axis.set(xlabel="optimiser step", ylabel="squared error", yscale="log")
    axis.legend()
    return figure


@taught
def survival(lost: Mapping[str, float], factors: Mapping[str, Sequence[float]]) -> Figure:
    """What reconstructions lose: by size of detail the power of the difference relative to that of the image, and how well
    each factor can still be read, its correlation with the truth in the images and in the reconstructions.
    """
    figure, (left, right) = column(6.8, 2, height_ratios=(1, 1.5))
    left.bar(range(len(lost)), [100 * share for share in lost.values()], color=COLOURS[0], width=0.7)
    left.set_xticks(range(len(lost)), list(lost))
    left.set(xlabel="size of the detail, px", ylabel="lost, % of its power", title="detail")
    left.grid(False, axis="x")
    order = sorted(factors, key=lambda name: factors[name][1])
    for row, name in enumerate(order):
        before, after = factors[name]
        right.plot([after, before], [row, row], color="#999999", linewidth=1.5, zorder=1)
    for position, label in ((0, "read from the image"), (1, "read from the reconstruction")):
        values = [factors[name][position] for name in order]
        right.scatter(values, range(len(order)), color=COLOURS[position], marker=MARKERS[position], s=42, label=label, zorder=2)
    right.set_yticks(range(len(order)), order)
    right.set(xlim=(0, 1.03), xlabel="correlation with the truth", title="factors, read by the oracle")
    right.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2))
    return figure


@taught
def deviations(deviation_D: Tensor, floor: float) -> Figure:
    """How much each number of a raw code varies over the training images, with the floor."""
    figure, (axis,) = column(2.9)
    axis.hist(deviation_D.numpy(), bins=32, color=COLOURS[0])
    axis.axvline(floor, color=COLOURS[1], linestyle="--", linewidth=2)
    axis.set_xlim(0, None)
    axis.text(floor, 0.96 * axis.get_ylim()[1], "floor ", color="black", ha="right", va="top")
    axis.set(xlabel="standard deviation, raw units", ylabel="numbers of the code")
    return figure


def ball_slider(spaces: Mapping[str, Standardised], image_1CHW: Tensor, directions_ND: Tensor) -> Explorer:
    """The ball around the code of an image: a slider over the radius of steps in these directions, each of radius 1.

    spaces: two autoencoders by name, the one whose ball is good first.
    """
    seen = {0.1: "no change", 0.25: "hardly a change", 0.5: "a little change", 1: "another texture", 2: "the lesion dissolves"}

    def draw(radius: float) -> Figure:
        rows = {}
        for name, space in spaces.items():
            code_1D = space.encode(image_1CHW)
            rows[name] = space.decode(torch.cat([code_1D, code_1D + radius * directions_ND]))
        return sheet(rows, ["recon-\nstruction", *("→" for _ in directions_ND)])

    def words(radius: float) -> str:
        return f"Steps of radius {radius}. In the first row: {seen[radius]}. In the second: disorder."

    return explore(draw, "radius of the step", list(seen), start=0.25, alt=words)


@taught
def distances(codes_ND: Tensor, radius: float) -> Figure:
    """How far codes lie from each other, all pairs and nearest neighbours, in radii, beside the ball of a search."""
    apart_NN = torch.cdist(codes_ND, codes_ND) / codes_ND.shape[1] ** 0.5
    pairs = apart_NN[torch.triu(torch.ones_like(apart_NN), diagonal=1) > 0]
    nearest = (apart_NN + torch.diag(torch.full((len(codes_ND),), torch.inf))).amin(dim=1)
    figure, (axis,) = column(4)
    bins = np.linspace(0, float(pairs.max()) * 1.02, 45).tolist()
    axis.hist(pairs.numpy(), bins=bins, density=True, color=COLOURS[5], label="any two images")
    style: dict[str, Any] = {"histtype": "step", "linewidth": 2}
    axis.hist(nearest.numpy(), bins=bins, density=True, color=COLOURS[1], label="an image and its nearest one", **style)
    axis.axvspan(0, radius, color="#999999", alpha=0.35, label="the ball of a search")
    axis.set(xlim=(0, bins[-1]), ylim=(0, 1.1 * axis.get_ylim()[1]))
    axis.set(xlabel="distance between codes, as a radius", ylabel="density")
    figure.legend(loc="outside upper left")
    return figure


def walk_slider(panels: Callable[[str, float], Tensor], oracle: Oracle, classifier: nn.Module) -> Explorer:
    """A walk along a factor, with sliders over factor and share of the way; `panels` of both gives three images: drawn,
    reconstructed, walked. The oracle reads the factor from them, the classifier says how likely they are malignant.
    """
    points = {
        "shadow": "it deepens in all three",
        "radius": "the lesion grows, in the walk by less",
        "irregularity": "the drawn margin roughens, its reconstruction less, the walk not",
    }

    def draw(name: str, share: float) -> Figure:
        images_BCHW = panels(name, share)
        read_B, chance_B = getattr(oracle.recover(images_BCHW), name), classifier(images_BCHW).softmax(dim=1)[:, 1]
        captions = [f"{name}\n{value:.2g}\nmalignant:\n{chance:.0%}" for value, chance in zip(read_B, chance_B, strict=True)]
        return sheet({"": images_BCHW}, ("drawn", "reconstructed", "walk"), {"": captions})

    def words(name: str, share: float) -> str:
        return f"{name}, {share:.0%} of the way: {points[name] if share else 'before the walk, all three are alike'}"

    shares = (0, 0.25, 0.5, 0.75, 1)
    return explore(draw, ("factor", "share of the way"), (list(points), shares), start=("shadow", 1), alt=words)


@taught
def reach(reached: Mapping[str, Sequence[float]]) -> Figure:
    """How far walks change each factor, as a share of the change in the images that the direction was made from: by factor
    for the reconstructions, a direction from one place, and a direction from all places.
    """
    figure, (axis,) = column(4.2)
    labels = ("reconstructions of the pair", "walk, lesions at one place", "walk, lesions anywhere")
    for position, label in enumerate(labels):
        values = [100 * shares[position] for shares in reached.values()]
        axis.scatter(values, range(len(values)), color=COLOURS[position], marker=MARKERS[position], s=46, label=label)
    axis.set_yticks(range(len(reached)), list(reached))
    for mark in (0, 100):
        axis.axvline(mark, color="#999999", linewidth=1)
    axis.set(xlim=(-5, 110), ylim=(-0.5, len(reached) - 0.5), xlabel="change of the factor, % of the drawn one")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=1)
    return figure


@taught
def shift(before_B: Tensor, after_B: Tensor, name: str) -> Figure:
    """The probability of a class for images and for their reconstructions; points in the shaded corners change the answer."""
    figure, (axis,) = column(4.4)
    changed_B = (before_B > 0.5) != (after_B > 0.5)
    for chosen_B, position, label in ((~changed_B, 0, "same answer"), (changed_B, 1, "another answer")):
        axis.scatter(before_B[chosen_B], after_B[chosen_B], color=COLOURS[position], marker=MARKERS[position], s=26, label=label)
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    for low in (0, 0.5):
        axis.fill_between([low, low + 0.5], 0.5 - low, 1 - low, color="#999999", alpha=0.18, linewidth=0)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axis.set(xlabel=f"p({name}) of the image", ylabel="… of its reconstruction")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def path(rows: Mapping[str, Tensor], chances: Mapping[str, Tensor], steps: Sequence[float]) -> Figure:
    """Draw walks through the latent space, a row for each, with a probability below each image; 0 is where they start."""
    heads = ["start" if step == 0 else f"{step:+g}".replace("-", "−") for step in steps]
    return sheet(rows, heads, {name: [f"{float(each):.2f}" for each in chances[name]] for name in rows})
