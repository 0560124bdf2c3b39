"""Do the classifiers reach the published figures on whole training sets? The compact network, and the official ResNet-18.

    python studies/whole_sets.py --out results/whole-sets --seeds 3
    python studies/whole_sets.py --out results/whole-sets --seeds 3 --network resnet18 --data breastmnist

The compact network is trained by arm `none`, for more steps than with few images (`STEPS`), and its last weights are tested.
ResNet-18 is trained by the protocol of MedMNIST v2: Adam at 1e-3, batches of 128, 100 epochs, a tenth of the rate from epoch
50 and again from 75, no augmentation, the weights of the best validation AUC. `--out` gets `runs.csv`, `summary.json` and
`table.md`. Rows that are there are not run again.
"""

import argparse
import copy
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from shared import read_csv, write_csv
from torch.nn import functional as F

import tsynd
from tsynd.classification import ARCHITECTURES, Classifier, build_classifier
from tsynd.data import Dataset
from tsynd.metrics.classification import auroc, clean_metrics
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import generator_for, seed_for

# Test AUC, ACC and the number of test images: ResNet-18 at 28 px, MedMNIST v2 (Yang et al. 2023), table 3.
PUBLISHED = {"breastmnist": (0.901, 0.863, 156), "pneumoniamnist": (0.944, 0.854, 624), "retinamnist": (0.717, 0.524, 400)}
STEPS = 600
EPOCHS, MILESTONES, BATCH, RATE = 100, (50, 75), 128, 1e-3
MEASURES = {"auroc": "AUC", "accuracy": "ACC", "nll": "NLL"}


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--data", nargs="+", default=list(PUBLISHED), choices=PUBLISHED, help="which sets")
    parser.add_argument("--network", default="compact", choices=ARCHITECTURES)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps of the compact network")
    parser.add_argument("--evaluate", default="test", choices=("val", "test"), help="the split that is measured")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.data:
        data = tsynd.load(name)
        for seed in range(options.seeds):
            key = (name, options.network, seed)
            if key in {(row["data"], row["network"], row["seed"]) for row in read_csv(options.out / "runs.csv")}:
                continue
            started = time.perf_counter()
            build = build_classifier(
                data.channels, data.size, len(data.classes), seed_for(seed, "initialise classifier"), architecture=options.network
            )
            train_official(build, data, seed) if options.network == "resnet18" else train_compact(
                build, data, seed, options.steps
            )
            seconds = round(time.perf_counter() - started)
            # Read again: another process may have added rows meanwhile.
            rows = [*read_csv(options.out / "runs.csv"), measure(build, data, options.evaluate, *key) | {"seconds": seconds}]
            write(options.out, rows)
            print(*key, seconds, file=sys.stderr, flush=True)
    write(options.out, read_csv(options.out / "runs.csv"))


def train_compact(classifier: Classifier, data: Dataset, seed: int, steps: int) -> None:
    """Train by arm `none`: light augmentation, AdamW, one cycle."""
    images_BCHW = data.train.images.float() / 255
    train_classifier(classifier, images_BCHW, data.train.labels, parse_arm("none"), replace(Recipe(), steps=steps), seed=seed)


def train_official(classifier: Classifier, data: Dataset, seed: int) -> None:
    """Train by the protocol of MedMNIST v2 and keep the weights of the best validation AUC."""
    images_BCHW, labels_B = data.train.images.float() / 255, data.train.labels
    classifier.mean.fill_(0.5)
    classifier.std.fill_(0.5)
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = generator_for(seed, "batches")
    optimiser = torch.optim.Adam(classifier.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, MILESTONES, 0.1)
    best, kept = -1.0, classifier.state_dict()
    for epoch in range(EPOCHS):
        classifier.train()
        for index_B in torch.randperm(len(labels_B), generator=generator).split(BATCH):
            batch_BCHW = images_BCHW[index_B].contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(classifier(batch_BCHW), labels_B[index_B])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        with frozen(classifier):
            area = auroc(predict(classifier, data.val.images, 250).double().softmax(1), data.val.labels) or 0.0
        if area > best:
            best, kept = area, copy.deepcopy(classifier.state_dict())
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1}: validation AUC {area:.3f}", file=sys.stderr, flush=True)
    classifier.load_state_dict(kept)
    classifier.eval()


def measure(classifier: Classifier, data: Dataset, split: str, name: str, network: str, seed: int) -> dict[str, Any]:
    """Test a trained classifier: a row."""
    part = getattr(data, split)
    with frozen(classifier):
        clean = clean_metrics(predict(classifier, part.images, 250).double().softmax(1), part.labels, data.task)
    row = {"data": name, "network": network, "seed": seed, "split": split}
    return row | {measure: round(float(clean[measure] or 0.0), 4) for measure in MEASURES}


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each set and network: means over the seeds, and whether they reach the published figures.

    *Reached*: AUC and ACC are at least the published ones. *Within one error*: each is at most one binomial standard error
    of the published ACC below.
    """
    summary = []
    for name, (area, accuracy, images) in PUBLISHED.items():
        for network in ARCHITECTURES:
            chosen = [row for row in rows if (row["data"], row["network"]) == (name, network)]
            if not chosen:
                continue
            error = (accuracy * (1 - accuracy) / images) ** 0.5
            means = {measure: round(fmean(row[measure] for row in chosen), 4) for measure in MEASURES}
            behind = max(area - means["auroc"], accuracy - means["accuracy"])
            verdict = "reached" if behind <= 0 else "within one error" if behind <= error else "below"
            published = {"auroc": area, "accuracy": accuracy, "error": round(error, 4)}
            summary.append(
                {"data": name, "network": network, "seeds": len(chosen)} | means | {"published": published, "verdict": verdict}
            )
    return summary


def table(summary: list[dict[str, Any]]) -> str:
    """The summary as a Markdown table."""
    lines = ["| data | network | AUC | published | ACC | published | |", "|---" * 7 + "|"]
    for part in summary:
        published = part["published"]
        lines.append(
            f"| {part['data']} | {part['network']} | {part['auroc']:.3f} | {published['auroc']:.3f} "
            f"| {part['accuracy']:.3f} | {published['accuracy']:.3f} ± {published['error']:.3f} | {part['verdict']} |"
        )
    seeds = sorted({part["seeds"] for part in summary})
    lines += ["", f"Means over {' or '.join(map(str, seeds))} seeds."]
    return "\n".join([*lines, ""])


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows and what follows from them."""
    rows.sort(key=lambda row: (row["data"], row["network"], row["seed"]))
    write_csv(out / "runs.csv", rows)
    summary = summarise(rows)
    write_json(out / "summary.json", {"steps": STEPS, "networks": summary, "versions": versions()})
    write_text(out / "table.md", table(summary))


if __name__ == "__main__":
    main()
