"""Figures of the chapter on uncertainty: posterior samples and what they say, the split, their number, and what is not marked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tsynd.teaching.figures import WIDTH, column, taught
from tsynd.uncertainty import expected_entropy, mutual_information, predictive_entropy
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, bare

AGREE, DISAGREE, GREY = COLOURS[5], COLOURS[1], "#BBBBBB"
FEW = 10  # so few posterior samples are drawn one by one


@taught
def votes(images_BCHW: Tensor, log_probs_BKC: Tensor, called: str = "p(malignant)") -> Figure:
    """Some images, and beside each what the posterior samples say of class 1; above, the split of the uncertainty."""
    count = len(images_BCHW)
    figure = Picture(figsize=(WIDTH, 2.2 * count))
    axes = figure.subplots(count, 2, width_ratios=(1, 2), squeeze=False)
    for number, (picture, strip) in enumerate(axes):
        picture.imshow(images_BCHW[number, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        picture.set_title("ABCDEF"[number], loc="left", fontweight="bold")
        malignant_K = log_probs_BKC[number, :, 1].exp()
        if len(malignant_K) <= FEW:
            strip.stem(malignant_K.numpy(), np.ones(len(malignant_K)), basefmt=" ")
            strip.set(ylim=(0, 1.3))
        else:
            strip.hist(malignant_K.numpy(), bins=np.linspace(0, 1, 21).tolist(), color=COLOURS[0])
        strip.axvline(float(malignant_K.mean()), color=DISAGREE, linestyle="--", linewidth=1.5)
        strip.set(xlim=(-0.03, 1.03), yticks=[])
        total, epistemic = (
            float(measure(log_probs_BKC[number : number + 1])) for measure in (predictive_entropy, mutual_information)
        )
        strip.set_title(f"entropy {total:.2f},\nmutual information {epistemic:.2f}")
    axes[-1, 1].set_xlabel(called)
    bare(axes[:, 0])
    return figure


@taught
def dropout(masks_KU: Tensor) -> Figure:
    """Draw a small network once for each posterior sample, with the units crossed out that its mask (U,) switches off."""
    samples, units = masks_KU.shape
    figure = Picture(figsize=(WIDTH, 2.4))
    axes = figure.subplots(1, samples, squeeze=False)[0]
    for number, (axis, mask_U) in enumerate(zip(axes, masks_KU, strict=True)):
        heights = np.linspace(0, 1, units)
        for height, kept in zip(heights, mask_U.tolist(), strict=True):
            colour, line = (COLOURS[0], "-") if kept else (GREY, ":")
            for other in (0.2, 0.5, 0.8):
                axis.plot([0, 1], [other, height], color=colour, linestyle=line, linewidth=0.8, zorder=1)
            axis.plot([1, 2], [height, 0.5], color=colour, linestyle=line, linewidth=0.8, zorder=1)
            axis.plot(1, height, "o", markersize=13, color=colour if kept else "white", markeredgecolor=colour, zorder=2)
            if not kept:
                axis.plot(1, height, "x", markersize=11, color=DISAGREE, markeredgewidth=2, zorder=3)
        axis.plot([0, 0, 0, 2], [0.2, 0.5, 0.8, 0.5], "o", markersize=13, color="#555555", zorder=2)
        axis.set(title=f"sample {number + 1}", xlim=(-0.35, 2.35), ylim=(-0.12, 1.12))
    bare(axes)
    return figure


@taught
def bars(cases: Mapping[str, tuple[float, float, float]]) -> Figure:
    """The split for several sets of samples, a bar each, from (total, aleatoric, epistemic) in nats."""
    figure, (axis,) = column(0.42 * len(cases) + 1.3)
    _split(axis, list(cases), list(cases.values()))
    axis.set_xlabel("nats")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


@taught
def disagreement(spread: float) -> Figure:
    """Draw eight samples whose average is 0.5: half of them say 0.5 + spread, the others 0.5 - spread. A frame of a slider."""
    samples_K = torch.tensor([0.5 - spread, 0.5 + spread], dtype=torch.float64).repeat(4)
    log_probs_BKC = torch.stack([1 - samples_K, samples_K], dim=1).log()[None]
    figure, (strip, split) = column(4.6, 2, height_ratios=(1.3, 1))
    strip.bar(range(1, 9), samples_K.numpy(), color=GREY)
    strip.axhline(0.5, color="black", linewidth=1, linestyle="--")
    strip.set(ylim=(0, 1.05), xlabel="sample", ylabel="p(malignant)", title="what each sample says", xticks=range(1, 9))
    _split(split, [""], [tuple(float(f(log_probs_BKC)) for f in (predictive_entropy, expected_entropy, mutual_information))])
    split.set(xlim=(0, 0.75), xlabel="nats", title="the total is ln 2 = 0.69")
    split.legend(loc="upper center", ncols=2)
    split.set(ylim=(-0.6, 1.0), yticks=[])
    return figure


@taught
def against_entropy(log_probs: Mapping[str, Tensor], marked: Sequence[int] = ()) -> Figure:
    """Mutual information against entropy, a point for each image, a panel for each posterior; marked images carry a letter."""
    rows = -(-len(log_probs) // 2)
    figure = Picture(figsize=(WIDTH, 2.3 * rows + 0.4))
    panels = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).flat
    top = float(np.log(2))
    for axis, (name, log_probs_BKC) in zip(panels, log_probs.items(), strict=False):
        total_B, epistemic_B = predictive_entropy(log_probs_BKC), mutual_information(log_probs_BKC)
        axis.plot([0, top], [0, top], color="black", linewidth=1, linestyle="--")
        axis.scatter(total_B, epistemic_B, s=5, alpha=0.35, color=COLOURS[0], linewidths=0)
        for letter, image, marker, offset in zip("AB", marked, "Ds", ((-6, 5), (6, -3)), strict=False):
            at = float(total_B[image]), float(epistemic_B[image])
            axis.scatter(*at, s=28, color=DISAGREE, marker=marker, zorder=3)
            axis.annotate(letter, at, xytext=offset, textcoords="offset points", fontweight="bold", ha="center")
        axis.set(title=name, xlim=(-0.03, 0.79))
    figure.supylabel("mutual information (nats)")
    figure.supxlabel("entropy (nats)")
    return figure


@taught
def sampling(samples: int, estimates_SB: Tensor, reference_B: Tensor, cosines: Mapping[str, Tensor]) -> Figure:
    """How far so many samples are off: in the value of B images by S draws of samples, and in the direction, by the cosines of
    gradients to their reference. A frame of a slider.
    """
    figure, (value, direction) = column(5.8, 2)
    order = reference_B.argsort()
    for place, image in enumerate(order.tolist()):
        ratio_S = estimates_SB[:, image] / reference_B[image]
        value.scatter([place] * len(ratio_S), ratio_S, s=9, alpha=0.5, color=COLOURS[0], linewidths=0)
        value.plot([place - 0.35, place + 0.35], [float(ratio_S.mean())] * 2, color=DISAGREE, linewidth=2)
    value.axhline(1, color="black", linewidth=1, linestyle="--")
    value.set(ylim=(-0.1, 3), xlabel="image, by its mutual information", ylabel="estimate / reference", xticks=[])
    value.set_title(f"value, K = {samples}")
    spread = np.random.default_rng(0)
    for place, (values, colour, marker) in enumerate(zip(cosines.values(), COLOURS, MARKERS, strict=False)):
        points = values.flatten().numpy()
        across = place + spread.uniform(-0.2, 0.2, len(points))
        direction.scatter(across, points, s=12, alpha=0.6, color=colour, marker=marker, linewidths=0)
        direction.plot([place - 0.3, place + 0.3], [points.mean()] * 2, color="black", linewidth=2)
    direction.set_xticks(range(len(cosines)), [name.replace(" ", "\n") for name in cosines])
    direction.set(ylim=(-1.05, 1.08), xlim=(-0.5, len(cosines) - 0.5), ylabel="cosine to reference", title="direction")
    return figure


@taught
def marked(log_probs: Mapping[str, Tensor], labels_B: Tensor, inside_B: Tensor) -> Figure:
    """Mutual information against p(malignant), a panel a classifier, with the images of a subgroup marked by their class."""
    figure = Picture(figsize=(WIDTH, 4.4))
    panels = figure.subplots(1, len(log_probs), sharex=True, sharey=True)
    for axis, (name, log_probs_BKC) in zip(panels, log_probs.items(), strict=True):
        epistemic_B, malignant_B = mutual_information(log_probs_BKC), log_probs_BKC.exp().mean(1)[:, 1]
        axis.scatter(malignant_B[~inside_B], epistemic_B[~inside_B], s=6, color=GREY, linewidths=0, label="other test images")
        for label, kind in enumerate(("benign", "malignant")):
            chosen_B = inside_B & (labels_B == label)
            style: Any = {"color": COLOURS[label], "marker": ("o", "^")[label], "facecolors": "none"}
            axis.scatter(malignant_B[chosen_B], epistemic_B[chosen_B], s=26, label=f"subgroup, {kind}", **style)
        axis.axvline(0.5, color="black", linewidth=1, linestyle=":")
        axis.set(title=name.replace(" ", "\n"), xlabel="p(malignant)")
    panels[0].set_ylabel("mutual information (nats)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return figure


@taught
def selective(correct_by_score: Mapping[str, Tensor]) -> Figure:
    """Accuracy on the images that are kept when the most uncertain ones are put aside, against the share that is kept.

    correct_by_score: by the score's name, whether each prediction is right, the surest image first.
    """
    figure, (axis,) = column(4.4)
    for position, (name, correct_N) in enumerate(correct_by_score.items()):
        kept_N = torch.arange(1, len(correct_N) + 1)
        accuracy_N, least = correct_N.double().cumsum(0) / kept_N, len(correct_N) // 10
        style: Any = {"color": COLOURS[position], "linestyle": ("-", "--", ":")[position % 3]}
        axis.plot(kept_N[least:] / len(correct_N), accuracy_N[least:], label=name, **style)
    overall = float(next(iter(correct_by_score.values())).double().mean())
    axis.axhline(overall, color="#777777", linewidth=1, label="put aside at random (on average)")
    axis.set(xlabel="share of the images that is kept", ylabel="accuracy on them", xlim=(1.02, 0.08))
    figure.legend(loc="outside lower center")
    return figure


@taught
def strange(images: Mapping[str, Tensor], log_probs: Mapping[str, Tensor]) -> Figure:
    """Pictures of no lesion, (C, H, W), and under each what two posteriors say: p(malignant) and mutual information."""
    columns = min(2, len(images))
    rows = -(-len(images) // columns)
    figure = Picture(figsize=(WIDTH, 3.7 * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    for number, (axis, (name, image_CHW)) in enumerate(zip(axes.flat, images.items(), strict=False)):
        axis.imshow(image_CHW[0].numpy(), cmap="gray", vmin=0, vmax=1)
        axis.set_title(name)
        lines = []
        for kind, log_probs_BKC in log_probs.items():
            epistemic = float(mutual_information(log_probs_BKC)[number])
            malignant = float(log_probs_BKC[number, :, 1].exp().mean())
            lines.append(f"{kind}\np = {malignant:.2f}, MI = {epistemic:.3f}")
        axis.set_xlabel("\n".join(lines))
    bare(axes)
    return figure


def _split(axis: Axes, names: Sequence[str], values: Sequence[tuple[float, ...]]) -> None:
    """Stacked horizontal bars: what the samples agree on, and what they do not."""
    places = np.arange(len(names))[::-1]
    agreed, disputed = [max(each[1], 0) for each in values], [max(each[2], 0) for each in values]
    axis.barh(places, agreed, color=AGREE, label="aleatoric")
    axis.barh(places, disputed, left=agreed, color=DISAGREE, hatch="///", edgecolor="white", label="epistemic")
    axis.set_yticks(places, list(names))
    axis.grid(axis="y", visible=False)
