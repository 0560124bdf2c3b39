"""How far should the search go? Gain on validation, and the judge's agreement, against the radius.

    python studies/dose_response.py --out results/dose-response --cache runs/networks

Sets, arms, radii, seeds and the recipe stand in the constants below; they were fixed before the study was run. Each
(set, seed) has one subset, one autoencoder and one initialisation for all arms. All is measured on the *whole* validation
split (augmentation and attacks on 200 of its images at most), never on the test split. The judge is a classifier trained by
arm `none` on the whole training split, with a seed of its own; on phantoms the oracle also says what class an image truly
has. `--out` gets parts, and `dose_response_report.py` draws from them. What is in a part is not run again; several
processes may share the work, each with seeds of its own.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from shared import autoencoder_for, read_csv, run_parts, trained, write_csv
from torch import Tensor

import tsynd
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset
from tsynd.data.phantom import classify
from tsynd.data.phantom.oracle import oracle
from tsynd.robustness import evaluate
from tsynd.runs.networks import evaluation_posterior
from tsynd.targeting import Synthesis
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.batching import predict
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import seed_for

SETS = {"phantom": 60, "breastmnist": 60, "retinamnist": 25}  # images of each class
SEEDS = range(5)
# As it was then: the bank kept 256 images, for longer than it does now (see studies/refresh.py).
RECIPE = replace(Recipe(), refresh_every=24, refresh_count=64, capacity=256)
RADII = (0.1, 0.25, 0.5, 1.0, 2.0)
FEW = (0.1, 0.25, 1.0)
DOSES: dict[str, tuple[float, ...]] = {
    "random": RADII, "tsynd": RADII, "guarded": RADII, "sham": FEW, "entropy": FEW, "cross-entropy": FEW,
}  # fmt: skip
# What else the arm `guarded` could do at radius .25: with its five radii, eight configurations.
VARIANTS: dict[str, dict[str, Any]] = {
    "share .25": {"share": 0.25}, "10 steps": {"ascent_steps": 10}, "hard guard": {"guard_hard": True},
}  # fmt: skip
LIMIT = 200  # images that are augmented and attacked, in proportion to the classes

Configuration = tuple[str, float, str]  # arm, radius, variant


def configurations() -> list[Configuration]:
    """Every training of a (set, seed). At radius 0 all arms that search are `reconstruction`."""
    doses = [(arm, radius, "") for arm, radii in DOSES.items() for radius in radii]
    return [("none", 0.0, ""), ("reconstruction", 0.0, ""), *doses, *(("guarded", 0.25, variant) for variant in VARIANTS)]


def main() -> None:
    """Train what is missing."""
    run_parts(__doc__ or "", SETS, SEEDS, run_seed)


def run_seed(name: str, per_class: int, seed: int, path: Path, cache: Path) -> None:
    """All trainings of one (set, seed) that `path` does not hold yet."""
    rows = read_csv(path)
    done = {(row["arm"], float(row["radius"]), row["variant"]) for row in rows}
    missing = [configuration for configuration in configurations() if configuration not in done]
    if not missing:
        return
    data = tsynd.load(name)
    subset = data.subset(per_class, seed).train
    autoencoder = autoencoder_for(subset, seed, cache / f"{name}-{per_class}-{seed}.safetensors")
    judge = trained(data.train, len(data.classes), seed_for(seed, "judge"))
    for configuration in missing:
        arm, radius, variant = configuration
        recipe = replace(RECIPE, radius=radius, **VARIANTS.get(variant, {}))
        classifier = build_classifier(data.channels, data.size, len(data.classes), seed_for(seed, "initialise classifier"))
        started = time.perf_counter()
        _, found = train_classifier(
            classifier, subset.images.float() / 255, subset.labels, parse_arm(arm), recipe, autoencoder=autoencoder, seed=seed
        )
        seconds = round(time.perf_counter() - started, 1)
        measures = {name: round(value, 5) for name, value in measure(data, classifier, seed).items()}
        audit = {name: round(value, 5) for name, value in look(found, judge, name == "phantom").items()} if found else {}
        row = {"data": name, "seed": seed, "arm": arm, "radius": radius, "variant": variant} | measures
        rows.append(row | {column: audit.get(column, "") for column in AUDIT} | {"seconds": seconds})
        write_csv(path, rows)
        print(name, seed, *configuration, f"{seconds} s", file=sys.stderr, flush=True)


def measure(data: Dataset, classifier: Classifier, seed: int) -> dict[str, float]:
    """The classifier on the validation split."""
    masks = evaluation_posterior(classifier, RECIPE.samples, seed)
    report = evaluate(
        classifier, data.val.images, data.val.labels, data.task,
        posterior=masks, seed=seed, corruptions=(), eps=(2 / 255, 4 / 255), limit=LIMIT,
    )  # fmt: skip
    clean, augmented, pgd = report["clean"], report["test_time_augmentation"], report["attacks"]["pgd"]
    return {
        "auroc": clean["auroc"],
        "balanced_accuracy": clean["balanced_accuracy"],
        "nll": clean["nll"],
        "augmented": augmented["outside"]["mean"],
        "augmented_inside": augmented["inside"]["mean"],
        "pgd_2_255": pgd["0.0078"],
        "pgd_4_255": pgd["0.0157"],
    }


AUDIT = (
    "agreement", "agreement_before", "true_agreement", "true_agreement_before", "information_before", "information_after",
    "latent_displacement", "pixel_displacement", "log_prob_fall",
)  # fmt: skip


def look(found: Synthesis, judge: Classifier, phantom: bool) -> dict[str, float]:
    """The synthetic images at the end of training: does the judge give them their label, and what did the search do?"""
    labels_B, pairs = found.labels, {"": found.images, "_before": found.reconstructions}
    measures = {f"agreement{when}": agreement(predict_classes(judge, images), labels_B) for when, images in pairs.items()}
    if phantom:
        truth = oracle()
        with frozen(truth), torch.no_grad():
            verdicts = {when: classify(truth.recover(images)) for when, images in pairs.items()}
        measures |= {f"true_agreement{when}": agreement(verdict, labels_B) for when, verdict in verdicts.items()}
    columns = AUDIT[AUDIT.index("information_before") :]
    return measures | {
        name: getattr(found, name.replace("information", "mutual_information")).double().mean().item() for name in columns
    }


def predict_classes(judge: Classifier, images_BCHW: Tensor) -> Tensor:
    """The judge's class of each image."""
    with frozen(judge):
        return predict(judge, images_BCHW, 256, images_BCHW.device).argmax(dim=1)


def agreement(verdict_B: Tensor, labels_B: Tensor) -> float:
    """The share of images that are given their label."""
    return (verdict_B == labels_B).double().mean().item()


if __name__ == "__main__":
    main()
