"""What the third round chose, by the rule in studies/round-3.yaml, and what fresh seeds say of it (round-3-confirm.yaml).

    python studies/round_3_report.py results/round-3
    python studies/round_3_report.py results/round-3-confirm

Writes `choice.json`, `choice.md` and `sets.md` into the folder, from its `runs.csv`: the means of each setting, which
candidates keep to the margins, what is chosen, paired differences with a t-interval over the seeds, and the means on each set.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from shared import interval, spread

from tsynd.study.markdown import NAMES
from tsynd.utils.atomic_files import write_json, write_text

PGD = "pgd_2_255"
MEASURES = ("auroc", "balanced_accuracy", "augmented", PGD, "nll", "seconds")
ALIKE = 0.005  # under PGD, of images without labels: then the setting without a search, and of two the cheaper one
BASELINE = "mixup+trivialaugment"
LABELLED: dict[str, Any] = {
    "candidates": (BASELINE, "refined", "refined-residual"),
    "reference": (BASELINE,),
    "margins": {"auroc": 0.01, "balanced_accuracy": 0.01, "augmented": 0.02},
}
UNLABELLED: dict[str, Any] = {
    "candidates": ("consistency", "aligned", "aligned-tsynd", "aligned-random", "lvat", "consistency-tsynd"),
    "reference": ("consistency", "aligned"),
    "margins": {"auroc": 0.01, "balanced_accuracy": 0.01},
}
SEARCHES = ("aligned-tsynd", "aligned-random", "lvat", "consistency-tsynd")
CONTROL = "consistency-random"  # of the fresh seeds, and no candidate
PAIRS = (
    ("refined", BASELINE), ("refined-residual", BASELINE), ("refined-residual", "refined"), ("consistency", BASELINE),
    ("aligned", "consistency"), ("aligned-tsynd", "aligned"), ("aligned-tsynd", "aligned-random"), ("lvat", "aligned"),
    ("consistency-tsynd", "consistency"), ("consistency-tsynd", CONTROL),
)  # fmt: skip


def complete(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the seeds for which every arm is done on every set."""
    done = runs[runs["status"] == "done"]
    cells = done.groupby("seed")[["arm", "data"]].apply(lambda part: len(part.drop_duplicates()))
    whole = done["arm"].nunique() * done["data"].nunique()
    return done[done["seed"].isin(cells[cells == whole].index)]


def choose(means: pd.DataFrame, candidates: Sequence[str], reference: Sequence[str], margins: dict[str, float]) -> dict[str, Any]:
    """The setting chosen among the candidates, and those that keep to the margins below the best reference of each measure."""
    candidates, reference = ([arm for arm in arms if arm in means.index] for arms in (candidates, reference))
    unlabelled = BASELINE not in candidates
    floors = {name: means.loc[reference, name].max() - margin for name, margin in margins.items()}
    kept = [arm for arm in candidates if all(means.loc[arm, name] >= floor for name, floor in floors.items())]
    best = max(kept, key=lambda arm: means.loc[arm, PGD])
    if unlabelled:
        close = [arm for arm in kept if means.loc[best, PGD] - means.loc[arm, PGD] <= ALIKE]
        best = min([arm for arm in close if arm not in SEARCHES] or close, key=lambda arm: means.loc[arm, "seconds"])
    return {"kept": kept, "chosen": best}


def differences(runs: pd.DataFrame, arm: str, other: str) -> dict[str, dict[str, float]]:
    """The paired difference of two settings in each measure: mean over the sets, then an interval over the seeds."""
    means = runs.groupby(["seed", "arm"])[list(MEASURES[:4])].mean()
    paired = means.xs(arm, level="arm") - means.xs(other, level="arm")
    return {name: interval(list(paired[name])) for name in paired}


def by_set(runs: pd.DataFrame, order: Sequence[str]) -> str:
    """Markdown: the means of each setting on each set."""
    means = runs.groupby(["data", "arm"])[list(MEASURES[:-1])].mean()
    rows = [
        "| data | setting | " + " | ".join(NAMES[name] for name in MEASURES[:-1]) + " |",
        "|:--|:--|" + "--:|" * (len(MEASURES) - 1),
    ]
    for data in sorted(runs["data"].unique()):
        for arm in order:
            cells = [f"{means.loc[(data, arm), name]:.3f}" for name in MEASURES[:-1]]
            rows.append(f"| {data} | `{arm}` | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def table(means: pd.DataFrame, found: dict[str, Any]) -> str:
    """Markdown: a row a setting, the chosen ones in bold."""
    chosen = {found["labelled"]["chosen"], found["unlabelled"]["chosen"]}
    kept = {*found["labelled"]["kept"], *found["unlabelled"]["kept"]}
    rows = [
        "| setting | " + " | ".join(NAMES[name] for name in MEASURES[:-1]) + " | seconds | keeps to the margins |",
        "|:--|" + "--:|" * len(MEASURES) + ":--|",
    ]
    for arm in means.index:
        name = f"**`{arm}`**" if arm in chosen else f"`{arm}`"
        values = [*(f"{means.loc[arm, each]:.3f}" for each in MEASURES[:-1]), f"{means.loc[arm, 'seconds']:.0f}"]
        rows.append(
            f"| {name} | " + " | ".join(values) + f" | {'control' if arm == CONTROL else 'yes' if arm in kept else 'no'} |"
        )
    rows += ["", "| comparison | " + " | ".join(NAMES[name] for name in MEASURES[:4]) + " |", "|:--|" + "--:|" * 4]
    for name, parts in found["differences"].items():
        rows.append(f"| {name} | " + " | ".join(spread(part) for part in parts.values()) + " |")
    return "\n".join(rows) + "\n"


def report(runs: pd.DataFrame) -> tuple[dict[str, Any], str, str]:
    """What the runs say, as numbers, as the table of the settings, and as that of each set."""
    runs = complete(runs)
    means = runs.groupby(["arm", "data"])[list(MEASURES)].mean().groupby("arm").mean()
    order = dict.fromkeys((*LABELLED["candidates"], *UNLABELLED["candidates"], CONTROL))
    means = means.loc[[arm for arm in order if arm in means.index]]
    found: dict[str, Any] = {
        "sets": sorted(runs["data"].unique()),
        "seeds": sorted(map(int, runs["seed"].unique())),
        "means": json.loads(means.round(4).to_json(orient="index")),
        "labelled": choose(means, **LABELLED),
        "unlabelled": choose(means, **UNLABELLED),
    }
    pairs = [pair for pair in PAIRS if {*pair} <= {*means.index}]
    found["differences"] = {f"`{arm}` − `{other}`": differences(runs, arm, other) for arm, other in pairs}
    return found, table(means, found), by_set(runs, list(means.index))


def main() -> int:
    """Read the round and write what it chose."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of the round")
    folder = parser.parse_args().folder
    found, choice, sets = report(pd.read_csv(folder / "runs.csv"))
    write_json(folder / "choice.json", found)
    write_text(folder / "choice.md", choice)
    write_text(folder / "sets.md", sets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
