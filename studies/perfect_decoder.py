"""What would TSynD do if the autoencoder were not the limit? The renderer of the phantoms as a perfect decoder.

    python studies/perfect_decoder.py --out results/perfect-decoder --cache runs/networks --seeds 5

A phantom's factors are known and `render` is differentiable in them, so a search can move the factors themselves, and the rule
says which class the moved lesion truly has. What is trained stands in `PLAN` below. The arms of a seed share phantoms,
initialisation, batches and steps. Everything is measured on fresh phantoms for validation, never on the test split. `--out` gets
`runs.csv`; `perfect_decoder_report.py` makes the table and the figure. Rows that are there are not run again.
"""

import argparse
import functools
import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from perfect_decoder_report import report
from renderer import SIZE, Renderer, codes
from shared import autoencoder_for, read_csv, write_csv
from torch import Tensor

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.classification import Classifier, as_targets, build_classifier, classification_loss, normalise_to
from tsynd.data.phantom import classify, render, subgroup
from tsynd.data.phantom.phantoms import PhantomSplit, draw_split
from tsynd.metrics.classification import balanced_accuracy
from tsynd.posterior import HeadDropout
from tsynd.robustness import evaluate
from tsynd.targeting import Autoencoder, Guard, Synthesis, target
from tsynd.training import Recipe
from tsynd.utils.batching import predict
from tsynd.utils.rng import generator_for, seed_for, seeded

PER_CLASS, VALIDATION = 25, 1000  # images of each class, for training and for validation
SUBGROUP = "irregular-enhancing"
RECIPE = replace(Recipe(), steps=300, refresh_every=24, refresh_count=2 * PER_CLASS)
NEAR, FAR = 0.4, 1.0
LIMIT, DRAWS = 300, 4  # validation images that are augmented and attacked; augmentations of each


@dataclass(frozen=True)
class Search:
    """Where an arm's synthetic images come from.

    decoder: `renderer`, `autoencoder`, or `fresh` for new phantoms. truth: they get their true class, else their source's.
    """

    decoder: str
    objective: str = "mutual_information"
    guard: bool = False
    truth: bool = False
    radius: float = NEAR


ARMS: dict[str, Search | None] = {
    "none": None,
    "fresh phantoms": Search("fresh", truth=True, radius=0.0),
    "random": Search("renderer", "random"),
    "random, true label": Search("renderer", "random", truth=True),
    "tsynd": Search("renderer"),
    "tsynd, true label": Search("renderer", truth=True),
    "guarded": Search("renderer", guard=True),
    "random, true label, far": Search("renderer", "random", truth=True, radius=FAR),
    "tsynd, true label, far": Search("renderer", truth=True, radius=FAR),
    "tsynd by autoencoder": Search("autoencoder"),
    "guarded by autoencoder": Search("autoencoder", guard=True),
}
ALL, WITHHELD = "all", "withheld"
PLAN = [
    *((ALL, arm) for arm in ARMS),
    *((WITHHELD, arm) for arm in ("none", "fresh phantoms", "random, true label, far", "tsynd, true label, far")),
]


def main() -> None:
    """Train what is missing and write the tables and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--cache", type=Path, required=True, help="where autoencoders are kept")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_csv(options.out / "runs.csv")
    done = {(row["data"], row["arm"], row["seed"]) for row in rows}
    for seed, (data, arm) in itertools.product(range(options.seeds), PLAN):
        if (data, arm, seed) in done:
            continue
        started = time.perf_counter()
        sources = draw_sources(seed, SUBGROUP if data == WITHHELD else None)
        classifier, audit = train(sources, synthesiser(ARMS[arm], sources, seed, options.cache), seed)
        row = {"data": data, "arm": arm, "seed": seed} | measure(classifier, draw_validation(seed), seed) | audit
        rows.append({name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()})
        rows.sort(key=lambda row: (row["data"], list(ARMS).index(row["arm"]), row["seed"]))
        write_csv(options.out / "runs.csv", rows)
        print(seed, data, arm, f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    report(options.out, rows)


def draw_sources(seed: int, withheld: str | None) -> PhantomSplit:
    """The real training images, drawn in one batch on the seed's own tissue, as a `Renderer` draws them again."""
    split = draw_split(PER_CLASS, SIZE, generator_for(seed, "perfect decoder, training"), withheld=withheld)
    images_BCHW = render(split.factors, SIZE, generator_for(seed, "tissue"))
    return replace(split, images=(images_BCHW * 255).round().to(torch.uint8))


@functools.cache
def draw_validation(seed: int) -> PhantomSplit:
    """The fresh phantoms that a seed's arms are measured on; the subgroup is among them as it is anywhere."""
    return draw_split(VALIDATION, SIZE, generator_for(seed, "perfect decoder, validation"))


Found = tuple[Tensor, Tensor, dict[str, float]]
"""New images for the bank, their labels, and what was measured on them."""
Synthesiser = Callable[[int, HeadDropout], Found]
"""From the number of the refresh and the classifier's posterior."""


