"""How many phantoms does a classifier need? Balanced accuracy and AUROC against the number of images of each class.

    python studies/phantom_learning_curve.py --out results/phantom-learning-curve --seeds 3

Arm `none`, with the steps of budget `cpu` and with four times as many, since more images can use more steps. Each seed has its
own phantoms, and its larger training sets contain the smaller ones. `--out` gets `runs.csv`, `summary.json`, `table.md` and
`curve.svg`. Rows that are there are not run again.
"""

import argparse
import itertools
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from matplotlib.figure import Figure
from shared import read_csv, trained, write_csv

import tsynd
from tsynd.data import Dataset
from tsynd.metrics.classification import clean_metrics
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, save, styled

COUNTS = (25, 100, 500, 2000)
STEPS = (600, 2400)
MEASURES = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "nll": "NLL"}


def main() -> None:
    """Train what is missing and write the tables and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_csv(options.out / "runs.csv")
    for seed in range(options.seeds):
        done = {(row["seed"], row["per_class"], row["steps"]) for row in rows}
        missing = [(count, steps) for count in COUNTS for steps in STEPS if (seed, count, steps) not in done]
        data = tsynd.load("phantom", seed=seed) if missing else None
        for count, steps in missing:
            assert data is not None
            rows.append(measure(data, count, steps, seed))
            write(options.out, rows)
            print(seed, count, steps, file=sys.stderr, flush=True)
    write(options.out, rows)


def measure(data: Dataset, count: int, steps: int, seed: int) -> dict[str, Any]:
    """Train on `count` images of each class and test: a row."""
    classifier = trained(data.subset(count, seed).train, len(data.classes), seed, steps=steps)
    probs_BC = predict(classifier, data.test.images, 250).double().softmax(1)
    clean = clean_metrics(probs_BC, data.test.labels, data.task)
    return {"per_class": count, "steps": steps, "seed": seed} | {name: round(clean[name] or 0.0, 4) for name in MEASURES}


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each number of steps and images the seeds, and each measure's mean, lowest and highest value."""
    summary = []
    for steps, count in itertools.product(STEPS, COUNTS):
        chosen = [row for row in rows if (row["steps"], row["per_class"]) == (steps, count)]
        if chosen:
            columns = {name: [row[name] for row in chosen] for name in MEASURES}
            summary.append(
                {"steps": steps, "per_class": count, "seeds": len(chosen)}
                | {name: {"mean": round(fmean(v), 4), "lowest": min(v), "highest": max(v)} for name, v in columns.items()}
            )
    return summary


def table(summary: list[dict[str, Any]]) -> str:
    """The summary as a Markdown table: means, with the lowest and highest seed."""
    lines = [
        "| steps | images of each class | seeds | " + " | ".join(MEASURES.values()) + " |",
        "|---" * (len(MEASURES) + 3) + "|",
    ]
    for part in summary:
        cells = [f"{part[name]['mean']:.3f} ({part[name]['lowest']:.3f} to {part[name]['highest']:.3f})" for name in MEASURES]
        lines.append(f"| {part['steps']} | {part['per_class']} | {part['seeds']} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows and what follows from them."""
    rows.sort(key=lambda row: (row["steps"], row["per_class"], row["seed"]))
    write_csv(out / "runs.csv", rows)
    summary = summarise(rows)
    write_json(out / "summary.json", {"arm": "none", "counts": summary, "versions": versions()})
    write_text(out / "table.md", table(summary))
    save(curve(rows), out / "curve.svg")


@styled
def curve(rows: list[dict[str, Any]]) -> Figure:
    """AUROC and balanced accuracy against the number of images: a point a seed, a line through the means."""
    figure = Picture(figsize=(7, 3.4))
    for axis, name in zip(figure.subplots(1, 2), ("auroc", "balanced_accuracy"), strict=True):
        for position, steps in enumerate(STEPS):
            style: Any = {"color": COLOURS[position], "marker": MARKERS[position]}
            chosen = [row for row in rows if row["steps"] == steps]
            axis.plot([row["per_class"] for row in chosen], [row[name] for row in chosen], linestyle="none", alpha=0.5, **style)
            means = [(part["per_class"], part[name]["mean"]) for part in summarise(chosen)]
            axis.plot(*zip(*means, strict=True), label=f"{steps} steps", **style)
        axis.set(xscale="log", xlabel="training images of each class", ylabel=f"{MEASURES[name]}, test split", ylim=(0.5, 1.0))
        axis.set_xticks(COUNTS, [str(count) for count in COUNTS])
        axis.minorticks_off()
        axis.legend(loc="lower right")
    return figure


if __name__ == "__main__":
    main()
