"""Draw the pictures of the book's pages that no study draws: results, corrupted images, targeted images of one run.

    python tools/make_pictures.py [--run runs/demo]

Without --run, the targeted images stay as they are.
"""

import argparse
from pathlib import Path

import book_figures

import tsynd
from tsynd.audit import audit
from tsynd.audit.figures import faces
from tsynd.errors import DataUnavailable
from tsynd.runs.report import figures
from tsynd.study.figures import pareto
from tsynd.targeting import Guard
from tsynd.training import parse_arm
from tsynd.utils.plotting import save

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "results" / "main" / "report"
IMAGES = ROOT / "book" / "images"


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, help="the folder of a finished run, for the targeted images and their audit")
    options = parser.parse_args()
    results()
    for name, data in {"corruptions": "phantom", "corruptions-colour": "retinamnist"}.items():
        try:
            save(figures.corruptions(tsynd.load(data).test.images[3]), IMAGES / f"{name}.svg")
        except DataUnavailable as error:
            print(f"{name}.svg stays as it is: {error}")
    if options.run:
        run = tsynd.load_run(options.run)
        save(figures.pairs(run, 4), IMAGES / "targeted.svg")
        assert run.synthesis is not None and run.autoencoder is not None, "the run's arm makes no synthetic images"
        guard = Guard() if parse_arm(run.config["arm"]).guard else None
        made = audit(
            run.synthesis, run.classifier, run.autoencoder, run.data, chosen=run.chosen, guard=guard, seed=run.config["seed"]
        )
        save(faces(made, run.data, 2), IMAGES / "audit.svg")


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
