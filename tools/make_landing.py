"""Draw the pictures of the book's pages that no study draws: the first look, corrupted images, targeted images of one run.

    python tools/make_landing.py [--run runs/demo]

Without --run, the targeted images stay as they are.
"""

import argparse
import csv
from pathlib import Path
from statistics import fmean
from typing import Any

import tsynd
from tsynd.audit import audit
from tsynd.errors import DataUnavailable
from tsynd.files import write_text
from tsynd.targeting import Guard
from tsynd.training import parse_arm
from tsynd.viz import figures
from tsynd.viz.audit import faces
from tsynd.viz.style import COLOURS, MARKERS, Picture, save, styled

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "first-look" / "runs.csv"
TABLE = RESULTS.parent / "table.md"
TITLES = {"breastmnist": "BreastMNIST", "pneumoniamnist": "PneumoniaMNIST"}
ARMS = ("none", "guarded", "mixup", "guarded+mixup")
COLUMNS = {
    "auroc": "AUROC",
    "balanced_accuracy": "bal. acc.",
    "augmented": "augm.",
    "corrupted": "corr.",
    "pgd_2_255": "PGD 2",
    "pgd_4_255": "PGD 4",
    "nll": "NLL",
    "seconds": "time",
}
PLACES = {"nll": 2, "seconds": 1}


def main() -> None:
    """Write the table and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, help="the folder of a finished run, for the targeted images and their audit")
    options = parser.parse_args()
    rows = read()
    write_text(TABLE, table(rows))
    save(first_look(rows), ROOT / "book" / "images" / "first-look.svg")
    for name, data in {"corruptions": "phantom", "corruptions-colour": "retinamnist"}.items():
        try:
            save(figures.corruptions(tsynd.load(data).test.images[3]), ROOT / "book" / "images" / f"{name}.svg")
        except DataUnavailable as error:
            print(f"{name}.svg stays as it is: {error}")
    if options.run:
        run = tsynd.load_run(options.run)
        save(figures.pairs(run), ROOT / "book" / "images" / "targeted.svg")
        assert run.synthesis is not None and run.autoencoder is not None, "the run's arm makes no synthetic images"
        guard = Guard() if parse_arm(run.config["arm"]).guard else None
        made = audit(
            run.synthesis, run.classifier, run.autoencoder, run.data, chosen=run.chosen, guard=guard, seed=run.config["seed"]
        )
        save(faces(made, run.data), ROOT / "book" / "images" / "audit.svg")


def read() -> list[dict[str, Any]]:
    """The rows of `runs.csv`, with numbers as numbers."""
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return [row | {name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]


def values(rows: list[dict[str, Any]], data: str, arm: str, column: str) -> dict[int, float]:
    """One column of one arm on one set, by seed."""
    return {int(row["seed"]): row[column] for row in rows if (row["data"], row["arm"]) == (data, arm)}


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds, a Markdown table for each set; a set is left out until every arm has the same number of seeds."""
    lines = []
    for data in TITLES:
        counts = {len(values(rows, data, arm, "auroc")) for arm in ARMS}
        if len(counts) > 1 or counts == {0}:
            continue
        per_class = next(row["per_class"] for row in rows if row["data"] == data)
        lines += [f"**{TITLES[data]}**, {per_class} images of each class, {counts.pop()} seeds:", ""]
        lines += ["| arm | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        for arm in ARMS:
            means = {column: fmean(values(rows, data, arm, column).values()) for column in COLUMNS}
            means["seconds"] /= fmean(values(rows, data, "none", "seconds").values())
            lines.append(
                f"| `{arm}` | " + " | ".join(f"{mean:.{PLACES.get(column, 3)}f}" for column, mean in means.items()) + " |"
            )
        lines.append("")
    return "\n".join(lines)


@styled
def first_look(rows: list[dict[str, Any]]) -> Picture:
    """Differences to the arm without targeted images at the same seed, a point a seed."""
    shown = {
        "auroc": "AUROC",
        "augmented": "augmented",
        "corrupted": "corrupted",
        "pgd_2_255": "PGD 2/255",
        "pgd_4_255": "PGD 4/255",
    }
    figure = Picture(figsize=(9, 3.4))
    for axis, data in zip(figure.subplots(1, len(TITLES), sharey=True), TITLES, strict=True):
        axis.axhline(0, color="#777777", linewidth=1)
        for position, (arm, baseline) in enumerate((("guarded", "none"), ("guarded+mixup", "mixup"))):
            style: Any = {"color": COLOURS[position], "marker": MARKERS[position]}
            for column, name in enumerate(shown):
                targeted, plain = values(rows, data, arm, name), values(rows, data, baseline, name)
                differences = [targeted[seed] - plain[seed] for seed in sorted(targeted.keys() & plain.keys())]
                where = column + 0.24 * (position - 0.5)
                label = f"{arm} − {baseline}" if column == 0 else None
                axis.plot(
                    [where] * len(differences), differences, linestyle="none", alpha=0.6, markersize=5, label=label, **style
                )
                if differences:
                    axis.plot([where - 0.09, where + 0.09], [fmean(differences)] * 2, color=COLOURS[position], linewidth=2.5)
        axis.set_xticks(range(len(shown)), list(shown.values()), rotation=20)
        axis.set_title(TITLES[data])
        axis.yaxis.set_tick_params(labelleft=True)
    figure.axes[0].set_ylabel("difference at the same seed")
    figure.axes[0].legend(fontsize=8, loc="upper left")
    return figure


if __name__ == "__main__":
    main()
