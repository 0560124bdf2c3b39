"""The figures of one run: what was synthesised, what it did to uncertainty, how training went, and how well it stands up."""

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tsynd.data import Dataset
from tsynd.data.labels import names_of, numbers_of
from tsynd.runs.run import Run
from tsynd.targeting import Synthesis
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, bare, short, styled

ROWS = ("source", "recon-\nstruction", "targeted", "change")


def examples(run: Run, count: int = 8) -> Tensor:
    """Rows of the synthesis to show: one for each source, the classes in turn, the largest gain in information first."""
    assert run.synthesis is not None
    return order_of_gain(run.synthesis, count)


def order_of_gain(synthesis: Synthesis, count: int) -> Tensor:
    """Return rows of a synthesis in the order of `examples`."""

    def rank(row: int) -> str:
        """By class, of several labels by those it has."""
        return " ".join(number.zfill(5) for number in numbers_of(synthesis.labels[row]).split())

    gain_B = (synthesis.mutual_information_after - synthesis.mutual_information_before).cpu()
    order = gain_B.argsort(descending=True, stable=True).tolist()
    queues: dict[str, list[int]] = {}
    seen: set[int] = set()
    for row in order:
        source = int(synthesis.sources[row])
        if source not in seen:
            seen.add(source)
            queues.setdefault(rank(row), []).append(row)
    turns = [row for turn in range(count) for _, queue in sorted(queues.items()) for row in queue[turn : turn + 1]]
    return torch.tensor(sorted(turns[:count], key=rank))


