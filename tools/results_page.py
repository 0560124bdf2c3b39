"""The book's page of results, from the report of the main study: `tsynd study report results/main` comes first."""

import csv
from collections.abc import Sequence
from pathlib import Path

from tsynd.study import read_study
from tsynd.study.claims import Claim
from tsynd.study.comparisons import MEAN
from tsynd.study.markdown import NAMES, checked, number, signed, with_interval
from tsynd.study.plan import Planned

Row = dict[str, str]
Run = tuple[str, ...]  # data, images of each class, arm and seed
TEMPLATE = Path(__file__).resolve().parent / "results.md"  # the words of the page
MEASURES = ("auroc", "augmented", "pgd_2_255", "nll", "cost")
SETS = {"breastmnist": "BreastMNIST", "pneumoniamnist": "PneumoniaMNIST", "retinamnist": "RetinaMNIST", "phantom": "phantoms"}
SHORT = {"breastmnist": "breast", "phantom": "phantom", "pneumoniamnist": "chest", "retinamnist": "retina"}
# What each claim says in the words of this page, with the names of the methods in it.
PLAIN = {
    "accuracy": "Targeting improves the ranking of clean images when there are few of them (`tsynd`)",
    "augmentation": "Targeting makes a classifier more robust against random changes of the test image (`tsynd`)",
    "attacks": "Targeting makes a classifier harder to attack (`tsynd`)",
    "ceiling": "Targeting is as robust against attacks as adversarial training (`tsynd` against `pgd`)",
    "objective": "Mutual information is a better target than entropy (`tsynd` against `entropy`)",
    "gaps": "Targeting fills gaps in the training set (`tsynd`, on a subgroup withheld from training)",
    "recipe": "Our first recipe is worth recommending (`guarded+mixup`)",
    "direction": "What helps in that recipe is the direction of the search (`guarded+mixup`)",
    "refined": "Our refined recipe is worth recommending (`refined`)",
    "refined direction": "What helps in the refined recipe is the targeted images (`refined`)",
    "adversarial": "Targeting with one gradient step in pixels can replace adversarial training (`guarded+mixup+pixel`)",
}


def results_page(root: Path) -> str:
    """Return the page, whatever part of the study is there; it says how much that is."""
    folder = root / "results" / "main"
    claims, differences, means = (_rows(folder / "report" / f"{name}.csv") for name in ("claims", "differences", "means"))
    # By what a run is, and not by its key: the records are of an older version of the method, and keep their keys.
    rows = _rows(folder / "runs.csv")
    done = {tuple(row[name] for name in ("data", "per_class", "arm", "seed")) for row in rows if row["status"] == "done"}
    study = read_study(root / "studies" / "main.yaml")
    deciding = list(map(_what, study.runs_of(study.tiers[0])))
    others = [run for run in map(_what, study.runs()) if run not in set(deciding)]
    missing = {run[2] for run in deciding if run not in done}
    verdicts = {row["claim"]: row["verdict"] for row in claims}
    told = [claim for claim in study.claims if claim.name in verdicts]
    said = {each.name: f"{'so far ' if missing & {each.arm, *each.others} else ''}{verdicts[each.name]}" for each in told}
    places = {(data, str(count or "all")) for data, count in study.tiers[0].sets}
    verdict_rows = [f"| {PLAIN.get(claim.name, claim.text)} | **{said[claim.name]}** |" for claim in told]
    elsewhere = [
        "| High mutual information marks what is missing from training | **not supported**, [on phantoms](phantoms.md) |",
        "| The classifier looks at more meaningful regions | **not supported**, {ref}`on phantoms <attribution>` |",
    ]
    each: list[str] = []
    for claim in told:
        of_claim = [row for row in differences if row["claim"] == claim.name]
        mean = [row for row in of_claim if row["data"] == MEAN]
        each += _claim(claim, said[claim.name], mean, [row for row in of_claim if (row["data"], row["per_class"]) in places])
    tables: list[str] = []
    for place in dict.fromkeys((row["data"], row["per_class"]) for row in means):
        name = SETS[place[0].partition(":")[0]]
        amount = "all training images" if place[1] == "all" else f"{place[1]} training images of each class"
        table = _means([row for row in means if (row["data"], row["per_class"]) == place])
        tables += ["", f":::{{dropdown}} {name}, {amount}", "", *table, ":::"]
    filled = {
        "stand": _stand(done, deciding, others),
        "verdicts": "\n".join(["| claim | verdict |", "|:--|:--|", *verdict_rows, *elsewhere]),
        "claims": "\n".join(each).strip(),
        "checks": "\n".join(checked(_rows(folder / "report" / "checks.csv"))[2:])
        .strip()
        .replace("| arm | runs | of these failed |", "| method | runs | runs with a failed check |"),
        "means": "\n".join(tables).strip(),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    for key, value in filled.items():
        page = page.replace(f"{{{{{key}}}}}", value)
    return page


def _what(planned: Planned) -> Run:
    config = planned.config
    return config.data, str(config.per_class or "all"), planned.arm, str(config.seed)


def _stand(done: set[Run], deciding: Sequence[Run], others: Sequence[Run]) -> str:
    """How much of the study is there."""
    decided, more = (sum(key in done for key in keys) for keys in (deciding, others))
    if decided < len(deciding):
        some = f"{decided} of the {len(deciding)} runs that decide are done"
        return f"**The study is running: {some}.** Until then verdicts that need the others are *so far*, and may change."
    told = f"All {decided} runs that decide are done."
    return told if more == len(others) else f"{told} Of the {len(others)} with more images, {more} are: these decide nothing."


def _claim(claim: Claim, said: str, lines: Sequence[Row], sets: Sequence[Row]) -> list[str]:
    """A folded part: the differences in the mean over the data sets, then on each of them."""
    deciding = claim.measures if claim.every else claim.measures[:1]
    known = [name for name in SHORT if any(row["data"].partition(":")[0] == name for row in sets)]
    mean = [f"| `{claim.arm}` minus | measure | difference | verdict |", "|:--|:--|:--|:--|"]
    each = [f"| `{claim.arm}` minus | measure | {' | '.join(SHORT[name] for name in known)} |", "|:--|:--|" + "--:|" * len(known)]
    for row in lines:
        verdict = row["verdict"] if row["measure"] in deciding else ""
        mean.append(f"| `{row['other']}` | {NAMES[row['measure']]} | {with_interval(row)} | {verdict} |")
        there = {
            one["data"].partition(":")[0]: _bold(one)
            for one in sets
            if (one["other"], one["measure"]) == (row["other"], row["measure"])
        }
        each.append(f"| `{row['other']}` | {NAMES[row['measure']]} | {' | '.join(there.get(name, '') for name in known)} |")
    title = PLAIN.get(claim.name, claim.text).replace("`", "")
    return ["", f":::{{dropdown}} {title}: {said}", "", *mean, "", *each, ":::"]


def _bold(row: Row) -> str:
    """A difference, in bold where its interval does not contain 0."""
    text = signed(row["mean"])
    return f"**{text}**" if float(row["low"]) > 0 or float(row["high"]) < 0 else text


def _means(means: Sequence[Row]) -> list[str]:
    rows = [f"| method | {' | '.join(NAMES[name] for name in MEASURES)} |", "|:--|" + "--:|" * len(MEASURES)]
    return [*rows, *(f"| {row['arm']} | {' | '.join(number(name, row[name]) for name in MEASURES)} |" for row in means)]


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
