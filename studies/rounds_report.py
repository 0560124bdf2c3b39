"""What the two rounds of changing the recipe saw: of each arm the lead over the better of two cheap baselines, on validation.

    python studies/rounds_report.py results/round-2 results/round-1

Writes `leads.md` into the first folder, from the `runs.csv` of both.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from tsynd.study.markdown import NAMES, signed
from tsynd.study.table import PRIMARIES
from tsynd.utils.atomic_files import write_text

BASELINES = ("mixup", "trivialaugment")


def leads(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each arm, a column for each measure: mean over sets and seeds, minus the better baseline's."""
    means = runs.groupby(["arm", "data"])[list(PRIMARIES)].mean().groupby("arm").mean()
    return (means - means.loc[list(BASELINES)].max()).drop(index=list(BASELINES))


def table(found: pd.DataFrame) -> str:
    """Markdown, the arm with the highest least lead first."""
    rows = ["| arm | " + " | ".join(NAMES[name] for name in PRIMARIES) + " | least |", "|:--|" + "--:|" * (len(PRIMARIES) + 1)]
    for arm in found.min(axis=1).sort_values(ascending=False).index:
        values = [*found.loc[arm], found.loc[arm].min()]
        rows.append(f"| `{arm}` | " + " | ".join(map(signed, values)) + " |")
    return "\n".join(rows) + "\n"


def main() -> int:
    """Read both rounds and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of the rounds; the table goes into the first")
    folders = parser.parse_args().folders
    runs = pd.concat(pd.read_csv(folder / "runs.csv") for folder in folders).drop_duplicates("key")
    if (unfinished := runs[runs["status"] != "done"]).size:
        parser.error(f"{len(unfinished)} runs are not done: run the rounds first")
    write_text(folders[0] / "leads.md", table(leads(runs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
