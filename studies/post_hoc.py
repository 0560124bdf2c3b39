"""Comparisons of the main study that were asked after its results had been seen: none of them decides a claim.

    python studies/post_hoc.py results/main --out results/post-hoc

`--out` gets `differences.csv`: each difference at each set, and its means over the medical sets and over all sets, with the
interval of the crossed bootstrap and the one from components of variance.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from tsynd.study.comparisons import Answers, Difference, main_sizes
from tsynd.study.records import STUDY, read_yaml
from tsynd.utils.atomic_files import write_text

FEW = (
    ("tsynd", "random", ("accuracy", "auroc")),
    ("trivialaugment", "tsynd", ("auroc", "accuracy", "balanced_accuracy")),
    ("refined", "random", ("pgd_2_255", "pgd_4_255")),
    ("refined", "refined-random", ("pgd_2_255", "pgd_4_255")),
    ("refined", "none", ("pgd_2_255", "pgd_4_255")),
)
ALL = (("guarded+mixup", "mixup", ("auroc",)), ("guarded+mixup", "none", ("auroc",)))


def rows(answers: Answers, sizes: dict[str, str]) -> list[dict[str, Any]]:
    """A row for each difference at each set and in the mean."""
    medical = {data: count for data, count in sizes.items() if not data.startswith("phantom")}
    every = {data: "all" for data in medical if (data, "all") in answers.keys}
    found: list[tuple[str, Difference]] = []
    for pairs, places, means in (
        (FEW, sizes, {"medical sets": medical, "all sets": sizes}),
        (ALL, every, {"medical sets, all images": every}),
    ):
        for arm, other, names in pairs:
            for name in names:
                at = [(data, answers.difference((data, count), arm, other, name)) for data, count in places.items()]
                found += [(data, each[0]) for data, each in at if each is not None]
                over = [(label, answers.mean_difference(arm, other, name, some)) for label, some in means.items()]
                found += [(label, each) for label, each in over if each is not None]
    return [
        {"where": where, "per_class": each.place[1] if where == each.place[0] else "", "arm": each.arm, "other": each.other}
        | {"measure": each.measure, "seeds": each.seeds}
        | {name: round(getattr(each.found, name), 5) for name in ("mean", "low", "high", "p")}
        | {f"components_{name}": round(getattr(each.components, name), 5) for name in ("low", "high", "p")}
        for where, each in found
    ]


def main() -> int:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", type=Path, help="the folder of a study")
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    options = parser.parse_args()
    sizes = main_sizes(read_yaml(options.study / STUDY))
    found = pd.DataFrame(rows(Answers(options.study), sizes))
    write_text(options.out / "differences.csv", found.to_csv(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
