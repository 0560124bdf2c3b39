"""Can a network tell targeted images from real ones, and does it harm that both share batch normalisation?

    python studies/domain_gap.py --out results/domain-gap --cache DIR

For each set and seed, a classifier is trained by the method `recommended`. It then searches from images that no network has
trained on, with the decoded image and with residual decoding. A second network is trained to tell what was found from other
real images, and asked about images that it has not seen: AUROC, .5 is chance. Reconstructions, real images after a random step
of the same kind, and real images against real images are the yardsticks. For batch normalisation, the running statistics of the
trained classifier are counted anew on real training images alone, under the light augmentation, and both networks are evaluated
on the test split. `--out` gets a row a set and seed in `runs.csv`, and `table.md`.
"""

import argparse
import copy
import sys
from pathlib import Path
from typing import Any

import torch
from shared import autoencoder_for, interval, read_csv, trained, write_csv
from torch import Tensor, nn

import tsynd
from tsynd.augmentation import TRAIN_RANGE, augment
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Split
from tsynd.metrics.classification import error_auroc
from tsynd.posterior import HeadDropout
from tsynd.robustness import evaluate
from tsynd.targeting import Guard, target
from tsynd.training import parse_arm, train_classifier
from tsynd.training.arms import recipe_for
from tsynd.utils.atomic_files import write_text
from tsynd.utils.batching import predict
from tsynd.utils.rng import generator_for, seed_for

SETS = {"breastmnist": 60, "pneumoniamnist": 25, "retinamnist": 25}
SEEDS = range(5)
ARM = "recommended"
MOST = 300  # real images, and as many that were changed, for training the second network and for asking it
KINDS = {
    "real": "other real images",
    "reconstruction": "reconstructions",
    "image": "targeted, decoded image",
    "residual": "targeted, residual decoding",
    "random": "random step, residual decoding",
}
STEPS = 200
MEASURES = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "pgd_2_255": "accuracy under PGD of 2/255"}


def changed(kind: str, split: Split, autoencoder: Any, classifier: Classifier, seed: int) -> Tensor:
    """What a search finds from each image of a split; the images themselves for `real`."""
    images_BCHW = split.images.float() / 255
    if kind == "real":
        return images_BCHW
    posterior = HeadDropout.of(classifier, 64, generator_for(seed, "domain gap, masks"))
    objective = kind if kind in ("reconstruction", "random") else "mutual_information"
    decode = "residual" if kind in ("residual", "random") else "image"
    guard = Guard() if objective == "mutual_information" else None
    settings: dict[str, Any] = {"objective": objective, "decode": decode, "guard": guard}
    return target(
        images_BCHW, split.labels, autoencoder, posterior, **settings, generator=generator_for(seed, "domain gap, search")
    ).images


def told_apart(real: list[Tensor], other: list[Tensor], seed: int) -> float:
    """AUROC with which the package's classifier, trained to do so, tells unseen changed images from unseen real ones."""
    labels = torch.cat([torch.zeros(len(real[0])), torch.ones(len(other[0]))]).long()
    images = (torch.cat([real[0], other[0]]) * 255).round().to(torch.uint8)
    classifier = trained(Split(images, labels), 2, seed, steps=STEPS)
    logits_BC = predict(classifier, (torch.cat([real[1], other[1]]) * 255).round() / 255, 250)
    made = torch.cat([torch.zeros(len(real[1])), torch.ones(len(other[1]))]).bool()
    area = error_auroc(logits_BC[:, 1] - logits_BC[:, 0], made)
    assert area is not None
    return round(area, 4)


