"""What `studies/dose_response.py` found: the rows of all processes together, a summary, a table and the figure.

    python studies/dose_response_report.py --out results/dose-response [--parts FOLDER]

The rules by which defaults follow from it were written while it ran, before its rows were looked at; they are in `choose`.
"""

import argparse
import itertools
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from dose_response import DOSES, LIMIT, RADII, RECIPE, SEEDS, SETS, VARIANTS
from matplotlib.figure import Figure
from shared import interval, read_csv, write_csv

from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import versions
from tsynd.utils.plotting import Picture, method_style, save, styled

Dose = tuple[str, float]  # arm, radius
GAINS = {"auroc": "AUROC", "augmented": "augmented", "pgd_2_255": "PGD 2/255"}
CONTRASTS: tuple[tuple[Dose, Dose], ...] = (
    (("guarded", 0.25), ("reconstruction", 0.0)),
    (("guarded", 0.25), ("random", 0.25)),
    (("guarded", 0.25), ("sham", 0.25)),
    (("guarded", 0.25), ("sham", 0.1)),
    (("tsynd", 0.25), ("reconstruction", 0.0)),
    (("tsynd", 0.25), ("random", 0.25)),
    (("tsynd", 0.25), ("sham", 0.25)),
    (("tsynd", 0.25), ("entropy", 0.25)),
    (("guarded", 0.25), ("tsynd", 0.25)),
)
BEARABLE = 0.05  # by which the judge may agree less than on reconstructions, over the sets

Row = dict[str, Any]


def main() -> None:
    """Merge and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--parts", type=Path, help="the folder of the study's parts; without one, runs.csv is read again")
    options = parser.parse_args()
    rows = read_csv(options.out / "runs.csv")
    if options.parts:
        rows = [row for path in sorted(options.parts.glob("*.csv")) for row in read_csv(path)]
    rows.sort(key=lambda row: (list(SETS).index(row["data"]), row["arm"], row["radius"], row["variant"], row["seed"]))
    summary = summarise(rows)
    write_csv(options.out / "runs.csv", rows)
    write_json(options.out / "summary.json", summary | {"limit": LIMIT, "recipe": asdict(RECIPE), "versions": versions()})
    write_text(options.out / "table.md", table(summary))
    write_text(options.out / "contrasts.md", contrast_table(summary))
    save(drawn(summary), options.out / "dose.svg")


def summarise(rows: list[Row]) -> Row:
    """For each set, arm, radius and variant the gains over `none`, paired by seed, and the judge's verdict; then the choice."""
    none = {(row["data"], row["seed"]): row for row in rows if row["arm"] == "none"}
    cells = []
    for name, arm, radius, variant in sorted({(row["data"], row["arm"], row["radius"], row["variant"]) for row in rows}):
        chosen = [r for r in rows if (r["data"], r["arm"], r["radius"], r["variant"]) == (name, arm, radius, variant)]
        pairs = [(row, none[name, row["seed"]]) for row in chosen if (name, row["seed"]) in none]
        cell: Row = {"data": name, "arm": arm, "radius": radius, "variant": variant, "seeds": len(pairs)}
        if arm == "none":
            cells.append(cell | {measure: round(fmean(row[measure] for row in chosen), 4) for measure in GAINS})
        elif len(pairs) > 1:
            cell |= {measure: interval([row[measure] - base[measure] for row, base in pairs]) for measure in GAINS}
            cell["agreement"] = interval([row["agreement"] - row["agreement_before"] for row in chosen])
            if name == "phantom":
                cell["true_agreement"] = interval([row["true_agreement"] - row["true_agreement_before"] for row in chosen])
            for column in ("information_before", "information_after", "latent_displacement", "pixel_displacement"):
                cell[column] = round(fmean(row[column] for row in chosen), 4)
            cells.append(cell)
    return {"cells": cells, "contrasts": contrasts(rows), "choice": choose(rows, none)}


def contrasts(rows: list[Row]) -> list[Row]:
    """What the search adds to its controls, paired by seed: a row for each pair of arms and set."""
    at = {(row["data"], row["arm"], row["radius"], row["seed"]): row for row in rows if row["variant"] == ""}
    found = []
    for (arm, control), name in itertools.product(CONTRASTS, SETS):
        seeds = [seed for seed in SEEDS if (name, *arm, seed) in at and (name, *control, seed) in at]
        if len(seeds) > 1:
            pairs = [(at[name, *arm, seed], at[name, *control, seed]) for seed in seeds]
            part = {measure: interval([row[measure] - base[measure] for row, base in pairs]) for measure in GAINS}
            found.append({"data": name, "arm": list(arm), "control": list(control), "seeds": len(seeds)} | part)
    return found


