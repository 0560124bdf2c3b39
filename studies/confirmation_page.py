"""The page of the registered confirmation: what was registered, that it waits, and what came out."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tsynd.study.markdown import NAMES, signed

VARIABLE = "TSYND_CONFIRMATION"


DECIDED = """\
## How each hypothesis is decided

We subtract the two methods image by image, at the same random seed. Then we average over seeds, and over the data sets, which
count equally. Intervals are 95 % intervals of the crossed bootstrap, as in the [main study](results.md). Each hypothesis has one
*primary measure*, which should rise. It may also have measures of *safety*, which may fall by a margin and not more.

- **Supported** asks for four things. The interval of the primary measure lies above 0. Its p-value is at most 0.05 after Holm's
  correction for all hypotheses. The difference is above 0 on at least two thirds of the data sets. And the interval of each
  measure of safety lies above minus its margin.
- **Refuted** means one of two things. Either the upper end of the primary measure's interval is below 0.01, the smallest
  difference worth having. Or the interval of a measure of safety lies wholly below minus its margin.
- **Undecided** is everything else.
"""


def head(plan: Mapping[str, Any]) -> list[str]:
    """The beginning of the page: what was registered, and when."""
    rows = [
        f"- **{each['name']}.** {each['text']} `{each['arm']}` − `{each['other']}`; primary measure: {NAMES[each['primary']]}"
        + (
            "; safety: " + ", ".join(f"{NAMES[name]} {margin}" for name, margin in each["safety"].items())
            if each["safety"]
            else ""
        )
        for each in plan["hypotheses"]
    ]
    methods = [
        f"- `{name}` is `{each['arm']}`" + (f" with {_settings(each)}" if "changes" in each else "")
        for name, each in plan["arms"].items()
        if each["arm"] != name
    ]
    tiers = "; ".join(f"{each['size']} pixels, {each['per_class']} images" for each in plan["tiers"])
    changed = [f"- **{each['date']}.** {' '.join(each['reason'].split())}" for each in plan["amendments"]]
    changed = ["What was amended since, before the data were seen:", "", *changed] if changed else ["It has not been amended."]
    estimates = [
        f'    "{number}": "an estimate before the runs"' for number in re.findall(r"(\d\.\d) (?:hours )?for the", plan["cut"])
    ]
    return [
        *("---", "tsynd:", "  numbers:", '    "0.05": "a level, chosen and not measured"'),
        *(*estimates, "---"),
        *("# The registered confirmation: a test on data sets that we do not know", ""),
        "Every number elsewhere in this book comes from data sets that we knew when we chose our recipes. This page is for those "
        "that we did not know. "
        f"On {plan['registered']}, before anybody here had seen them, we wrote into `studies/confirmation.yaml` which hypotheses "
        "we would test, how each would be decided, and what would refute it. Such a plan is *registered*: once the data have "
        "been seen, it may not change.",
        *("", *changed, "", "## What is tested", ""),
        "Each hypothesis compares two methods. The page of [results](results.md) defines the measures. A measure of *safety* "
        "says what the method may not lose, and by how much.",
        *("", *rows),
        *("", "[](method.md) explains the methods. These are combinations with settings of their own:", ""),
        *(*methods, ""),
        "A *tier* is one size of image with one number of training images of each class. They are run in this order: "
        f"{tiers}. The first decides, and the others are reported beside it.",
        *("", DECIDED),
        ":::{dropdown} The registered words: how it is decided, what it can see, and what is cut if time is short",
        *("**How it is decided.** " + " ".join(plan["decision"].split()), ""),
        *("**What it can see.** " + " ".join(plan["power"].split()), ""),
        *("**What is cut if time is short.** " + " ".join(plan["cut"].split()), ":::", ""),
    ]


def _settings(arm: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key}: {value}`" for key, value in arm.get("changes", {}).items())


def waiting(plan: Mapping[str, Any]) -> str:
    """The page before the confirmation has been run."""
    command = f"{VARIABLE}=FOLDER python studies/confirmation.py \\\n    --out results/confirmation --jobs 2 --hours 6"
    told = (
        f"There are none yet. The confirmation waits for its data: at least {plan['least_sets']} data sets that we have not "
        "seen. One command runs it, decides it and writes this page:"
    )
    return "\n".join([*head(plan), "## Results", "", told, "", "```bash", command, "```", ""])


def page(plan: Mapping[str, Any], out: Path, verdicts: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> str:
    """The page with what came out."""
    told = yaml.safe_load((out / "sets.json").read_text(encoding="utf-8"))
    parts = [*head(plan), "## Results", ""]
    if len(told["sets"]) < plan["least_sets"]:
        parts += [f"**{len(told['sets'])} data sets took part, and {plan['least_sets']} are needed: nothing is decided.**", ""]
    for name, reason in told["refused"].items():
        parts += [f"`{name}` did not take part: {reason}.", ""]
    for each in told["cut"]:
        parts += [
            f"Tier {each['tier']} was cut: {each['expected_hours']} hours were expected, {each['left_hours']} were left.",
            "",
        ]
    parts += [
        "| hypothesis | verdict | primary difference (95 %) | from components | p (Holm) | data sets ahead |",
        "|:--|:--|:--|:--|--:|--:|",
    ]
    for row in verdicts:
        each = row["difference"]
        cells = (
            ["not measured", ""]
            if each is None
            else [_said(each.found), f"{signed(each.components.low)} to {signed(each.components.high)}"]
        )
        parts.append(
            f"| {row['hypothesis']} | **{row['verdict']}** | {cells[0]} | {cells[1]} | {row['p_holm']:.3f} "
            f"| {row['ahead']} of {len(row['sets'])} |"
        )
    parts += [
        "",
        "## Every difference",
        "",
        "| tier | hypothesis | measure | data set | difference | seeds |",
        "|:--|:--|:--|:--|:--|--:|",
    ]
    for line in lines:
        said = f"{signed(line['mean'])} ({signed(line['low'])} to {signed(line['high'])})"
        parts.append(
            f"| {line['tier']} | {line['hypothesis']} | {NAMES[line['measure']]} | {line['set']} | {said} | {line['seeds']} |"
        )
    return "\n".join([*parts, ""])


def _said(found: Any) -> str:
    return f"{signed(found.mean)} ({signed(found.low)} to {signed(found.high)})"
