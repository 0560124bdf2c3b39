"""The book's page of results, from the report of the main study: `tsynd study report results/main` comes first."""

import csv
from collections.abc import Sequence
from pathlib import Path

from tsynd.study import read_study
from tsynd.study.comparisons import MEAN
from tsynd.study.markdown import COST, NAMES, checked, number, signed, with_interval

Row = dict[str, str]
MEASURES = ("auroc", "augmented", "corrupted", "pgd_2_255", "pgd_4_255", "nll", "seconds", "cost")
SETS = {"breastmnist": "BreastMNIST", "pneumoniamnist": "PneumoniaMNIST", "retinamnist": "RetinaMNIST", "phantom": "phantoms"}


def results_page(root: Path) -> str:
    """The page, whatever part of the study is there; it says how much that is."""
    folder = root / "results" / "main"
    claims, differences, means = (_rows(folder / "report" / f"{name}.csv") for name in ("claims", "differences", "means"))
    done = {row["key"] for row in _rows(folder / "runs.csv") if row["status"] == "done"}
    study = read_study(root / "studies" / "main.yaml")
    deciding = [run.key for run in study.runs_of(study.tiers[0])]
    others = [run.key for run in study.runs() if run.key not in set(deciding)]
    missing = {run.arm for run in study.runs_of(study.tiers[0]) if run.key not in done}
    unfinished = {claim.name for claim in study.claims if missing & {claim.arm, *claim.others}}
    stand = _stand(done, deciding, others)
    verdicts = {row["claim"]: row["verdict"] for row in claims}
    parts = [
        "# Results",
        "",
        "Does training on targeted images help? This page is generated from the runs of one study. Its arms, primary measures",
        "and rule of decision were written into `studies/main.yaml` before the first run",
        "([how to read it](../notebooks/07_study.ipynb)); the list of claims below when the first 195 runs were in. " + stand,
        "",
        "Differences are paired by seed, mean over these four sets; better is above 0, for losses too. In brackets: 95 %",
        "intervals over seeds and test images, crossed; in simulations such intervals erred on the wide side",
        "([how much](choices.md)). BreastMNIST, PneumoniaMNIST and RetinaMNIST are development sets: their figures are",
        "optimistic.",
        "",
        "The refined recipe (`refined`) was thought of when the test figures of the first one were known. Its options were",
        "chosen on validation splits with other seeds, and it and its claims were written down before its runs. But seeds, sets",
        "and test images here are those whose figures led to it. So its verdicts explore, and do not confirm.",
        "",
        "| claim | verdict |",
        "|:--|:--|",
        *(
            f"| {claim.text} | {_verdict(verdicts[claim.name], claim.name in unfinished)} |"
            for claim in study.claims
            if claim.name in verdicts
        ),
        "| High mutual information marks what is missing | [on phantoms it does not](phantoms.md) |",
        "| The classifier looks at more meaningful regions | {ref}`on phantoms it does not <attribution>` |",
        "",
        "*Supported*: the interval of the difference lies above 0 in all comparisons that decide. *Not supported*: its upper end",
        "is below .01 in one of them. Else *undecided*: these seeds do not tell. Two things differ by claim. Where an arm is to",
        "be as good as another, or to replace it, the interval is asked to lie above −.01 in place of 0. Where three measures",
        "decide together, a difference must pass Holm's correction too: an interval just above 0 can be undecided.",
        "",
        "## Claims, one by one",
        "",
        "The last column has the difference on each set, in bold where its own interval does not contain 0.",
    ]
    for claim in study.claims:
        if claim.name in verdicts:
            lines = [row for row in differences if row["claim"] == claim.name and row["data"] == MEAN]
            places = {(data, str(count or "all")) for data, count in study.tiers[0].sets}
            sets = [row for row in differences if row["claim"] == claim.name and (row["data"], row["per_class"]) in places]
            said = _verdict(verdicts[claim.name], claim.name in unfinished)
            parts += [
                "",
                f"### {claim.text}: {said}",
                "",
                *_claim(claim.arm, lines, claim.measures if claim.every else claim.measures[:1], sets),
            ]
    parts += [
        *("", "## Can the robustness be believed?", ""),
        "`tsynd` and its controls were attacked by PGD with 20 steps only. Stronger attacks were run on the arms below.",
        "",
        *checked(_rows(folder / "report" / "checks.csv")),
        *("## Set by set", ""),
        "```{figure} ../results/main/report/forest.svg",
        ":alt: Differences of every arm to none with intervals, a panel for AUROC, augmentation and PGD, a point for each set",
        ":width: 100%",
        "",
        "Every arm minus `none`, a point for each set, with intervals. Above 0 is better.",
        "```",
        "",
        "```{figure} ../results/main/report/pareto.svg",
        ":alt: Clean AUROC against accuracy under attack for every arm, a panel for each set; larger markers trained longer",
        ":width: 100%",
        "",
        "Clean against robust; the larger a marker, the longer the training. The dotted line joins the arms that no other beats",
        "in both.",
        "```",
    ]
    for place in dict.fromkeys((row["data"], row["per_class"]) for row in means):
        name = SETS[place[0].partition(":")[0]]
        parts += [
            "",
            f"### {name}, {place[1]} per class",
            "",
            *_means([row for row in means if (row["data"], row["per_class"]) == place]),
        ]
    parts += [
        "",
        f"Means over seeds. {COST} Measured on an idle machine: [what it costs](engine.md).",
        "All numbers, also of single runs and sets, are in `results/main`.",
        "",
    ]
    return "\n".join(parts)


def _stand(done: set[str], deciding: Sequence[str], others: Sequence[str]) -> str:
    """How much of the study is there."""
    decided, more = (sum(key in done for key in keys) for keys in (deciding, others))
    if decided < len(deciding):
        some = f"{decided} of the {len(deciding)} runs that decide are done"
        return f"**The study is running: {some}.** Until then verdicts that need the others are *so far*, and may change."
    told = f"All {decided} runs that decide are done: every arm at ten seeds, with few images."
    return told if more == len(others) else f"{told} Of the {len(others)} with more images, {more} are: these decide nothing."


def _verdict(verdict: str, unfinished: bool) -> str:
    return f"so far {verdict}" if unfinished else verdict


def _claim(arm: str, lines: Sequence[Row], deciding: Sequence[str], sets: Sequence[Row]) -> list[str]:
    """A row for each comparison, with the difference on each set; in bold where the interval there does not contain 0."""
    rows = [f"| `{arm}` minus | measure | difference | | set by set |", "|:--|:--|:--|:--|:--|"]
    for row in lines:
        decides = row["verdict"] if row["measure"] in deciding else ""
        there = [each for each in sets if (each["other"], each["measure"]) == (row["other"], row["measure"])]
        by_set = ", ".join(f"{SETS[each['data'].partition(':')[0]]} {_bold(each)}" for each in there)
        rows.append(f"| `{row['other']}` | {NAMES[row['measure']]} | {with_interval(row)} | {decides} | {by_set} |")
    return rows


def _bold(row: Row) -> str:
    """A difference, in bold where its interval does not contain 0."""
    text = signed(row["mean"])
    return f"**{text}**" if float(row["low"]) > 0 or float(row["high"]) < 0 else text


def _means(means: Sequence[Row]) -> list[str]:
    rows = [f"| arm | seeds | {' | '.join(NAMES[name] for name in MEASURES)} |", "|:--|--:|" + "--:|" * len(MEASURES)]
    for row in means:
        cells = [number(name, row[name]) for name in MEASURES]
        rows.append(f"| {row['arm']} | {row['seeds']} | {' | '.join(cells)} |")
    return rows


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
