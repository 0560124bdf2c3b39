"""What several studies share: classifiers trained without synthetic images, posteriors over them, intervals, tables."""

import argparse
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from scipy.stats import t as student_t  # type: ignore[import-untyped]
from torch import nn

from tsynd.autoencoding import ConvAutoencoder, build_autoencoder, train_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Split
from tsynd.posterior import Ensemble, FullDropout, HeadDropout, Posterior
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.training.bagged_heads import bagged_heads
from tsynd.utils.atomic_files import write_text
from tsynd.utils.rng import generator_for, seed_for
from tsynd.utils.tensor_files import load_network, save_network


def trained(
    split: Split,
    classes: int,
    seed: int,
    *,
    steps: int | None = None,
    head_dropout: float | None = None,
    trunk_dropout: float = 0.0,
) -> Classifier:
    """A classifier trained on all images of a split by arm `none` and the budget `cpu`, initialised as `tsynd.run` does."""
    channels, size = split.images.shape[1], split.images.shape[-1]
    initial = seed_for(seed, "initialise classifier")
    classifier = build_classifier(channels, size, classes, initial, trunk_dropout=trunk_dropout)
    for layer in classifier.head.modules():
        if head_dropout is not None and isinstance(layer, nn.Dropout):
            layer.p = head_dropout
    recipe = Recipe() if steps is None else replace(Recipe(), steps=steps)
    train_classifier(classifier, split.images.float() / 255, split.labels, parse_arm("none"), recipe, seed=seed)
    return classifier


def autoencoder_for(split: Split, seed: int, path: Path) -> ConvAutoencoder:
    """An autoencoder trained on a split by the budget `cpu`, as `tsynd.run` does; kept in a file, since arms share it."""
    recipe = Recipe()
    autoencoder = build_autoencoder(split.images.shape[1], split.images.shape[-1], seed_for(seed, "initialise autoencoder"))
    if path.exists():
        load_network(path, autoencoder)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        images_BCHW = split.images.float() / 255
        settings = {"steps": recipe.autoencoder_steps, "latent_noise": recipe.latent_noise, "seed": seed}
        train_autoencoder(autoencoder, images_BCHW, **settings)  # type: ignore[arg-type]
        save_network(path, autoencoder, settings)
    return autoencoder


def run_parts(
    description: str, sets: dict[str, int], seeds: Sequence[int], run_seed: Callable[[str, int, int, Path, Path], None]
) -> Path:
    """The command line of a study whose processes share the work, each with seeds of its own; gives the folder `--out`.

    Args:
        description: the study's docstring.
        sets: images of each class by the name of a set.
        seeds: of the study; `--seeds` names some of them.
        run_seed: (set, images of each class, seed, the part's file, folder of autoencoders) runs what the part lacks.
    """
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--cache", type=Path, required=True, help="where autoencoders are kept")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(seeds), help="which seeds this process runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in options.seeds:
        for name, per_class in sets.items():
            run_seed(name, per_class, seed, options.out / "parts" / f"{name}-{seed}.csv", options.cache)
    out: Path = options.out
    return out


POSTERIORS = {
    "head": "head dropout",
    "full": "full dropout",
    "heads": "bagged heads",
    "ensemble": "ensemble",
}
# Channel-wise dropout after each block, in the network that `full` is the posterior of.
TRUNK_DROPOUT = 0.1


def posteriors(split: Split, classes: int, seed: int, samples: int, members: int) -> dict[str, Posterior]:
    """Four posteriors trained on one split: `head`, `heads` and the first member of `ensemble` have the trunk in common.

    Args:
        samples: masks of `head` and `full`, and heads of `heads`.
        members: networks of `ensemble`.
    """
    first = trained(split, classes, seed)
    others = [trained(split, classes, seed_for(seed, f"member {number}")) for number in range(1, members)]
    wide = trained(split, classes, seed, trunk_dropout=TRUNK_DROPOUT)
    heads = bagged_heads(first, split.images.float() / 255, split.labels, samples, seed=seed)
    masks = generator_for(seed, "evaluation masks")
    return {
        "head": HeadDropout.of(first, samples, masks),
        "full": FullDropout(wide, samples, masks, max_chunk=256),
        "heads": Ensemble.of_heads(first.trunk, heads),
        "ensemble": Ensemble([first, *others]),
    }


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and 95 % t-interval of independent values, one a seed.

    >>> interval([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    {'mean': 0.55, 'low': 0.3334, 'high': 0.7666}
    """
    mean = fmean(values)
    half = float(student_t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def spread(part: dict[str, float]) -> str:
    """A mean difference with its interval."""
    return f"{part['mean']:+.3f} ({part['low']:+.3f} to {part['high']:+.3f})"


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows that have the same keys, with a header, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a table that `write_csv` wrote, with whole and decimal numbers as such; none when there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
