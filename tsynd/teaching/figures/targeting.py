"""Figures of the chapter on targeting: planes through the ball, image rows, curves along an ascent, and the dose-response."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Circle
from torch import Tensor

from tsynd.posterior import Posterior
from tsynd.targeting import Synthesis
from tsynd.teaching.figures import WIDTH, column, taught
from tsynd.teaching.figures.study import NUMBERS
from tsynd.uncertainty import mutual_information
from tsynd.utils.plotting import COLOURS, MARKERS, METHODS, Picture, bare, method_style

CHANGE = 0.2  # of the difference maps, in intensity: the same in every figure of the chapter
SIDE = 29  # points along each side of a landscape
REACH, RIM = 1.3, 1.72  # how far a landscape and its ring of images lie from the centre, in radii
DOSE_MEASURES = ("AUROC", "accuracy under PGD 2/255", "judge sees the label")


@dataclass(frozen=True)
class Plane:
    """A flat piece of the code space: through `origin_D`, along two orthonormal `axes_2D`; lengths are over sqrt(D)."""

    origin_D: Tensor
    axes_2D: Tensor

    @classmethod
    def through(cls, origin_D: Tensor, first_D: Tensor, second_D: Tensor) -> "Plane":
        """The plane that holds the origin and two directions from it; the first one is its horizontal axis."""
        across_D = first_D / first_D.norm()
        up_D = second_D - (second_D @ across_D) * across_D
        return cls(origin_D, torch.stack([across_D, up_D / up_D.norm()]))

    def codes(self, points_N2: Tensor) -> Tensor:
        """Codes (N, D) of points of the plane."""
        return self.origin_D + points_N2.to(self.origin_D) @ self.axes_2D * len(self.origin_D) ** 0.5

    def shadow(self, codes_ND: Tensor) -> Tensor:
        """The points (N, 2) of the plane that are nearest to codes."""
        return (codes_ND - self.origin_D) @ self.axes_2D.T / len(self.origin_D) ** 0.5


@dataclass(frozen=True)
class Landscape:
    """What a classifier says over a plane: `information` and `probability` of the label on a square grid, images on a ring."""

    plane: Plane
    radius: float
    information: np.ndarray
    probability: np.ndarray
    ring: np.ndarray


def survey(
    plane: Plane, label: int, decode: Callable[[Tensor], Tensor], posterior: Posterior, radius: float = 0.25, around: int = 8
) -> Landscape:
    """Decode a grid over a plane, and ask the classifier's held samples about each image."""
    line = torch.linspace(-REACH, REACH, SIDE) * radius
    grid_N2 = torch.cartesian_prod(line, line).flip(1)  # rows run upwards
    angles = torch.arange(around) * 2 * torch.pi / around
    ring_N2 = radius * torch.stack([angles.cos(), angles.sin()], 1)
    with torch.no_grad():
        said = [posterior(decode(codes_ND)) for codes_ND in plane.codes(grid_N2).split(256)]
        ring = decode(plane.codes(ring_N2)).squeeze(1).numpy()
    information = torch.cat([mutual_information(part) for part in said]).view(SIDE, SIDE).numpy()
    probability = torch.cat([part[..., label].exp().mean(1) for part in said]).view(SIDE, SIDE).numpy()
    return Landscape(plane, radius, information, probability, ring)


