"""The report of a study in words: Markdown, from its lines."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tsynd.metrics.weighted import BALANCED

SHOWN = (
    *("auroc", "balanced_accuracy", "augmented", "corrupted", "pgd_2_255", "pgd_4_255", "nll", "ece"),
    *("subgroup", "seconds", "cost"),
)
DIGITS = {"seconds": 1, "cost": 2}
NAMES = {name: name for name in ("accuracy", "augmented", "corrupted", "subgroup", "seconds", "cost")}
NAMES |= {"augmented_inside": "augmented inside", "balanced_accuracy": "bal. acc.", "auroc": "AUROC", "nll": "NLL", "ece": "ECE"}
NAMES |= {"pgd_2_255": "PGD 2/255", "pgd_4_255": "PGD 4/255", "apgd_4_255": "APGD 4/255", "square_4_255": "random search 4/255"}
NAMES |= {balanced: f"bal. acc. {NAMES[name]}" for balanced, name in BALANCED.items()}
ALSO = "`differences.csv` also has those from components of variance."
COST = (
    "Seconds are the median over seeds, by the machine's clock, of warm-up, searches and training; cost is the median of their "
    "ratio to `none` at the same seed. On a shared machine both are rough."
)
Line = Mapping[str, Any]


def said(line: Line) -> str:
    """A difference with its interval: `AUROC against none +0.010 (-0.020 to +0.040)`."""
    return f"{NAMES[line['measure']]} against {line['other']} {with_interval(line)}"


def markdown(
    study: Mapping[str, Any],
    records: Sequence[Line],
    claims: Sequence[Line],
    lines: Sequence[Line],
    means: Sequence[Line],
    checks: Sequence[Line],
) -> str:
    """The whole report: of the resolved study, the records of all runs that were tried, and the rows of the four tables."""
    counts = Counter(record["status"] for record in records)
    machines = sorted({record["cpu"] for record in records if record.get("cpu")})
    told = f"{counts['done']} runs are done, {counts['failed']} failed, {counts['missing']} lack their data."
    undone = [f"- {_place(each)}, seed {each['seed']}, {each['arm']}: {each['error']}" for each in records if each["error"]]
    decision = f"How claims are decided, written before the runs: {' '.join(str(study['decision']).split())}"
    parts = [
        *(f"# Study {study['name']}", "", " ".join(str(study["question"]).split()), ""),
        *("## What was run", "", f"{told} On: {'; '.join(machines)}.", "", *undone, "", decision, ""),
        *(("## Claims", "", "| claim | verdict | |", "|:--|:--|:--|") if claims else ()),
        *(f"| {each['text']} | **{each['verdict']}** | {each['sentence'].partition('. ')[2]} |" for each in claims),
        *(f"| {text} | | {where} |" for text, where in study.get("elsewhere", {}).items()),
        *("", f"Better is above 0, for losses too. In brackets: 95 % intervals over seeds and test images, crossed. {ALSO}", ""),
        *("![Differences to none](forest.svg)", "", "![Clean, robust and cost](pareto.svg)", ""),
        *checked(checks),
        *(["## Differences, set by set"] if lines else []),
    ]
    for claim in dict.fromkeys(line["claim"] for line in lines):
        parts += ["", f"### {claim}", "", *_differences([line for line in lines if line["claim"] == claim])]
    parts += ["", "## Means over seeds"]
    for place in dict.fromkeys(map(_place, means)):
        parts += ["", f"### {place}", "", *_means([each for each in means if _place(each) == place])]
    last = f"Lower is better for NLL, ECE, seconds and cost. {COST}"
    return "\n".join([*parts, "", last, ""])


def checked(checks: Sequence[Line]) -> list[str]:
    """What the checks of attacks found, arm by arm: lines, or none where nothing was attacked strongly."""
    if not checks:
        return []
    rows = [f"| `{each['arm']}` | {each['runs']} | {each['failed']} | {each['which']} |" for each in checks]
    told = "Checks for masked gradients and weak attacks, in the runs that were attacked strongly:"
    return [told, "", "| arm | runs | of these failed | which |", "|:--|--:|--:|:--|", *rows, ""]


def number(name: str, value: float | str) -> str:
    """A mean as tables show it; nothing where it was not measured."""
    return "" if value == "" else f"{float(value):.{DIGITS.get(name, 3)}f}"


def _differences(lines: Sequence[Line]) -> list[str]:
    rows = ["| set | per class | seeds | comparison | difference | p (Holm) | |", "|:--|:--|--:|:--|:--|:--|:--|"]
    for line in lines:
        comparison = f"{line['arm']} − {line['other']}, {NAMES[line['measure']]}"
        p = f"{line['p']:.3f}" if line["p"] != "" else ""
        p += f" ({line['p_holm']:.3f})" if line["p_holm"] != "" else ""
        cells = line["data"], line["per_class"], str(line["seeds"]), comparison, with_interval(line), p, line["verdict"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _means(means: Sequence[Line]) -> list[str]:
    columns = [name for name in SHOWN if any(each[name] != "" for each in means)]
    rows = [f"| arm | seeds | {' | '.join(NAMES[name] for name in columns)} |", "|:--|--:|" + "--:|" * len(columns)]
    for each in means:
        cells = [number(name, each[name]) for name in columns]
        rows.append(f"| {each['arm']} | {each['seeds']} | {' | '.join(cells)} |")
    return rows


def signed(value: float | str) -> str:
    """A difference with its sign.

    >>> signed("-0.0304")
    '−0.030'
    """
    return f"{float(value):+.3f}".replace("-", "−")


def with_interval(line: Line) -> str:
    """A mean difference and its interval, from numbers or as a table holds them."""
    return f"{signed(line['mean'])} ({signed(line['low'])} to {signed(line['high'])})"


def _place(each: Line) -> str:
    return f"{each['data']}, {each['per_class']} per class"
