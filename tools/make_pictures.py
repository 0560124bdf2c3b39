"""Draw the pictures of the book's pages that no study draws: results, corrupted images, targeted images of one run.

    python tools/make_pictures.py [--run runs/demo]

Without --run, the figure of the audit stays as it is.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import book_figures
import torch

import tsynd
from tsynd import pretrained
from tsynd.audit import audit
from tsynd.audit.figures import faces
from tsynd.errors import DataUnavailable
from tsynd.posterior import HeadDropout
from tsynd.runs.report import figures
from tsynd.study.figures import pareto
from tsynd.targeting import Guard, target
from tsynd.training import parse_arm
from tsynd.utils.plotting import save

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "results" / "main" / "report"
IMAGES = ROOT / "book" / "images"


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, help="the folder of a finished run, for the audit of its images")
    options = parser.parse_args()
    results()
    targeted()
    for name, data in {"corruptions": "phantom", "corruptions-colour": "retinamnist"}.items():
        try:
            save(figures.corruptions(tsynd.load(data).test.images[3]), IMAGES / f"{name}.svg")
        except DataUnavailable as error:
            print(f"{name}.svg stays as it is: {error}")
    if options.run:
        run = tsynd.load_run(options.run)
        assert run.synthesis is not None and run.autoencoder is not None, "the run's arm makes no synthetic images"
        guard = Guard() if parse_arm(run.config["arm"]).guard else None
        made = audit(
            run.synthesis, run.classifier, run.autoencoder, run.data, chosen=run.chosen, guard=guard, seed=run.config["seed"]
        )
        save(faces(made, run.data, 2), IMAGES / "audit.svg")


def targeted() -> None:
    """Write the figure of a search, by the networks for BreastMNIST that come with the package."""
    example = pretrained.breastmnist()
    try:
        data = example.load()
    except DataUnavailable as error:
        print(f"targeted.svg stays as it is: {error}")
        return
    chosen = example.subset(data)
    posterior = HeadDropout.of(example.classifier, 64, torch.Generator().manual_seed(0))
    images, jitter = chosen.images.float() / 255, torch.Generator().manual_seed(1)
    found = target(images, chosen.labels, example.autoencoder, posterior, guard=Guard(), generator=jitter)
    shown: Any = SimpleNamespace(synthesis=found, data=replace(data, train=chosen))
    save(figures.pairs(shown, 4), IMAGES / "targeted.svg")


def results() -> None:
    """Write the figures of the main study: the summary of the landing page, and the differences of the page of results."""
    means, differences = (book_figures.rows(REPORT / f"{name}.csv") for name in ("means", "differences"))
    save(book_figures.summary(means), IMAGES / "summary.svg")
    save(book_figures.pooled(differences), IMAGES / "differences.svg")
    save(book_figures.pooled(differences, narrow=True), IMAGES / "differences-narrow.svg")
    few = [row for row in means if book_figures.FEW.get(row["data"]) == row["per_class"]]
    numbers = ("pgd_2_255", "auroc", "cost")
    save(pareto([row | {name: float(row[name] or 1) for name in numbers} for row in few]), IMAGES / "clean-and-robust.svg")


if __name__ == "__main__":
    main()
