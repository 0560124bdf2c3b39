"""Figures of a study: paired differences with their intervals, and what clean, robust and cheap cost each other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from tsynd.utils.plotting import MARKERS, Picture, method_style, styled

if TYPE_CHECKING:
    from tsynd.study.comparisons import Difference

WIDTH = 7.0  # inches: as wide as a page of the book shows a figure, so that its letters keep their size
GREYS = ("#000000", "#777777", "#444444")  # of data sets: colours belong to methods
TITLES = {"auroc": "AUROC", "augmented": "augmented", "pgd_2_255": "PGD 2/255"}


def short(data: str) -> str:
    """A set's name without its options."""
    return data.partition(":")[0]


@styled
def forest(differences: Sequence["Difference"]) -> Figure:
    """Every arm minus another, a panel a measure: a point and its interval for each set, arms from top to bottom.

    Where arms are compared with different ones, a row names both.
    """
    figure = Picture(figsize=(WIDTH, 4))
    if not differences:
        return figure
    others = {each.other for each in differences}
    names = [each.arm if len(others) == 1 else f"{each.arm} − {each.other}" for each in differences]
    arms = list(dict.fromkeys(names))
    measures = list(dict.fromkeys(each.measure for each in differences))
    places = list(dict.fromkeys(each.place for each in differences))
    figure.set_size_inches(WIDTH, 0.34 * len(arms) + 0.09 * len(arms) * len(places) + 1.2)
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for axis, name in zip(panels, measures, strict=True):
        for number, place in enumerate(places):
            offset = (number - (len(places) - 1) / 2) * 0.8 / len(places)
            rows = [
                (arms.index(row) + offset, each.found)
                for row, each in zip(names, differences, strict=True)
                if each.measure == name and each.place == place
            ]
            low, high = [found.mean - found.low for _, found in rows], [found.high - found.mean for _, found in rows]
            means, heights = [found.mean for _, found in rows], [row for row, _ in rows]
            style: Any = {"fmt": MARKERS[number % 8], "color": GREYS[number % 2 + number // 8 % 2], "ms": 4, "lw": 1}
            axis.errorbar(means, heights, xerr=[low, high], label=f"{short(place[0])}, {place[1]} per class", **style)
        axis.axvline(0, color="0.3", lw=1)
        xlabel = f"difference to {differences[0].other}" if len(others) == 1 else "difference"
        axis.set(title=TITLES.get(name, name), xlabel=xlabel)
    panels[0].set_yticks(range(len(arms)), arms)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def pareto(means: Sequence[Mapping[str, Any]]) -> Figure:
    """Clean AUROC against accuracy under PGD 2/255, a panel a set; the larger the marker, the longer the training.

    A dotted line joins the arms that no other arm beats in both.
    """
    places = list(dict.fromkeys((each["data"], each["per_class"]) for each in means))
    columns = min(2, len(places)) or 1
    lines = -(-len(places) // columns) or 1
    arms = sorted({each["arm"] for each in means})
    figure = Picture(figsize=(WIDTH / 2 * columns, 3.3 * lines + 0.25 * len(arms) / 3))
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for axis, place in zip(panels, places, strict=False):
        here = [each for each in means if (each["data"], each["per_class"]) == place]
        for each in here:
            axis.scatter(
                each["pgd_2_255"],
                each["auroc"],
                s=22 * max(1.0, each["cost"] or 1.0) ** 1.5,
                **method_style(each["arm"], arms),
                alpha=0.8,
                label=each["arm"],
            )
        both = [(each["pgd_2_255"], each["auroc"]) for each in here]
        front = sorted((x, y) for x, y in both if not any(a >= x and b >= y and (a, b) != (x, y) for a, b in both))
        axis.plot([x for x, _ in front], [y for _, y in front], color="0.6", lw=1, ls=":", zorder=0)
        axis.margins(0.08)
        axis.set(title=f"{short(place[0])}, {place[1]} per class", xlabel="accuracy under PGD 2/255", ylabel="AUROC, clean")
    for axis in panels[len(places) :]:
        axis.set_axis_off()
    handles = {name: handle for axis in panels for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend([handles[arm] for arm in arms], arms, loc="outside lower center", ncols=3)
    return figure
