"""Draw the pictures of the book's pages that no study draws: results, corrupted images, targeted images and their audit.

python tools/make_pictures.py
"""

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
from tsynd.robustness import CORRUPTIONS
from tsynd.runs.report import figures
from tsynd.study.figures import pareto
from tsynd.targeting import Guard, target
from tsynd.teaching.figures.robustness import corrupted
from tsynd.utils.plotting import save

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "results" / "main" / "report"
IMAGES = ROOT / "book" / "images"


def main() -> None:
    """Write the figures."""
    results()
    for name, draw in {"targeted": targeted, "corruptions": corruptions}.items():
        try:
            draw()
        except DataUnavailable as error:
            print(f"the figures of {name} stay as they are: {error}")


def corruptions() -> None:
    """Write a phantom and a colour image under each corruption that it can have."""
    for name, data in {"corruptions": "phantom", "corruptions-colour": "retinamnist"}.items():
        image_CHW = tsynd.load(data).test.images[3].float() / 255
        can = [each for each, corruption in CORRUPTIONS.items() if len(image_CHW) == 3 or not corruption.colour]
        save(corrupted(image_CHW, can), IMAGES / f"{name}.svg")


def targeted() -> None:
    """Write the figures of a search and of its audit, by the networks for BreastMNIST that come with the package."""
    example = pretrained.breastmnist()
    data = example.load()
    chosen = example.subset(data)
    posterior = HeadDropout.of(example.classifier, 64, torch.Generator().manual_seed(0))
    images, jitter, guard = chosen.images.float() / 255, torch.Generator().manual_seed(1), Guard()
    found = target(images, chosen.labels, example.autoencoder, posterior, guard=guard, generator=jitter)
    shown: Any = SimpleNamespace(synthesis=found, data=replace(data, train=chosen))
    save(figures.pairs(shown, 4), IMAGES / "targeted.svg")
    index = data.subset_index(example.per_class, example.seed)
    made = audit(replace(found, sources=index), example.classifier, example.autoencoder, data, chosen=index, guard=guard)
    save(faces(made, data, 2), IMAGES / "audit.svg")


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
