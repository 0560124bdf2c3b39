"""Does mutual information mark what is missing from training? Phantoms, where it is known what is.

    python studies/phantom_claim.py --out results/phantom-claim --seeds 10

A classifier is trained with a subgroup withheld, and another one, from the same initialisation, without withholding. Each
seed has its own phantoms, so seeds are independent. `--out` gets `runs.csv`, a row a subgroup, seed and classifier;
`summary.json`, means with 95 % intervals over the seeds; `table.md` and `claim.svg`. Rows that are there are not run again.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from matplotlib.figure import Figure
from shared import interval, read_csv, trained, write_csv
from torch import Tensor

import tsynd
from tsynd.data.phantom import SUBGROUPS, PhantomSplit, malignancy
from tsynd.errors import unknown
from tsynd.files import write_json, write_text
from tsynd.posterior import HeadDropout
from tsynd.randomness import generator_for
from tsynd.robustness.batches import predict
from tsynd.robustness.metrics import balanced_accuracy, error_auroc
from tsynd.uncertainty import mutual_information, predictive_entropy
from tsynd.versions import versions
from tsynd.viz.style import COLOURS, MARKERS, Picture, save, styled

PER_CLASS, SAMPLES = 200, 64
SCORES = {"mutual_information": "mutual information", "entropy": "entropy", "confidence": "1 − largest probability"}


def main() -> None:
    """Train what is missing and write the tables and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--subgroups", nargs="+", default=list(SUBGROUPS), help=f"out of {', '.join(SUBGROUPS)}")
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.subgroups:
        if name not in SUBGROUPS:
            raise unknown("phantom subgroup", name, SUBGROUPS)
    rows = read_csv(options.out / "runs.csv")
    for seed in range(options.seeds):
        for withheld in (None, *options.subgroups):
            wanted = [withheld] if withheld else list(SUBGROUPS)
            there = {row["subgroup"] for row in rows if (row["seed"], row["withheld"]) == (seed, int(withheld is not None))}
            if not set(wanted) <= there:
                rows += measure(seed, withheld, wanted)
                write(options.out, rows)
                print(seed, withheld, file=sys.stderr, flush=True)
    write(options.out, rows)


def measure(seed: int, withheld: str | None, subgroups: list[str]) -> list[dict[str, Any]]:
    """Train once and ask about each subgroup of the test images: a row each."""
    started = time.perf_counter()
    data = tsynd.load("phantom", seed=seed, count=PER_CLASS, withheld=withheld)
    classifier, test = trained(data.train, 2, seed), data.test
    assert isinstance(test, PhantomSplit)
    posterior = HeadDropout.of(classifier, SAMPLES, generator_for(seed, "evaluation masks"))
    log_probs_BKC, logits_BC = predict(posterior, test.images, 250), predict(classifier, test.images, 250)
    scores = {
        "mutual_information": mutual_information(log_probs_BKC),
        "entropy": predictive_entropy(log_probs_BKC),
        "confidence": 1 - logits_BC.softmax(1).amax(1),
    }
    seconds = round(time.perf_counter() - started, 1)
    rows = []
    for name in subgroups:
        inside = test.subgroups[name]
        pairs = matched(malignancy(test.factors), test.labels, inside)
        row: dict[str, Any] = {
            "subgroup": name,
            "withheld": int(withheld is not None),
            "seed": seed,
            "members": int(inside.sum()),
        }
        row |= {f"auroc_{score}": error_auroc(values, inside) for score, values in scores.items()}
        row |= {f"matched_{score}": error_auroc(values[pairs], inside[pairs]) for score, values in scores.items()}
        for where, chosen in (("inside", inside), ("outside", ~inside)):
            row[f"balanced_accuracy_{where}"] = balanced_accuracy(logits_BC[chosen], test.labels[chosen])
            row[f"mutual_information_{where}"] = scores["mutual_information"][chosen].mean().item()
        rows.append(
            {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()} | {"seconds": seconds}
        )
    return rows