def recounted(classifier: Classifier, images_BCHW: Tensor, seed: int) -> Classifier:
    """A copy whose running statistics are those of real images alone, a plain mean over 50 augmented batches of 64."""
    found, generator = copy.deepcopy(classifier), generator_for(seed, "domain gap, statistics")
    norms = [module for module in found.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for _ in range(50):
            chosen = torch.randint(len(images_BCHW), (64,), generator=generator)
            found(augment(images_BCHW[chosen], TRAIN_RANGE, generator))
    return found.eval()


def measures(classifier: Classifier, data: Any, seed: int) -> dict[str, float]:
    """What matters, on at most 600 test images."""
    found = evaluate(
        classifier,
        data.test.images[:600],
        data.test.labels[:600],
        data.task,
        seed=seed,
        draws=1,
        corruptions=(),
        eps=(0.0, 2 / 255),
    ).to_json()
    clean = found["clean"]
    return {
        "auroc": clean["auroc"],
        "balanced_accuracy": clean["balanced_accuracy"],
        "pgd_2_255": found["attacks"]["pgd"]["0.0078"],
    }


def run_seed(name: str, per_class: int, seed: int, cache: Path) -> dict[str, Any]:
    """One row."""
    data = tsynd.load(name)
    few = data.subset(per_class, seed)
    autoencoder = autoencoder_for(few.train, seed, cache / f"{name}-{seed}.safetensors")
    classifier = build_classifier(data.channels, data.size, len(data.classes), seed_for(seed, "initialise classifier"))
    images_BCHW = few.train.images.float() / 255
    settings: dict[str, Any] = {"autoencoder": autoencoder, "seed": seed}
    train_classifier(classifier, images_BCHW, few.train.labels, parse_arm(ARM), recipe_for(ARM), **settings)
    left = torch.ones(len(data.train), dtype=torch.bool)
    left[data.subset_index(per_class, seed)] = False
    order = left.nonzero().flatten()
    order = order[torch.randperm(len(order), generator=generator_for(seed, "domain gap, images"))]
    size = min(MOST, len(order) // 4)
    parts = [Split(data.train.images[index], data.train.labels[index]) for index in order[: 4 * size].split(size)]
    real = [part.images.float() / 255 for part in parts[:2]]
    row: dict[str, Any] = {"data": name, "per_class": per_class, "seed": seed, "images": size}
    for kind in KINDS:
        row[kind] = told_apart(real, [changed(kind, part, autoencoder, classifier, seed) for part in parts[2:]], seed)
    before, after = (measures(each, data, seed) for each in (classifier, recounted(classifier, images_BCHW, seed)))
    return row | before | {f"{measure}_recounted": value for measure, value in after.items()}


def table(rows: list[dict[str, Any]]) -> str:
    """Two tables in Markdown: AUROC of telling apart, with the range of the seeds; and what recounting changes."""
    sets = list(dict.fromkeys(row["data"] for row in rows))
    lines = ["| told from real images | " + " | ".join(sets) + " |", "|:--|" + "--:|" * len(sets)]
    for kind, words in KINDS.items():
        cells = []
        for name in sets:
            values = [row[kind] for row in rows if row["data"] == name]
            cells.append(f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    lines += ["", "| statistics of real images alone, minus shared | difference |", "|:--|--:|"]
    seeds = sorted({row["seed"] for row in rows})
    for measure, words in MEASURES.items():
        by_seed = [[row[f"{measure}_recounted"] - row[measure] for row in rows if row["seed"] == seed] for seed in seeds]
        part = interval([sum(values) / len(values) for values in by_seed])
        lines.append(f"| {words} | {part['mean']:+.3f} ({part['low']:+.3f} to {part['high']:+.3f}) |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run what `runs.csv` lacks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--cache", type=Path, required=True, help="where autoencoders are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_csv(options.out / "runs.csv")
    for seed in SEEDS:
        for name, per_class in SETS.items():
            if not any((row["data"], row["seed"]) == (name, seed) for row in rows):
                rows.append(run_seed(name, per_class, seed, options.cache))
                write_csv(options.out / "runs.csv", rows)
        whole = [row for row in rows if row["seed"] <= seed]
        if len({row["seed"] for row in whole}) > 1:
            write_text(options.out / "table.md", table(whole))
    return 0


if __name__ == "__main__":
    sys.exit(main())
