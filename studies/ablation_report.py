"""Which part of targeting does what: paired differences of the arms of the ablation, each differing in one thing.

    python studies/ablation_report.py results/ablation

Writes into the study's folder, from its runs: `parts.csv` with a row a comparison, measure and place, `parts.md` and `parts.svg`
made from it, and `searches.md`: what the searches of each arm did. A study that is unfinished gives what is there.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tsynd.study.comparisons import MEAN, Answers, Difference, main_sizes
from tsynd.study.figures import forest
from tsynd.study.markdown import NAMES, with_interval
from tsynd.study.records import STUDY, read_yaml
from tsynd.study.statistics import holm
from tsynd.study.table import PRIMARIES
from tsynd.utils.atomic_files import write_text
from tsynd.utils.plotting import save

SHOWN = (*PRIMARIES, "nll")
MEASURES = (*SHOWN, "subgroup")


@dataclass(frozen=True)
class Part:
    """A question, and the two arms whose difference answers it."""

    question: str
    arm: str
    other: str


PARTS = (
    Part("Mutual information instead of entropy", "tsynd", "entropy"),
    Part("The same, posterior an ensemble", "tsynd-ensemble", "entropy-ensemble"),
    Part("64 samples of the posterior instead of 8", "tsynd", "tsynd-8"),
    Part("An ensemble instead of dropout", "tsynd-ensemble", "tsynd"),
    Part("Pixel space instead of the latent space", "tsynd-pixel-space", "tsynd"),
    Part("The search in pixel space instead of a random step there", "tsynd-pixel-space", "random-pixel-space"),
    Part("Real images drawn by their uncertainty, none synthesised", "real-uncertain", "real-even"),
    Part("Synthesis instead of drawing real images by their uncertainty", "tsynd", "real-uncertain"),
    Part("Reconstructions instead of real images", "reconstruction", "real-even"),
    Part("The guard as a penalty", "guarded", "tsynd"),
    Part("The guard as a hard bound", "guard-hard", "guarded"),
    Part("Sources drawn evenly from the classes", "sources-balanced", "guarded"),
    Part("Sources drawn by their uncertainty", "sources-uncertain", "guarded"),
    Part("Sources drawn by their loss", "sources-hard", "guarded"),
    Part("Soft labels", "soft-labels", "guarded"),
    Part("An autoencoder of all images, with the search", "autoencoder-all", "guarded"),
    Part("An autoencoder of all images, reconstructions only", "reconstruction-all", "reconstruction"),
    Part("The search, with an autoencoder of all images", "autoencoder-all", "reconstruction-all"),
)

SEARCHED = {
    "mutual_information_before": "MI at the source, nats",
    "mutual_information_after": "MI found, nats",
    "latent_displacement": "latent displacement",
    "pixel_displacement": "displacement in pixels",
    "log_prob_fall": "fall of the label's log-probability, nats",
}


def differences(answers: Answers, sizes: dict[str, str]) -> list[tuple[Part, Difference]]:
    """Every comparison by every measure: at each place, and the mean over sets."""
    found = []
    for part in PARTS:
        for name in MEASURES:
            places = [answers.difference(place, part.arm, part.other, name) for place in answers.places()]
            found += [(part, there[0]) for there in places if there]
            if len(places) > 1 and (mean := answers.mean_difference(part.arm, part.other, name, sizes)):
                found.append((part, mean))
    return found


def rows(found: Sequence[tuple[Part, Difference]]) -> pd.DataFrame:
    """A row a comparison, measure and place; better is above 0, for losses too."""
    names = ("question", "arm", "other", "data", "per_class", "measure", "seeds", "mean", "low", "high", "p")
    return pd.DataFrame(
        [
            (*astuple(part), *each.place, each.measure, each.seeds, *(round(getattr(each.found, name), 5) for name in names[-4:]))
            for part, each in found
        ],
        columns=list(names),
    )


def table(found: pd.DataFrame) -> str:
    """Markdown: a row a comparison, its means over sets; in bold where the interval does not contain 0."""
    lines = [f"| what is changed | {' | '.join(NAMES[name] for name in SHOWN)} |", "|:--|" + "--:|" * len(SHOWN)]
    means = found[(found["data"] == MEAN) & found["measure"].isin(SHOWN)].set_index(["arm", "other", "measure"])
    means["holm"] = means.groupby("measure")["p"].transform(lambda p: holm(p.tolist()))
    for part in PARTS:
        cells = [_cell(means.loc[key]) if (key := (part.arm, part.other, name)) in means.index else "" for name in SHOWN]
        lines.append(f"| {part.question}: `{part.arm}` − `{part.other}` | {' | '.join(cells)} |")
    clear, chance = int(((means["low"] > 0) | (means["high"] < 0)).sum()), 0.05 * len(means)
    told = (
        f"In bold: {clear} of {len(means)} intervals, which do not contain 0. If no change did anything, about {chance:.0f} would"
    )
    also = f"not, by chance alone. †: so, too, after Holm's correction over the {len(PARTS)} rows of the column."
    return "\n".join([*lines, "", told, also, ""])


def _cell(row: Any) -> str:
    mark = "†" if row["holm"] <= 0.05 else ""
    return f"**{with_interval(row)}**{mark}" if row["low"] > 0 or row["high"] < 0 else with_interval(row)


def searches(records: Sequence[dict[str, Any]]) -> str:
    """Markdown: what the searches of an arm found, the mean over sets of the means over seeds."""
    found = pd.DataFrame(
        [
            {"arm": each["arm"], "data": each["data"], **{name: each["metrics"]["synthesis"][name] for name in SEARCHED}}
            for each in records
            if each["status"] == "done" and each["metrics"]["synthesis"]
        ]
    )
    means = found.groupby(["arm", "data"]).mean().groupby("arm").mean()
    lines = [f"| arm | {' | '.join(SEARCHED.values())} |", "|:--|" + "--:|" * len(SEARCHED)]
    for arm in dict.fromkeys(name for part in PARTS for name in (part.arm, part.other)):
        if arm in means.index:
            lines.append(f"| `{arm}` | {' | '.join(f'{value:.3f}' for value in means.loc[arm])} |")
    return "\n".join([*lines, ""])


def picture(found: Sequence[tuple[Part, Difference]]) -> Figure:
    """The primary measures, a panel each: every comparison on every set."""
    return forest([each for _, each in found if each.measure in PRIMARIES and each.place[0] != MEAN])


def main() -> int:
    """Compare, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of the ablation, by `tsynd study run studies/ablation.yaml`")
    folder = parser.parse_args().folder
    answers = Answers(folder)
    found = differences(answers, main_sizes(read_yaml(folder / STUDY)))
    frame = rows(found)
    write_text(folder / "parts.csv", frame.to_csv(index=False))
    write_text(folder / "parts.md", table(frame))
    write_text(folder / "searches.md", searches(answers.records))
    save(picture(found), folder / "parts.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