def matched(score_B: Tensor, labels_B: Tensor, inside_B: Tensor) -> Tensor:
    """Positions of the subgroup's images and, for each, of the image outside of the same class with the nearest score.

    No image is used twice; what remains different is what the rule does not look at, and how the signs are mixed.
    """
    chosen = []
    free = ~inside_B
    for member in inside_B.nonzero().flatten().tolist():
        usable = (free & (labels_B == labels_B[member])).nonzero().flatten()
        if len(usable):
            nearest = int(usable[(score_B[usable] - score_B[member]).abs().argmin()])
            free[nearest] = False
            chosen += [member, nearest]
    return torch.tensor(chosen)


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """For each subgroup: every measure with and without withholding, and the differences at the same seed."""
    summary: dict[str, Any] = {}
    for name in SUBGROUPS:
        kinds = [{row["seed"]: row for row in rows if (row["subgroup"], row["withheld"]) == (name, kind)} for kind in (0, 1)]
        seeds = sorted(kinds[0].keys() & kinds[1].keys())
        if len(seeds) < 2:
            continue
        measures = [key for key in kinds[0][seeds[0]] if key not in ("subgroup", "withheld", "seed", "members", "seconds")]
        known, unseen = ({measure: [kind[seed][measure] for seed in seeds] for measure in measures} for kind in kinds)
        change = {measure: [b - a for a, b in zip(known[measure], unseen[measure], strict=True)] for measure in measures}
        ahead = {
            f"mutual_information - {other}": [
                a - b for a, b in zip(unseen["auroc_mutual_information"], unseen[f"auroc_{other}"], strict=True)
            ]
            for other in ("entropy", "confidence")
        }
        sections = {"seen": known, "withheld": unseen, "withheld - seen": change, "auroc, withheld": ahead}
        summary[name] = {"seeds": len(seeds)} | {
            section: {measure: interval(values) for measure, values in columns.items()} for section, columns in sections.items()
        }
    return summary


def table(summary: dict[str, Any]) -> str:
    """The summary as a Markdown table, a row a subgroup and measure."""
    shown = {f"auroc_{score}": f"AUROC of {words}" for score, words in SCORES.items()}
    shown |= {f"matched_{score}": f"the same, matched images: {words}" for score, words in SCORES.items()}
    shown |= {"balanced_accuracy_inside": "balanced accuracy inside", "balanced_accuracy_outside": "balanced accuracy outside"}
    lines = []
    for name, sections in summary.items():
        lines += [
            f"**{name}**, {sections['seeds']} seeds:",
            "",
            "| measure | seen | withheld | difference |",
            "|---|---|---|---|",
        ]
        for measure, words in shown.items():
            seen, unseen, change = (sections[section][measure] for section in ("seen", "withheld", "withheld - seen"))
            ends = f"{change['low']:+.3f} to {change['high']:+.3f}"
            lines.append(f"| {words} | {seen['mean']:.3f} | {unseen['mean']:.3f} | {change['mean']:+.3f} ({ends}) |")
        ahead = sections["auroc, withheld"]["mutual_information - entropy"]
        ends = f"{ahead['low']:+.3f} to {ahead['high']:+.3f}"
        lines += ["", f"Withheld: AUROC of mutual information minus that of entropy {ahead['mean']:+.3f} ({ends}).", ""]
    return "\n".join(lines)


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows and what follows from them."""
    rows.sort(key=lambda row: (row["subgroup"], row["withheld"], row["seed"]))
    write_csv(out / "runs.csv", rows)
    if summary := summarise(rows):
        config = {"per_class": PER_CLASS, "samples": SAMPLES, "arm": "none", "budget": "cpu", "versions": versions()}
        write_json(out / "summary.json", {"config": config, "subgroups": summary})
        write_text(out / "table.md", table(summary))
        save(claim(rows), out / "claim.svg")


@styled
def claim(rows: list[dict[str, Any]]) -> Figure:
    """AUROC of each score for the subgroup, and balanced accuracy inside it, with the subgroup seen and withheld."""
    names = [name for name in SUBGROUPS if any(row["subgroup"] == name and row["withheld"] for row in rows)]
    figure = Picture(figsize=(9, 2.5 * len(names) + 0.5))
    for (left, right), name in zip(figure.subplots(len(names), 2, squeeze=False, sharey="col"), names, strict=True):
        left.axhline(0.5, color="#777777", linewidth=1, linestyle="--")
        for axis, columns in (
            (left, {f"auroc_{score}": words for score, words in SCORES.items()}),
            (right, {f"balanced_accuracy_{where}": f"{where} the subgroup" for where in ("inside", "outside")}),
        ):
            for kind, words in enumerate(("seen in training", "withheld")):
                chosen = [row for row in rows if (row["subgroup"], row["withheld"]) == (name, kind)]
                for place, column in enumerate(columns):
                    values, where = [row[column] for row in chosen], place + 0.3 * (kind - 0.5)
                    style: Any = {"color": COLOURS[kind], "marker": MARKERS[kind], "linestyle": "none", "markersize": 5}
                    axis.plot([where] * len(values), values, alpha=0.6, label=words if place == 0 else None, **style)
                    axis.plot([where - 0.1, where + 0.1], [fmean(values)] * 2, color=COLOURS[kind], linewidth=2.5)
            axis.set_xticks(range(len(columns)), [words.replace(" i", "\ni").replace(" p", "\np") for words in columns.values()])
        left.set(ylabel="AUROC for the subgroup", title=name)
        right.set(ylabel="balanced accuracy", title=name)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


if __name__ == "__main__":
    main()
