"""What strong attacks leave of each method: means, and the differences that the claims of studies/strong.yaml ask for.

    python studies/strong_report.py results/strong

Writes `means.md`, `differences.md` and `differences.csv` into the folder, from its runs. An unfinished study gives what is there.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tsynd.metrics.weighted import has, measure
from tsynd.study.comparisons import Answers
from tsynd.study.markdown import NAMES, with_interval
from tsynd.utils.atomic_files import write_text

ATTACKS = ("pgd_2_255", "pgd_4_255", "apgd_4_255", "square_4_255")
MEASURES = ("auroc", "balanced_accuracy", "augmented", *ATTACKS, *(f"balanced_{name}" for name in ATTACKS))
SHORT = {"pneumoniamnist": "chest", "breastmnist": "breast"}
MEANS = ("auroc", "balanced_accuracy", *ATTACKS)
PAIRS = (
    ("tsynd", "none"), ("tsynd", "random"), ("tsynd", "sham"),
    ("recommended", "mixup+trivialaugment"),
    ("recommended+unlabelled", "mixup+trivialaugment"), ("recommended+unlabelled", "recommended"),
    ("recommended", "mixup+pgd"), ("recommended+unlabelled", "mixup+pgd"),
)  # fmt: skip


def means(answers: Answers) -> pd.DataFrame:
    """A row a set and method: how many seeds, and the means over them."""
    rows = []
    for place in answers.places():
        for arm, keys in answers.keys[place].items():
            runs = [answers.arrays(key) for key in keys.values()]
            found = {
                name: np.mean([measure(name, run)[0] for run in runs]) for name in MEANS if all(has(name, run) for run in runs)
            }
            rows.append({"data": place[0], "method": arm, "seeds": len(runs)} | found)
    return pd.DataFrame(rows).sort_values(["data", "pgd_2_255"])


def differences(answers: Answers) -> pd.DataFrame:
    """A row a set, pair and measure, by the crossed bootstrap; the mean over sets, if there are several."""
    sizes, rows = dict(answers.places()), []
    for arm, other in PAIRS:
        for name in MEASURES:
            found = [there[0] for place in answers.places() if (there := answers.difference(place, arm, other, name))]
            if len(found) > 1 and (mean := answers.mean_difference(arm, other, name, sizes)):
                found.append(mean)
            rows += [(each.place[0], arm, other, name, each.seeds, *_numbers(each.found)) for each in found]
    return pd.DataFrame(rows, columns=["data", "arm", "other", "measure", "seeds", "mean", "low", "high", "p"])


def _numbers(found: object) -> list[float]:
    return [round(getattr(found, name), 5) for name in ("mean", "low", "high", "p")]


def table_of_means(found: pd.DataFrame) -> str:
    """Markdown: a row a set and method."""
    lines = [f"| data | method | {' | '.join(NAMES[name] for name in MEANS)} |", "|:--|:--|" + "--:|" * len(MEANS)]
    for row in found.to_dict("records"):
        cells = " | ".join("" if pd.isna(row[name]) else f"{row[name]:.3f}" for name in MEANS)
        lines.append(f"| {SHORT[row['data']]} | `{row['method']}` | {cells} |")
    return "\n".join(lines) + "\n"


def table_of_differences(found: pd.DataFrame) -> str:
    """Markdown: a row a set, pair and measure; under attack accuracy, and balanced accuracy beside it."""
    lines = ["| data | methods | measure | difference | in bal. acc. |", "|:--|:--|:--|:--|:--|"]
    for (data, arm, other), rows in found.groupby(["data", "arm", "other"], sort=False):
        by_name = {row["measure"]: row for row in rows.to_dict("records")}
        for name in MEASURES[: -len(ATTACKS)]:
            if name in by_name:
                cells = [with_interval(by_name[each]) if each in by_name else "" for each in (name, f"balanced_{name}")]
                lines.append(f"| {SHORT.get(data, data)} | `{arm}` − `{other}` | {NAMES[name]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the tables of the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the study (--out of `tsynd study run`)")
    folder = parser.parse_args().folder
    answers = Answers(folder)
    found = differences(answers)
    write_text(folder / "differences.csv", found.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "differences.md", table_of_differences(found))
    write_text(folder / "means.md", table_of_means(means(answers)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