def synthesiser(search: Search | None, sources: PhantomSplit, seed: int, cache: Path) -> Synthesiser | None:
    """What an arm refreshes its bank with: one new image from each source."""
    if search is None:
        return None
    autoencoder = (
        autoencoder_for(sources, seed, cache / f"perfect-{seed}.safetensors") if search.decoder == "autoencoder" else None
    )
    images_BCHW = sources.images.float() / 255

    def synthesise(number: int, posterior: HeadDropout) -> Found:
        augmentation = seed_for(seed, f"bank, augmentation {number}")
        light = torch.Generator().manual_seed(augmentation)
        if search.decoder == "fresh":
            new = draw_split(PER_CLASS, SIZE, generator_for(seed, f"fresh {number}"))
            return augment(new.images.float() / 255, TRAIN_RANGE, light), new.labels, {}
        codec: Autoencoder = autoencoder or Renderer(sources.factors, seed_for(seed, "tissue"), augmentation)
        found = target(
            augment(images_BCHW, TRAIN_RANGE, light),
            sources.labels,
            codec,
            posterior,
            objective=search.objective,
            radius=search.radius,
            steps=RECIPE.ascent_steps,
            guard=Guard(RECIPE.guard_weight, RECIPE.guard_bound) if search.guard else None,
            generator=generator_for(seed, f"search {number}"),
        )
        audit = {name: getattr(found, name.replace("information", "mutual_information")).mean().item() for name in MEASURED}
        if not isinstance(codec, Renderer):
            return found.images, found.labels, audit
        true_B, known = look(found, codec)
        return found.images, true_B if search.truth else found.labels, audit | known

    return synthesise


MEASURED = ("information_before", "information_after", "pixel_displacement")
KNOWN = ("wrong", "displacement", "inside_before", "inside_after")


def look(found: Synthesis, renderer: Renderer) -> tuple[Tensor, dict[str, float]]:
    """The true classes of moved lesions; the share that changed class, the way after clamping, and who is in the subgroup."""
    before, after = renderer.moved(found.start_latents), renderer.moved(found.latents)
    true_B = classify(after)
    way_BD = codes(after) - codes(before)
    known = {
        "wrong": (true_B != found.labels).double().mean().item(),
        "displacement": way_BD.square().mean(1).sqrt().mean().item(),
        "inside_before": subgroup(before, SUBGROUP).double().mean().item(),
        "inside_after": subgroup(after, SUBGROUP).double().mean().item(),
    }
    return true_B, known


def train(sources: PhantomSplit, synthesise: Synthesiser | None, seed: int) -> tuple[Classifier, dict[str, Any]]:
    """Train a classifier as `train_classifier` does, on a bank of this study's own, which knows factors and true labels.

    Returns:
        The classifier, and the mean over all refreshes of what was measured; empty where it does not apply.
    """
    images_BCHW, labels_B = sources.images.float() / 255, sources.labels
    classifier = build_classifier(1, SIZE, 2, seed_for(seed, "initialise classifier"))
    normalise_to(classifier, images_BCHW)
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    posterior = HeadDropout.of(classifier, RECIPE.samples, generator_for(seed, "posterior"))
    batches, augmenting, picking = (generator_for(seed, name) for name in ("batches", "augmentation", "bank picks"))
    optimiser = torch.optim.AdamW(classifier.parameters(), weight_decay=RECIPE.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RECIPE.learning_rate, RECIPE.steps)
    warmup, bank = round(RECIPE.warmup * RECIPE.steps), list[Found]()
    with seeded(seed_for(seed, "dropout")):
        for step in range(RECIPE.steps):
            if synthesise and step >= warmup and (step - warmup) % RECIPE.refresh_every == 0:
                bank.append(synthesise(len(bank), posterior))
                kept = bank[-(RECIPE.capacity // RECIPE.refresh_count) :]
                bank_NCHW, bank_N = (torch.cat(column) for column in list(zip(*kept, strict=True))[:2])
            index_B = torch.randint(len(images_BCHW), (RECIPE.batch_size,), generator=batches)
            batch_BCHW, batch_B = augment(images_BCHW[index_B], TRAIN_RANGE, augmenting), labels_B[index_B]
            if bank:
                count = round(RECIPE.share * RECIPE.batch_size)
                drawn = torch.randint(len(bank_N), (count,), generator=picking)
                batch_BCHW = torch.cat([batch_BCHW[:-count], bank_NCHW[drawn]])
                batch_B = torch.cat([batch_B[:-count], bank_N[drawn]])
            classifier.train()
            targets_BC = as_targets(batch_B, classifier).to(batch_BCHW.dtype)
            loss = classification_loss(classifier(batch_BCHW), targets_BC, multi_label=False, smoothing=0.0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    classifier.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    audits = [audit for _, _, audit in bank]
    audit = {name: fmean(a[name] for a in audits) if audits and name in audits[0] else "" for name in MEASURED + KNOWN}
    return classifier.eval(), audit


def measure(classifier: Classifier, validation: PhantomSplit, seed: int) -> dict[str, float]:
    """The classifier on fresh phantoms."""
    found = evaluate(
        classifier, validation.images, validation.labels, "binary",
        seed=seed, draws=DRAWS, corruptions=(), eps=(2 / 255,), limit=LIMIT,
    )  # fmt: skip
    scores_BC, inside = predict(classifier, validation.images, 250), validation.subgroups[SUBGROUP]
    return {
        "auroc": found["clean"]["auroc"],
        "balanced_accuracy": found["clean"]["balanced_accuracy"],
        "nll": found["clean"]["nll"],
        "augmented": found["test_time_augmentation"]["outside"]["mean"],
        "pgd_2_255": found["attacks"]["pgd"]["0.0078"],
        "inside": balanced_accuracy(scores_BC[inside], validation.labels[inside]),
        "outside": balanced_accuracy(scores_BC[~inside], validation.labels[~inside]),
    }


if __name__ == "__main__":
    main()
