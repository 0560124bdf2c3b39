"""Figures of the chapter on data: visits of patients, what a leak does to a score, and how factors make a phantom."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from tsynd.viz.style import COLOURS, MARKERS, Picture, bare, styled


@styled
def visits(images_PVHW: Tensor, names: Sequence[str]) -> Figure:
    """Images (P, V, H, W) in [0, 1]: a row for each patient, a column for each visit."""
    patients, count = images_PVHW.shape[:2]
    figure = Picture(figsize=(1.05 * count + 1.6, 1.1 * patients))
    axes = figure.subplots(patients, count, squeeze=False)
    for row in range(patients):
        axes[row, 0].set_ylabel(names[row], fontsize=9)
        for column in range(count):
            axes[row, column].imshow(images_PVHW[row, column].numpy(), cmap="gray", vmin=0, vmax=1)
    bare(axes)
    return figure


@styled
def leak(scores: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Pairs (what the test said, what patients never seen say) by way of splitting: a line for each seed."""
    figure = Picture(figsize=(6.6, 3.1))
    axes = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for position, (axis, (name, pairs)) in enumerate(zip(axes, scores.items(), strict=True)):
        for told, true in pairs:
            axis.plot([0, 1], [told, true], color=COLOURS[position], marker=MARKERS[position], linewidth=1.5)
        axis.set_xticks([0, 1], ["its own test", "1,000 patients\nnever seen"])
        axis.set_xlim(-0.35, 1.35)
        axis.set_title(name)
        axis.yaxis.set_tick_params(labelleft=True)
    axes[0].set_ylabel("accuracy")
    return figure


@styled
def nested(chosen: Mapping[int, Tensor], size: int) -> Figure:
    """Which of the first `size` images are in the subset of each number of images: a row a subset, a mark an image."""
    figure = Picture(figsize=(6.6, 0.45 * len(chosen) + 1.0))
    axis = figure.subplots()
    for row, positions_n in enumerate(chosen.values()):
        shown = positions_n[positions_n < size].numpy()
        axis.scatter(shown, [row] * len(shown), color=COLOURS[row], marker=MARKERS[row], s=26)
    axis.set_yticks(range(len(chosen)), [f"{per_class} of each class" for per_class in chosen])
    axis.set_ylim(-0.6, len(chosen) - 0.4)
    axis.set_xlim(-2, size + 1)
    axis.set_xlabel(f"position of the image in the training split (the first {size})")
    return figure


@styled
def signs(image_HW: Tensor, mask_HW: Tensor, shares: Mapping[str, float], score: float) -> Figure:
    """A phantom, where its lesion is, and what each of the three signs adds to the score; above 0 it is malignant."""
    figure = Picture(figsize=(6.2, 2.3))
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.7))
    left.imshow(image_HW.numpy(), cmap="gray", vmin=0, vmax=1)
    middle.imshow(mask_HW.numpy(), cmap="gray", vmin=0, vmax=1)
    left.set_title("phantom", fontsize=10)
    middle.set_title("its lesion", fontsize=10)
    names, values = [*shares, "score"], [*shares.values(), score]
    colours = [COLOURS[1] if value > 0 else COLOURS[0] for value in values]
    right.barh(range(len(names)), values, color=colours, height=0.6)
    right.axvline(0, color="black", linewidth=1)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlim(-1.75, 1.75)
    right.set_xlabel("benign  ←  score  →  malignant", fontsize=9)
    right.grid(False, axis="y")
    bare(np.array([left, middle]))
    return figure