@styled
def pairs(run: Run, count: int = 8) -> Figure:
    """Real images, the reconstructions that the search started from, the targeted images, and targeted minus reconstruction."""
    synthesis = run.synthesis
    assert synthesis is not None
    chosen = examples(run, count)
    sources_BCHW = run.data.train.images[synthesis.sources[chosen].cpu()].float() / 255
    copies_BCHW, targeted_BCHW = synthesis.reconstructions[chosen].cpu(), synthesis.images[chosen].cpu()
    change_BHW = (targeted_BCHW - copies_BCHW).mean(dim=1)
    limit = max(float(change_BHW.abs().max()), 1e-3)
    figure = Picture(figsize=(1.15 * len(chosen) + 1.2, 5.4))
    axes = figure.subplots(4, len(chosen), squeeze=False)
    shown = None
    for column, row in enumerate(chosen.tolist()):
        for line, images_BCHW in enumerate((sources_BCHW, copies_BCHW, targeted_BCHW)):
            axes[line, column].imshow(images_BCHW[column].permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
        shown = axes[3, column].imshow(change_BHW[column].numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
        before, after = float(synthesis.mutual_information_before[row]), float(synthesis.mutual_information_after[row])
        axes[0, column].set_title(short(names_of(synthesis.labels[row], run.data.classes)), fontsize=9)
        axes[3, column].set_xlabel(f"{before:.3f} → {after:.3f}", fontsize=9)
    for line, name in enumerate(ROWS):
        axes[line, 0].set_ylabel(name)
    bare(axes)
    assert shown is not None
    figure.colorbar(shown, ax=axes[3, :].tolist(), label="intensity", shrink=0.9, aspect=12)
    figure.supxlabel("mutual information, before → after (nats)", fontsize=10)
    return figure


@styled
def information(run: Run) -> Figure:
    """Mutual information of each synthetic image before and after the search, and, where any were added, its mean over time."""
    synthesis = run.synthesis
    assert synthesis is not None
    figure = Picture(figsize=(8, 3.4))
    scatter, *over_time = figure.subplots(1, 2 if run.history.refresh_step else 1, squeeze=False)[0]
    before, after = synthesis.mutual_information_before.cpu(), synthesis.mutual_information_after.cpu()
    top = 1.05 * max(float(before.max()), float(after.max()), 1e-3)
    scatter.plot([0, top], [0, top], color="#777777", linewidth=1, linestyle="--", label="no change")
    kinds = ("targeted images",) if run.data.multi_label else run.data.classes
    for label, name in enumerate(kinds):
        of_class = (synthesis.labels == label).cpu() if not run.data.multi_label else torch.ones_like(before, dtype=torch.bool)
        style = {"color": COLOURS[label % 8], "marker": MARKERS[label % 8]}
        named = short(name) if len(kinds) <= len(COLOURS) else None  # more would fill the figure with names
        scatter.scatter(before[of_class], after[of_class], s=14, alpha=0.6, label=named, **style)
    steps = run.history.refresh_step
    title = "images in the bank at the end" if steps else "images in the bank"
    scatter.set(xlabel="before the search (nats)", ylabel="after (nats)", title=title)
    scatter.legend(fontsize=8)
    for axis in over_time:
        axis.plot(steps, run.history.mutual_information_before, color=COLOURS[0], marker="o", markersize=3, label="before")
        axis.plot(steps, run.history.mutual_information_after, color=COLOURS[1], marker="s", markersize=3, label="after")
        axis.set(xlabel="optimiser step", ylabel="mutual information (nats)", title="as training goes on")
        axis.set_ylim(bottom=0)
        axis.legend()
    return figure


@styled
def curves(run: Run) -> Figure:
    """Training curves: the loss of the classifier and, where there is one, of the autoencoder."""
    figure = Picture(figsize=(8, 2.9))
    losses = [("classifier: cross-entropy (nats)", run.history.loss)]
    if run.autoencoder_loss:
        losses.append(("autoencoder: loss", run.autoencoder_loss))
    for axis, (name, loss) in zip(figure.subplots(1, len(losses), squeeze=False)[0], losses, strict=True):
        axis.plot(loss, color="#BBBBBB", linewidth=0.8, label="each step")
        width = max(1, len(loss) // 40)
        smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
        axis.plot(np.arange(len(smooth)) + width - 1, smooth, color=COLOURS[0], label=f"mean of {width} steps")
        axis.set(xlabel="optimiser step", ylabel=name, yscale="log")
        if run.history.refresh_step and axis.get_subplotspec().colspan.start == 0:
            axis.axvline(run.history.refresh_step[0], color=COLOURS[1], linestyle=":", label="synthesis begins")
        axis.legend(fontsize=8)
    return figure


@styled
def performance(metrics: dict[str, Any]) -> Figure:
    """How the classifier stands up: clean and augmented, corrupted by severity, attacked by strength."""
    figure = Picture(figsize=(10, 4))
    left, middle, right = figure.subplots(1, 3, sharey=True)
    clean, augmented = metrics["clean"]["balanced_accuracy"], metrics["test_time_augmentation"]
    left.axhline(clean, color="#777777", linewidth=1, linestyle="--", label="clean")
    for shift, (name, marker, colour) in enumerate((("mean", "o", COLOURS[0]), ("worst", "v", COLOURS[1]))):
        heights = [augmented[where][name] for where in ("inside", "outside")]
        left.plot([0.1 * shift, 1 + 0.1 * shift], heights, marker=marker, linestyle="none", color=colour, label=name)
    left.set_xticks([0.05, 1.05], ["inside the\ntraining range", "outside"])
    left.set(xlim=(-0.4, 1.5), title="randomly augmented")
    left.legend(fontsize=8, loc="lower left")
    for position, (name, by_severity) in enumerate(metrics["corruptions"].items()):
        style = {"color": COLOURS[position % 8], "marker": MARKERS[position % 8], "markersize": 4}
        levels = sorted(by_severity, key=int)
        middle.plot([0, *map(int, levels)], [clean, *(by_severity[level] for level in levels)], label=_spaced(name), **style)
    middle.set(xlabel="severity (0: clean)", title="corrupted")
    figure.legend(*middle.get_legend_handles_labels(), fontsize=8, ncols=8, loc="outside lower center", title="corruptions")
    attack = metrics["attacks"]["pgd"]
    eps = sorted(attack, key=float)
    right.plot([float(e) * 255 for e in eps], [attack[e] for e in eps], color=COLOURS[1], marker="s")
    right.set(xlabel="size of the attack, eps (1/255)", ylabel="accuracy", title="attacked (PGD)")
    right.yaxis.set_tick_params(labelleft=True)
    left.set(ylabel="balanced accuracy", ylim=(0, 1.02))
    return figure


@styled
def roc(labels: Tensor, probs: Tensor, classes: tuple[str, ...]) -> Figure:
    """The ROC curve of each class against the rest (of two classes, of the second one), at most eight of them."""
    from torchmetrics.functional.classification import binary_roc  # takes seconds to import

    figure = Picture(figsize=(4.6, 4.2))
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#777777", linewidth=1, linestyle="--", label="chance")
    for number in [1] if len(classes) == 2 and labels.ndim == 1 else range(min(len(classes), len(COLOURS))):
        is_class = (labels[:, number] == 1) if labels.ndim == 2 else labels == number
        if 0 < int(is_class.sum()) < len(is_class):
            alarms, hits, _ = binary_roc(probs[:, number], is_class.long())
            axis.plot(alarms, hits, color=COLOURS[number], label=short(classes[number]))
    axis.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axis.legend(fontsize=8, loc="lower right")
    return figure


@styled
def comparison(metrics: dict[str, dict[str, Any]]) -> Figure:
    """`run.metrics` of several runs, by name, side by side: clean, augmented and corrupted on the left, attacked on the right."""
    figure = Picture(figsize=(9, 3.6))
    shifts, attacks = figure.subplots(1, 2, width_ratios=(3, 2))
    names = ["clean", "augmented,\ninside", "augmented,\noutside", *map(_spaced, next(iter(metrics.values()))["corruptions"])]
    for position, (name, measured) in enumerate(metrics.items()):
        style: Any = {"color": COLOURS[position % 8], "marker": MARKERS[position % 8], "label": name}
        augmented = [measured["test_time_augmentation"][where]["mean"] for where in ("inside", "outside")]
        corrupted = [sum(levels.values()) / len(levels) for levels in measured["corruptions"].values()]
        across = np.arange(len(names)) + 0.15 * (position - (len(metrics) - 1) / 2)
        shifts.plot(across, [measured["clean"]["balanced_accuracy"], *augmented, *corrupted], linestyle="none", **style)
        eps = sorted(measured["attacks"]["pgd"], key=float)
        attacks.plot([float(e) * 255 for e in eps], [measured["attacks"]["pgd"][e] for e in eps], **style)
    shifts.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    shifts.set(ylabel="balanced accuracy", ylim=(0, 1.02), title="clean and shifted (mean over draws or severities)")
    shifts.legend(loc="lower left")
    attacks.set(xlabel="size of the attack, eps (1/255)", ylabel="accuracy", ylim=(0, 1.02), title="attacked (PGD)")
    return figure


@styled
def contact_sheet(data: Dataset, per_class: int = 4) -> Figure:
    """The first training images of each class, a row a class; of several labels, those that have it."""
    figure = Picture(figsize=(1.3 * per_class + 1, 1.35 * len(data.classes)))
    axes = figure.subplots(len(data.classes), per_class, squeeze=False)
    for label, name in enumerate(data.classes):
        axes[label, 0].set_ylabel(short(name))
        has_N = data.train.labels[:, label] == 1 if data.multi_label else data.train.labels == label
        for axis, image_CHW in zip(axes[label], data.train.images[has_N.nonzero().flatten()[:per_class]], strict=False):
            axis.imshow(image_CHW.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=255)
    bare(axes)
    return figure


def _spaced(name: str) -> str:
    return name.replace("_", " ")