def choose(rows: list[Row], none: dict[tuple[str, int], Row]) -> Row:
    """The defaults, by rules that were written down before any row was looked at.

    Radius: of `guarded`, the one with the largest sum of the three gains over `none`, averaged over the sets, among those
    where the judge agrees at most .05 less than on reconstructions, averaged likewise. If there is none, the one with the
    largest sum: this was added when the first fifth of the rows was there, and `bearable` says that the judge objects. Each
    variant: taken if the lower end of the 95 % interval of its sum minus that of `guarded` at .25, over all sets and seeds,
    is above 0.
    """
    guarded = [row for row in rows if row["arm"] == "guarded"]
    sums = {
        (row["data"], row["seed"], row["radius"], row["variant"]): sum(
            row[measure] - none[row["data"], row["seed"]][measure] for measure in GAINS
        )
        for row in guarded
        if (row["data"], row["seed"]) in none
    }
    radii = []
    for radius in RADII:
        here = [row for row in guarded if row["radius"] == radius and row["variant"] == ""]
        by_set = {name: [row for row in here if row["data"] == name] for name in SETS}
        if not all(by_set.values()):
            continue
        gain = fmean(fmean(sums[name, row["seed"], radius, ""] for row in part) for name, part in by_set.items())
        lost = fmean(fmean(row["agreement_before"] - row["agreement"] for row in part) for part in by_set.values())
        radii.append({"radius": radius, "gain": round(gain, 4), "agreement_lost": round(lost, 4), "bearable": lost <= BEARABLE})
    differences = {
        variant: [
            sums[name, seed, 0.25, variant] - sums[name, seed, 0.25, ""]
            for name, seed in itertools.product(SETS, SEEDS)
            if (name, seed, 0.25, variant) in sums and (name, seed, 0.25, "") in sums
        ]
        for variant in VARIANTS
    }
    variants = {variant: interval(values) for variant, values in differences.items() if len(values) > 1}
    allowed = [part for part in radii if part["bearable"]] or radii
    best = max(allowed, key=lambda part: part["gain"], default=None)
    return {
        "radii": radii,
        "radius": best and best["radius"],
        "variants": {variant: found | {"taken": found["low"] > 0} for variant, found in variants.items()},
    }


def contrast_table(summary: Row) -> str:
    """Markdown: what the search adds to its controls; behind each arm its radius. A table a measure, a column a set."""
    lines = []
    for measure in ("pgd_2_255", "auroc", "augmented"):
        lines += [f"| {GAINS[measure]} | {' | '.join(SETS)} |", "|:--|" + ":--|" * len(SETS)]
        for arm, control in CONTRASTS:
            parts = {c["data"]: c for c in summary["contrasts"] if (c["arm"], c["control"]) == (list(arm), list(control))}
            names = " − ".join(f"`{name}` {radius:g}" for name, radius in (arm, control))
            lines.append(f"| {names} | {' | '.join(_cell(parts[name][measure]) for name in SETS)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: dict[str, float]) -> str:
    return f"{found['mean']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def table(summary: Row) -> str:
    """Markdown: a row for each set, arm and radius."""
    lines = ["| data | arm | radius | AUROC | augmented | PGD 2/255 | judge |", "|:--|:--|--:|:--|:--|:--|:--|"]
    for cell in summary["cells"]:
        arm = f"`{cell['arm']}`" + (f", {cell['variant']}" if cell["variant"] else "")
        if cell["arm"] == "none":
            values = [f"{cell[measure]:.3f}" for measure in GAINS] + ["–"]
        else:
            values = [_cell(cell[measure]) for measure in MEASURES]
        lines.append(f"| {cell['data']} | {arm} | {cell['radius']:g} | {' | '.join(values)} |")
    return "\n".join([*lines, ""])


MEASURES = GAINS | {"agreement": "judge's agreement"}


LABELS = {"auroc": "AUROC gained", "augmented": "augmented: gained", "pgd_2_255": "PGD 2/255: gained"}
LABELS["agreement"] = "judge's agreement: change"
RANGES = {"auroc": (-0.2, 0.12), "augmented": (-0.14, 0.1)}  # the arm `cross-entropy` leaves them


@styled
def drawn(summary: Row) -> Figure:
    """Gains over `none` and the judge's agreement against the radius: a column a set, a row a measure."""
    figure = Picture(figsize=(7, 9.5))
    axes = figure.subplots(len(LABELS), len(SETS), sharex=True, sharey="row")
    places = {radius: place for place, radius in enumerate((0.0, *RADII))}
    for (row, (measure, words)), (column, name) in itertools.product(enumerate(LABELS.items()), enumerate(SETS)):
        axis = axes[row, column]
        axis.axhline(0, color="black", linewidth=0.8)
        parts = [cell for cell in summary["cells"] if cell["data"] == name and cell["variant"] == ""]
        (start,) = [cell for cell in parts if cell["arm"] == "reconstruction"]
        for position, arm in enumerate(DOSES):
            points = [start, *(cell for cell in parts if cell["arm"] == arm)]
            x = [0.0, *(places[point["radius"]] + 0.09 * (position - 2.5) for point in points[1:])]
            style: Any = {**method_style(arm), "markersize": 4, "linewidth": 1.2}
            axis.errorbar(x, *_bars(points, measure), label=arm, elinewidth=0.7, **style)
        style = {**method_style("reconstruction"), "label": "reconstruction", "linestyle": "none"}
        axis.errorbar([0], *_bars([start], measure), **style)
        if row == 0:
            axis.set_title(f"{name},\n{SETS[name]} of each class")
        if row == len(LABELS) - 1:
            axis.set_xlabel("radius")
        if column == 0:
            axis.set(ylabel=words, ylim=RANGES.get(measure))
    axes[0, 0].set_xticks(list(places.values()), [f"{radius:g}" for radius in places])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _bars(points: list[Row], measure: str) -> tuple[list[float], list[list[float]]]:
    """Means, and how far the intervals reach below and above."""
    found = [point[measure] for point in points]
    return [part["mean"] for part in found], [
        [part["mean"] - part["low"] for part in found],
        [part["high"] - part["mean"] for part in found],
    ]


if __name__ == "__main__":
    main()
