"""The book's page of results, from the report of the main study: `tsynd study report results/main` comes first."""

import csv
from collections.abc import Sequence
from pathlib import Path

from tsynd.study import read_study
from tsynd.study.claims import CLAIMS, Claim
from tsynd.study.comparisons import MEAN
from tsynd.study.markdown import NAMES, checked, number, signed, with_interval

Row = dict[str, str]
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
HEAD = """# Results: does training on targeted images help?

**Harder to attack: yes. More accurate: not shown. Adversarial training is still more robust.** This page gives the evidence: one
table of verdicts, one figure, and below them all numbers.

We compared methods on four data sets, each with few training images. Every method was trained ten times, from ten
{term}`seeds <seed>`. A seed fixes the training images and the initial weights, so two methods with the same seed form a fair pair. The methods,
the measures and the rule for a verdict were written into `studies/main.yaml` before the first run. The claims below were written
down after 195 of the runs. """
MEANING = """A claim is *supported* when it holds beyond chance in every comparison that decides it. It is *not supported* when at least
one comparison rules out an advantage of 0.01. Otherwise ten seeds cannot decide. [How a verdict is reached](#verdicts) gives the
exact rule.

```{figure} images/differences.svg
:alt: Thirteen differences between methods in three panels. On clean and on augmented images most intervals contain zero. Under attack every method that targets lies clearly above its controls, and TSynD lies below adversarial training
:figclass: wide-only
:width: 100%

Each row is one method minus another, averaged over the four data sets. Right of 0 the first method is better. Lines are 95 %
intervals. Read the right panel first: targeting wins there against every control, and loses against adversarial training (`pgd`).
```

```{figure} images/differences-narrow.svg
:alt: Six of these differences, one panel below the other: only under attack do the methods that target lie clearly above their controls
:figclass: narrow-only
:width: 100%

Each row is one method minus another, averaged over the four data sets (a wider screen shows more of them). Right of 0 the first method is
better. Lines are 95 % intervals. Read the last panel first: targeting wins there against its controls, and loses against adversarial
training (`pgd`).
```

[](method.md) says what each method is, and chapter 7 explains [how to read such a study](../notebooks/07_study.ipynb). [](post_hoc.md) lists
what we found outside the plan, and [](ablation.md) takes the method apart.

## Three warnings

**Development sets.** We had seen results on BreastMNIST, PneumoniaMNIST and RetinaMNIST while we chose the recipe, so their numbers
are optimistic. The phantoms are drawn by the package.

**The refined recipe is exploratory.** We thought of `refined` after we had seen the test results of the first recipe. We chose its
options on validation images with other seeds, and we wrote it and its claims down before its runs. But the seeds, the data sets and
the test images are those that gave us the idea, so its verdicts explore and do not confirm.

**The attack is of moderate strength.** `tsynd` and its controls were attacked by {term}`PGD <adversarial attack>` with 20 steps.
Stronger attacks were run on other methods; they are [listed below](#stronger-attacks).

(verdicts)=
## How a verdict is reached

Each difference is *{term}`paired <paired difference>`*: we subtract two methods at the same seed, then average over seeds and over the four data sets. Losses
change their sign, so above 0 is always better. Parentheses give 95 % intervals from a {term}`crossed bootstrap`, which resamples
seeds and test images; [in simulations](choices.md) they were conservative.

- *Supported* means that the interval lies above 0 in every comparison that decides.
- *Not supported* means that the upper end of the interval is below 0.01 in at least one of them.
- *Undecided* is everything else.

Two rules differ by claim. Where a method shall be *as good as* another, the interval has to lie above −0.01 instead of 0. Where three
measures decide together, each must also pass Holm's correction for multiple comparisons, so an interval just above 0 can still be
undecided.

## Each claim in numbers

Open a claim to see its comparisons. In the second table, a bold number has an interval of its own that does not contain 0. *NLL* is the
negative log-likelihood, which punishes overconfident errors; *PGD 2/255* is the accuracy when an attack may change each pixel by
2/255."""


def results_page(root: Path) -> str:
    """Return the page, whatever part of the study is there; it says how much that is."""
    folder = root / "results" / "main"
    claims, differences, means = (_rows(folder / "report" / f"{name}.csv") for name in ("claims", "differences", "means"))
    done = {row["key"] for row in _rows(folder / "runs.csv") if row["status"] == "done"}
    study = read_study(root / "studies" / "main.yaml")
    deciding = [run.key for run in study.runs_of(study.tiers[0])]
    others = [run.key for run in study.runs() if run.key not in set(deciding)]
    missing = {run.arm for run in study.runs_of(study.tiers[0]) if run.key not in done}
    verdicts = {row["claim"]: row["verdict"] for row in claims}
    told = [claim for claim in CLAIMS if claim.name in verdicts]
    said = {each.name: f"{'so far ' if missing & {each.arm, *each.others} else ''}{verdicts[each.name]}" for each in told}
    places = {(data, str(count or "all")) for data, count in study.tiers[0].sets}
    parts = [
        HEAD + _stand(done, deciding, others),
        "",
        "| claim | verdict |",
        "|:--|:--|",
        *(f"| {PLAIN.get(claim.name, claim.text)} | **{said[claim.name]}** |" for claim in told),
        "| High mutual information marks what is missing from training | **not supported**, [on phantoms](phantoms.md) |",
        "| The classifier looks at more meaningful regions | **not supported**, {ref}`on phantoms <attribution>` |",
        "",
        MEANING,
    ]
    for claim in told:
        of_claim = [row for row in differences if row["claim"] == claim.name]
        mean = [row for row in of_claim if row["data"] == MEAN]
        parts += _claim(claim, said[claim.name], mean, [row for row in of_claim if (row["data"], row["per_class"]) in places])
    parts += [
        *("", "(stronger-attacks)=", "## Can the robustness be believed?", ""),
        "A classifier can look robust because its gradients are uninformative, not because it is hard to fool. We therefore attacked",
        "some methods more strongly and ran checks for such {term}`masked gradients` and for weak attacks.",
        "",
        *checked(_rows(folder / "report" / "checks.csv"))[2:],
        *("", "## Clean against robust", ""),
        "Few methods are good at both. Each point is one method, averaged over seeds.",
        "",
        *(":::{dropdown} Accuracy under attack against AUROC, for each data set", ""),
        "```{figure} images/clean-and-robust.svg",
        ":alt: Clean AUROC against accuracy under attack for every method, a panel for each data set; methods in the upper right are good at both",
        ":width: 100%",
        "",
        "A larger marker took longer to train. The dotted line joins the methods that no other method beats in both measures.",
        "```",
        ":::",
        *("", "## All methods on each data set", ""),
        "Means over seeds. *Cost* is the time of a training relative to `none` with the same seed, as a median; the machine was shared, so it is",
        "rough. [](measurements.md) has times from an idle machine. `results/main/report/means.csv` has all measures, and",
        "`results/main/runs.csv` has every single run.",
    ]
    for place in dict.fromkeys((row["data"], row["per_class"]) for row in means):
        name = SETS[place[0].partition(":")[0]]
        amount = "all training images" if place[1] == "all" else f"{place[1]} training images of each class"
        table = _means([row for row in means if (row["data"], row["per_class"]) == place])
        parts += ["", f":::{{dropdown}} {name}, {amount}", "", *table, ":::"]
    return "\n".join([*parts, ""])


def _stand(done: set[str], deciding: Sequence[str], others: Sequence[str]) -> str:
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
