"""How often does the interval of a paired difference hold the true one? Simulated, so that the true one is known.

    python studies/interval_coverage.py --out results/interval-coverage

Two arms with 10 seeds each are tested on the same 156 images. The difference at a seed and an image is the true one, plus an
effect of the seed, plus an effect of the image that all seeds share, plus noise of its own. Five intervals are asked: the
t-interval over seeds, a bootstrap of seeds, a nested bootstrap (images drawn anew for each seed), ours, crossed, and the one
from the components of variance. The ratio is how wide the crossed one is against that from components, by their medians.
`--out` gets `summary.json` and `table.md`.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t  # type: ignore[import-untyped]

from tsynd.study.statistics import Array, crossed, interval, resampled_images, resampled_seeds, two_way
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import versions

TRUE, NOISE = 0.02, 0.5
SEED_EFFECTS = {"none": 0.0, "small": 0.02, "large": 0.1}
IMAGE_EFFECTS = {"none": 0.0, "small": 0.2, "large": 0.5}
KINDS = {
    "t": "t over seeds",
    "seeds": "bootstrap of seeds",
    "nested": "nested bootstrap",
    "crossed": "crossed (ours)",
    "two_way": "components of variance",
}


def main() -> None:
    """Simulate and write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind")
    options = parser.parse_args()
    rows = []
    for (seed_name, seed_effect), (image_name, image_effect) in itertools.product(SEED_EFFECTS.items(), IMAGE_EFFECTS.items()):
        row: dict[str, Any] = {"seed_effect": seed_name, "image_effect": image_name, "noise": NOISE, "images": 156, "seeds": 10}
        rows.append(row | coverage(options.studies, seed_effect, image_effect))
    found = {"true": TRUE, "studies": options.studies, "rows": rows, "versions": versions()}
    write_json(options.out / "summary.json", found)
    write_text(options.out / "table.md", table(rows))


def coverage(
    studies: int,
    seed_effect: float,
    image_effect: float,
    *,
    seeds: int = 10,
    images: int = 156,
    resamples: int = 500,
    start: int = 0,
) -> dict[str, float]:
    """The share of simulated studies whose nominal 95 % interval holds the true difference, for each kind of interval."""
    generator = np.random.default_rng(start)
    labels_N = np.arange(images) % 2
    held = dict.fromkeys(KINDS, 0)
    ratios = []
    for _ in range(studies):
        differences_SN = TRUE + generator.normal(0, NOISE, (seeds, images))
        differences_SN += generator.normal(0, seed_effect, (seeds, 1)) + generator.normal(0, image_effect, (1, images))
        found = intervals(differences_SN, labels_N, generator, resamples)
        for kind, (low, high) in found.items():
            held[kind] += low <= TRUE <= high
        ratios.append((found["crossed"][1] - found["crossed"][0]) / (found["two_way"][1] - found["two_way"][0]))
    return {kind: count / studies for kind, count in held.items()} | {"ratio": float(np.median(ratios))}


def intervals(
    differences_SN: Array, labels_N: Any, generator: np.random.Generator, resamples: int
) -> dict[str, tuple[float, float]]:
    """The intervals of the mean of a table of seeds by images."""
    seeds, images = differences_SN.shape
    means_S = differences_SN.mean(axis=1)
    mean, error = means_S.mean(), means_S.std(ddof=1) / seeds**0.5
    half = float(t.ppf(0.975, seeds - 1)) * error
    counts_RN = resampled_images(labels_N, generator, resamples)
    under_SR = differences_SN @ counts_RN.T / images
    drawn_RS = generator.integers(0, seeds, (resamples, seeds))
    anew_RS = np.empty((resamples, seeds))
    for place in range(seeds):  # in a nested bootstrap each drawn seed draws its own images
        anew_RS[:, place] = under_SR[drawn_RS[:, place], generator.permutation(resamples)]
    components = two_way(means_S, under_SR, images)
    ours = interval(mean, crossed(under_SR, resampled_seeds(seeds, generator, resamples)))
    return {
        "t": (mean - half, mean + half),
        "seeds": tuple(np.quantile(means_S[drawn_RS].mean(axis=1), [0.025, 0.975])),
        "nested": tuple(np.quantile(anew_RS.mean(axis=1), [0.025, 0.975])),
        "crossed": (ours.low, ours.high),
        "two_way": (components.low, components.high),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: the coverage of each interval."""
    lines = [
        f"| effect of the seed | of the image | {' | '.join(KINDS.values())} | ratio |",
        "|:--|:--|" + "--:|" * (len(KINDS) + 1),
    ]
    for row in rows:
        cells = " | ".join(f"{row[kind]:.3f}" for kind in KINDS)
        lines.append(f"| {row['seed_effect']} | {row['image_effect']} | {cells} | {row['ratio']:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
