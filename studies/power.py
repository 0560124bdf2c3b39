"""What decides how small a difference a study can see: its seeds, or its test images? And what would another design see?

    python studies/power.py results/main --out results/power

For pairs of arms of a study that has been run, the variance of a paired difference is divided into the effect of the seed, the
effect of the image, which all seeds share, and what seed and image have jointly (`tsynd.study.statistics.two_way`). From these
follow
the variance
with twice the seeds, or with twice the images; how wide the crossed bootstrap is against the interval from components; and
the smallest difference that another design would find in eight of ten cases. `--out` gets `summary.json`, `components.csv` and
`table.md`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm  # type: ignore[import-untyped]

from tsynd.study.comparisons import Answers, Place, main_sizes
from tsynd.study.markdown import NAMES
from tsynd.study.records import STUDY, read_yaml
from tsynd.study.statistics import two_way
from tsynd.utils.atomic_files import write_json, write_text

PAIRS = (("tsynd", "none"), ("tsynd", "random"), ("guarded+mixup", "mixup"), ("refined", "mixup+trivialaugment"))
MEASURES = ("auroc", "balanced_accuracy", "augmented", "pgd_2_255")
SEEDS, IMAGES, SETS = 10, 1000, 6  # of the design whose power is asked for: that of the confirmation
POWER = 0.8


def components(answers: Answers, place: Place, arm: str, other: str, name: str) -> dict[str, Any] | None:
    """The components of the variance of one difference; variances of a mean over one seed and the study's own images."""
    found = answers.difference(place, arm, other, name)
    if found is None:
        return None
    ours, theirs = answers.keys[place][arm], answers.keys[place][other]
    pairs = [
        (answers.measured(place, ours[seed], name), answers.measured(place, theirs[seed], name))
        for seed in sorted(ours.keys() & theirs.keys())
    ]
    means_S = np.array([a[0] - b[0] for a, b in pairs])
    under_SR = np.stack([a[1] - b[1] for a, b in pairs])
    images = len(answers.arrays(next(iter(ours.values())))["labels"])
    covariance_SS, seeds = np.cov(under_SR), len(means_S)
    shared = max(0.0, float(covariance_SS.sum() - np.trace(covariance_SS)) / (seeds * (seeds - 1)))
    scatter = float(np.var(means_S, ddof=1))
    joint = min(scatter, max(0.0, float(np.trace(covariance_SS)) / seeds - shared))
    variance = scatter / seeds + shared
    ours_wide = two_way(means_S, under_SR, images)
    crossed = found[0].found
    where = {
        "data": place[0],
        "per_class": place[1],
        "arm": arm,
        "other": other,
        "measure": name,
        "seeds": seeds,
        "images": images,
    }
    parts = {"seed": scatter - joint, "joint": joint, "image": shared}
    return (
        where
        | parts
        | {
            "twice_the_seeds": (scatter / (2 * seeds) + shared) / variance,
            "twice_the_images": ((scatter - joint) / seeds + joint / (2 * seeds) + shared / 2) / variance,
            "width_ratio": (crossed.high - crossed.low) / (ours_wide.high - ours_wide.low),
        }
    )


def detectable(row: Any, seeds: int = SEEDS, images: int = IMAGES, sets: int = SETS) -> float:
    """The smallest difference, mean over so many sets like this one, that is found in eight of ten cases at the 5 % level."""
    more = row["images"] / images
    variance = (row["seed"] / seeds + row["joint"] * more / seeds + row["image"] * more) / sets
    return float((norm.ppf(0.975) + norm.ppf(POWER)) * np.sqrt(variance))


def table(rows: pd.DataFrame) -> str:
    """Markdown: a row for each measure, medians over sets and pairs."""
    lines = [
        "| measure | variance left with twice the seeds | with twice the images | crossed / components | detectable |",
        "|:--|--:|--:|--:|--:|",
    ]
    columns = ("twice_the_seeds", "twice_the_images", "width_ratio", "detectable")
    for name in MEASURES:
        of = rows[rows["measure"] == name]
        cells = [f"{of[column].mean():.2f}" for column in columns[:3]] + [f"{of['detectable'].median():.3f}"]
        lines.append(f"| {NAMES[name]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Divide the variances and write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", type=Path, help="the folder of a study")
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    options = parser.parse_args()
    answers = Answers(options.study)
    sizes = main_sizes(read_yaml(options.study / STUDY))
    found = [components(answers, place, *pair, name) for place in sizes.items() for pair in PAIRS for name in MEASURES]
    rows = pd.DataFrame([each for each in found if each is not None])
    rows["detectable"] = [detectable(row) for _, row in rows.iterrows()]
    columns = ["twice_the_seeds", "twice_the_images", "width_ratio"]
    summary = {
        "study": options.study.name,
        "means": rows[columns].mean().round(4).to_dict(),
        "by_set": {data: part[columns].mean().round(4).to_dict() for data, part in rows.groupby("data")},
        "design": {"seeds": SEEDS, "images": IMAGES, "sets": SETS, "power": POWER},
        "detectable": rows.groupby("measure")["detectable"].median().round(4).to_dict(),
    }
    write_json(options.out / "summary.json", summary)
    write_text(options.out / "components.csv", rows.round(8).to_csv(index=False))
    write_text(options.out / "table.md", table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