@taught
def ball(landscapes: Mapping[str, Landscape], paths: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Landscapes of mutual information, each with its ball, images round the rim, and paths: codes (T, D) joined by a line."""
    figure, panels = column(4.5 * len(landscapes), len(landscapes))
    top = max(float(each.information.max()) for each in landscapes.values())
    shown = None
    for axis, (title, land) in zip(panels, landscapes.items(), strict=True):
        line, far = np.linspace(-REACH, REACH, SIDE) * land.radius, 2.02 * land.radius
        disc = Circle((0, 0), REACH * land.radius, transform=axis.transData)
        shown = axis.contourf(line, line, land.information, levels=np.linspace(0, top, 15), cmap="viridis")
        border = axis.contour(line, line, land.probability, levels=[0.5], colors="white", linewidths=1.6, linestyles="--")
        for lines in (shown, border):
            lines.set_clip_path(disc)
        axis.add_patch(Circle((0, 0), land.radius, fill=False, edgecolor="white", linewidth=2))
        for number, image in enumerate(land.ring):  # small, each joined to its point of the rim
            angle = 2 * np.pi * number / len(land.ring)
            point = land.radius * np.array([np.cos(angle), np.sin(angle)])
            picture = OffsetImage(image, zoom=1.25, cmap="gray", norm=Normalize(0, 1))
            link = {"arrowstyle": "-", "color": "#555555", "linewidth": 0.9}
            frame = {"edgecolor": "#555555", "linewidth": 0.9}
            box = AnnotationBbox(picture, tuple(point), tuple(RIM * point), pad=0.1, arrowprops=link, bboxprops=frame)
            axis.add_artist(box)
        for place, (name, codes_TD) in enumerate(paths[title].items()):
            steps = land.plane.shadow(codes_TD).numpy()
            axis.plot(*steps.T, color="white", linewidth=3.2, zorder=4)
            style: Any = {"markeredgecolor": "white", **look(name, 1 + place)}
            axis.plot(*steps.T, label=name, linewidth=1.6, markersize=7, zorder=5, **style)
        axis.plot(0, 0, "o", color="black", markeredgecolor="white", markersize=7, zorder=6, label="z₀")
        axis.set(xlim=(-far, far), ylim=(-far, far), title=title, aspect="equal")
        axis.plot([], [], color="#555555", linestyle="--", label="label at ½")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, handletextpad=0.3, columnspacing=1.2)
    bare(panels)
    assert shown is not None
    ticks = np.arange(0, top + 1e-9, 0.05 if top < 0.3 else 0.1)
    figure.colorbar(
        shown, ax=list(panels), location="bottom", shrink=0.8, aspect=30, ticks=ticks, label="mutual information (nats)"
    )
    return figure


def look(name: str, number: int) -> dict[str, Any]:
    """Return the colour and the marker of a method, the same in every figure; those of a number for any other name."""
    return method_style(name) if name in METHODS else {"color": COLOURS[number], "marker": MARKERS[number]}


def lines(texts: Sequence[str]) -> float:
    """Return the height that texts beside each other take, in inches."""
    return 0.22 * max((1 + text.count("\n") for text in texts), default=0)


@taught
def sheet(
    rows: Mapping[str, Tensor],
    heads: Sequence[str] = (),
    notes: Mapping[str, Sequence[str]] | None = None,
    *,
    scale: float = CHANGE,
    told: str = "change of intensity",
) -> Figure:
    """Images in rows. What is called a change, by the word in its name, is drawn in colour: red brighter, blue darker.

    rows: (N, C, H, W) by the name of the row: images in [0, 1], or changes in intensity. heads: N titles above the first row.
    notes: for some of the rows, N short texts below. scale: the change that is drawn in full colour. told: what the colours mean.
    """
    notes, count = notes or {}, len(next(iter(rows.values())))
    bar = 0.6 * any("change" in name for name in rows)
    figure = Picture(
        figsize=(min(WIDTH, 1.15 * count + 1.6), sum(1.05 + lines(notes.get(name, ())) for name in rows) + lines(heads) + bar)
    )
    axes = figure.subplots(len(rows), count, squeeze=False)
    bare(axes)
    shown = None
    for line, (name, images_NCHW) in zip(axes, rows.items(), strict=True):
        for place, (axis, image_CHW) in enumerate(zip(line, images_NCHW, strict=True)):
            image = image_CHW.detach()
            if "change" in name:
                shown = axis.imshow(image.mean(0).numpy(), cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="none")
            else:  # raw pixels: small SVG
                axis.imshow(image.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="none")
            if name in notes:
                axis.set_xlabel(notes[name][place])
        line[0].set_ylabel(name.replace(": ", ":\n"))
    for axis, head in zip(axes[0], heads, strict=False):
        axis.set_title(head)
    if shown is not None:
        figure.colorbar(shown, ax=axes.ravel().tolist(), location="bottom", label=told, shrink=0.8, aspect=30)
    return figure


@taught
def curves(panels: Mapping[str, Mapping[str, Sequence[float]]], ylabel: str) -> Figure:
    """Curves over the steps of an ascent, panels side by side on one scale: values by name, by the title of the panel."""
    figure, axes = column(2.6 * len(panels), len(panels), sharey=True)
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for number, (name, values) in enumerate(lines.items()):
            axis.plot(values, label=name, color=COLOURS[number], marker=MARKERS[number], markersize=5)
        axis.set(xlabel="step", title=title)
        axis.yaxis.set_tick_params(labelleft=True)
    figure.supylabel(ylabel)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return figure


@taught
def prices(searches: Mapping[str, Synthesis], changed: Mapping[str, Tensor], bound: float = 0.5) -> Figure:
    """What searches found against the belief in the label that it cost; `changed`: (B,) bool, somebody sees another class."""
    figure, panels = column(3.1 * len(searches) + 0.8, len(searches), sharex=True, sharey=True)
    for axis, (name, each) in zip(panels, searches.items(), strict=True):
        for number, (words, of) in enumerate((("same class as at the start", ~changed[name]), ("another class", changed[name]))):
            style: Any = {"color": COLOURS[number], "marker": MARKERS[number], "s": 26, "alpha": 0.75, "label": words}
            axis.scatter(each.log_prob_fall[of], each.mutual_information_after[of], **style)
        axis.axvline(bound, color="#555555", linestyle="--", linewidth=1, label="the guard's bound")
        axis.set(xlabel="fall of ln p(label) (nats)", title=name)
        axis.yaxis.set_tick_params(labelleft=True)
    figure.supylabel("mutual information (nats)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=1, title="to the oracle:")
    return figure


def doses() -> dict[str, dict[float, list[float]]]:
    """Phantoms, five seeds, from results/dose-response/summary.json: by arm and radius, mean, low and high of each measure."""
    return {arm: {float(radius): found for radius, found in rows.items()} for arm, rows in NUMBERS["doses"].items()}


@taught
def dose_response() -> Figure:
    """What training gains or loses over arm `none`, and what the judge says, against the radius; 95 % intervals."""
    figure, panels = column(2.9 * len(DOSE_MEASURES), len(DOSE_MEASURES))
    for place, (axis, measure) in enumerate(zip(panels, DOSE_MEASURES, strict=True)):
        for number, (arm, rows) in enumerate(doses().items()):
            mean, low, high = np.array([row[3 * place : 3 * place + 3] for row in rows.values()]).T
            across = np.arange(len(rows)) + 0.13 * (number - 1)
            style: Any = {"label": arm, "capsize": 2, **look(arm, number)}
            axis.errorbar(across, mean, [mean - low, high - mean], **style)
        axis.axhline(0, color="#555555", linewidth=1)
        axis.set_xticks(range(len(rows)), [f"{radius:g}" for radius in rows])
        axis.set(xlabel="radius", title=measure)
        axis.set_ylabel("difference to none" if place < 2 else "after − before")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure
