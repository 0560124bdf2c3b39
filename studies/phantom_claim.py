"""Does mutual information mark what is missing from training? Phantoms, where it is known what is.

    python studies/phantom_claim.py --out results/phantom-claim --seeds 10

Classifiers are trained with a subgroup withheld, and others, from the same initialisations, without withholding. Four posteriors
over them are asked: dropout in the head, dropout everywhere, bagged heads on one trunk, an ensemble. Each seed has its own
phantoms, so seeds are independent. `--out` gets `runs.csv`, a row a subgroup, posterior, seed and kind of training;
`summary.json`, means with 95 % intervals over the seeds; `table.md` and `claim.svg`. Rows that are there are not run again.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from matplotlib.figure import Figure
from shared import POSTERIORS, TRUNK_DROPOUT, interval, posteriors, read_csv, spread, write_csv
from torch import Tensor

import tsynd
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.data.phantom.rule import SUBGROUPS, malignancy
from tsynd.errors import unknown
from tsynd.metrics.classification import balanced_accuracy, error_auroc
from tsynd.uncertainty import mutual_information, predictive_entropy
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, save, styled

PER_CLASS, SAMPLES, MEMBERS = 200, 64, 5
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
    """Train once and ask each posterior about each subgroup of the test images: a row each."""
    started = time.perf_counter()
    data = tsynd.load("phantom", seed=seed, count=PER_CLASS, withheld=withheld)
    asked, test = posteriors(data.train, 2, seed, SAMPLES, MEMBERS), data.test
    assert isinstance(test, PhantomSplit)
    pairs = {name: matched(malignancy(test.factors), test.labels, test.subgroups[name]) for name in subgroups}
    rows = []
    for kind, posterior in asked.items():
        log_probs_BKC = predict(posterior, test.images, 250)
        probs_BC = log_probs_BKC.exp().mean(1)
        scores = {
            "mutual_information": mutual_information(log_probs_BKC),
            "entropy": predictive_entropy(log_probs_BKC),
            "confidence": 1 - probs_BC.amax(1),
        }
        for name in subgroups:
            inside, paired = test.subgroups[name], pairs[name]
            row: dict[str, Any] = {"subgroup": name, "posterior": kind, "withheld": int(withheld is not None), "seed": seed}
            row["members"] = int(inside.sum())
            row |= {f"auroc_{score}": error_auroc(values, inside) for score, values in scores.items()}
            row |= {f"matched_{score}": error_auroc(values[paired], inside[paired]) for score, values in scores.items()}
            for where, chosen in (("inside", inside), ("outside", ~inside)):
                row[f"balanced_accuracy_{where}"] = balanced_accuracy(probs_BC[chosen], test.labels[chosen])
                row[f"mutual_information_{where}"] = scores["mutual_information"][chosen].mean().item()
            rows.append({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
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
    """For each subgroup and posterior: every measure with and without withholding, and the differences at the same seed."""
    summary: dict[str, Any] = {}
    for name, posterior in itertools.product(SUBGROUPS, POSTERIORS):
        chosen = [row for row in rows if (row["subgroup"], row["posterior"]) == (name, posterior)]
        kinds = [{row["seed"]: row for row in chosen if row["withheld"] == kind} for kind in (0, 1)]
        seeds = sorted(kinds[0].keys() & kinds[1].keys())
        if len(seeds) < 2:
            continue
        measures = [key for key in kinds[0][seeds[0]] if key.startswith(("auroc", "matched", "balanced", "mutual"))]
        known, unseen = ({measure: [kind[seed][measure] for seed in seeds] for measure in measures} for kind in kinds)
        change = {measure: [b - a for a, b in zip(known[measure], unseen[measure], strict=True)] for measure in measures}
        ahead = {
            f"mutual_information - {other}": [
                a - b for a, b in zip(unseen["auroc_mutual_information"], unseen[f"auroc_{other}"], strict=True)
            ]
            for other in ("entropy", "confidence")
        }
        sections = {"seen": known, "withheld": unseen, "withheld - seen": change, "auroc, withheld": ahead}
        summary.setdefault(name, {})[posterior] = {"seeds": len(seeds)} | {
            section: {measure: interval(values) for measure, values in columns.items()} for section, columns in sections.items()
        }
    return summary


def table(summary: dict[str, Any]) -> str:
    """The summary in Markdown: for each subgroup accuracies, then a row for each posterior."""
    lines = []
    for name, by_posterior in summary.items():
        head = by_posterior["head"]
        accuracies = []
        for where in ("inside", "outside"):
            seen, unseen, change = (
                head[section][f"balanced_accuracy_{where}"] for section in ("seen", "withheld", "withheld - seen")
            )
            accuracies.append(f"{where} {seen['mean']:.3f} → {unseen['mean']:.3f}, {spread(change)}")
        lines += [
            f"**{name}**, {head['seeds']} seeds. Balanced accuracy with head dropout, seen → withheld: {'; '.join(accuracies)}.",
            "",
            "| posterior | seen | withheld | change | matched images | entropy |",
            "|---" * 6 + "|",
        ]
        for posterior, sections in by_posterior.items():
            change = sections["withheld - seen"]
            cells = [f"{sections[section]['auroc_mutual_information']['mean']:.3f}" for section in ("seen", "withheld")]
            cells += [spread(change[key]) for key in ("auroc_mutual_information", "matched_mutual_information", "auroc_entropy")]
            lines.append(f"| {POSTERIORS[posterior]} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows and what follows from them."""
    rows.sort(key=lambda row: (row["subgroup"], list(POSTERIORS).index(row["posterior"]), row["withheld"], row["seed"]))
    write_csv(out / "runs.csv", rows)
    if summary := summarise(rows):
        config: dict[str, Any] = {"per_class": PER_CLASS, "samples": SAMPLES, "members": MEMBERS, "trunk_dropout": TRUNK_DROPOUT}
        config |= {"arm": "none", "budget": "cpu", "versions": versions()}
        write_json(out / "summary.json", {"config": config, "subgroups": summary})
        write_text(out / "table.md", table(summary))
        save(claim(rows), out / "claim.svg")


@styled
def claim(rows: list[dict[str, Any]]) -> Figure:
    """AUROC of mutual information for the subgroup by posterior, and balanced accuracy, with the subgroup seen and withheld."""
    names = [name for name in SUBGROUPS if any(row["subgroup"] == name and row["withheld"] for row in rows)]
    figure = Picture(figsize=(7, 2.4 * len(names) + 0.5))
    for (left, right), name in zip(figure.subplots(len(names), 2, squeeze=False, sharey="col"), names, strict=True):
        left.axhline(0.5, color="#777777", linewidth=1, linestyle="--")
        for kind, words in enumerate(("seen in training", "withheld")):
            style: Any = {"color": COLOURS[kind], "marker": MARKERS[kind], "linestyle": "none", "markersize": 5, "alpha": 0.6}
            chosen = [row for row in rows if (row["subgroup"], row["withheld"]) == (name, kind)]
            parts = [(left, place, "auroc_mutual_information", posterior) for place, posterior in enumerate(POSTERIORS)]
            parts += [(right, place, f"balanced_accuracy_{where}", "head") for place, where in enumerate(("inside", "outside"))]
            for axis, place, column, posterior in parts:
                values, where = [row[column] for row in chosen if row["posterior"] == posterior], place + 0.3 * (kind - 0.5)
                axis.plot([where] * len(values), values, label=words if place == 0 else None, **style)
                axis.plot([where - 0.1, where + 0.1], [fmean(values)] * 2, color=COLOURS[kind], linewidth=2.5)
        left.set_xticks(range(4), [words.replace(" ", "\n") for words in POSTERIORS.values()])
        right.set_xticks(range(2), ["inside the subgroup", "outside"])
        left.set(ylabel="AUROC of mutual\ninformation", title=name)
        right.set(ylabel="balanced accuracy", title=name)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


if __name__ == "__main__":
    main()
