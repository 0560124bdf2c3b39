"""From the rows of `perfect_decoder.py`: `summary.json`, `table.md` and `differences.svg`.

    python studies/perfect_decoder_report.py --out results/perfect-decoder

Differences are paired: two arms at one seed share phantoms, initialisation and batches. Intervals are 95 % t-intervals over the
seeds.
"""

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from shared import interval, read_csv, spread

from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import versions
from tsynd.utils.plotting import Picture, method_style, save, styled

SETS = {"all": "all lesions", "withheld": "irregular-enhancing withheld from training"}
MEASURES = {
    "auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "nll": "NLL", "augmented": "augmented",
    "pgd_2_255": "PGD 2/255", "inside": "inside the subgroup",
}  # fmt: skip
AUDIT = (
    "information_before",
    "information_after",
    "pixel_displacement",
    "wrong",
    "displacement",
    "inside_before",
    "inside_after",
)
PAIRS = (
    ("tsynd, true label", "random, true label"),
    ("tsynd, true label, far", "random, true label, far"),
    ("tsynd, true label", "tsynd"),
    ("tsynd, true label", "fresh phantoms"),
    ("tsynd, true label, far", "fresh phantoms"),
)
FEWEST = 3  # seeds for an interval


def main() -> None:
    """Write what follows from the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where runs.csv is and the results go")
    options = parser.parse_args()
    report(options.out, read_csv(options.out / "runs.csv"))


def report(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write summary, table and figure."""
    summary = summarise(rows)
    write_json(out / "summary.json", {"sets": summary, "versions": versions()})
    write_text(out / "table.md", table(summary))
    save(differences(rows), out / "differences.svg")


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """For each set: every arm's means and audit, and the paired differences, to `none` and those of `PAIRS`.

    What has fewer than `FEWEST` seeds is left out.
    """
    summary: dict[str, Any] = {}
    for data in SETS:
        by_arm: dict[str, dict[int, dict[str, Any]]] = {}
        for row in rows:
            if row["data"] == data:
                by_arm.setdefault(row["arm"], {})[row["seed"]] = row
        by_arm = {arm: seeds for arm, seeds in by_arm.items() if len(seeds) >= FEWEST}
        if "none" not in by_arm:
            continue
        arms = {}
        for arm, seeds in by_arm.items():
            columns = {name: [row[name] for row in seeds.values()] for name in (*MEASURES, *AUDIT)}
            arms[arm] = {"seeds": len(seeds)} | {name: round(fmean(v), 4) for name, v in columns.items() if v[0] != ""}
        pairs = [*((arm, "none") for arm in by_arm if arm != "none"), *PAIRS]
        found = {f"{a} - {b}": paired(by_arm[a], by_arm[b]) for a, b in pairs if a in by_arm and b in by_arm}
        summary[data] = {"arms": arms, "differences": {name: part for name, part in found.items() if part}}
    return summary


def paired(first: dict[int, dict[str, Any]], second: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The differences at the seeds that both have, with their intervals; empty with fewer than `FEWEST`."""
    seeds = sorted(first.keys() & second.keys())
    if len(seeds) < FEWEST:
        return {}
    return {"seeds": len(seeds)} | {
        name: interval([first[seed][name] - second[seed][name] for seed in seeds]) for name in MEASURES
    }


def table(summary: dict[str, Any]) -> str:
    """The summary in Markdown: for each set the differences, and then what the searches did."""
    lines = []
    for data, part in summary.items():
        none = part["arms"]["none"]
        means = ", ".join(f"{words} {none[name]:.3f}" for name, words in MEASURES.items())
        lines += [f"**{SETS[data]}**. `none`, {none['seeds']} seeds: {means}. Differences at one seed:", ""]
        lines += ["| arms | seeds | " + " | ".join(MEASURES.values()) + " |", "|---" * (len(MEASURES) + 2) + "|"]
        for name, difference in part["differences"].items():
            cells = [spread(difference[measure]) for measure in MEASURES]
            lines.append(f"| {name.replace(' - ', ' − ')} | {difference['seeds']} | {' | '.join(cells)} |")
        lines += [
            "",
            "| search | MI before → after | changed class | displacement | in the subgroup before → after |",
            "|---" * 5 + "|",
        ]
        for arm, means_of in part["arms"].items():
            if "information_before" in means_of:
                lines.append(f"| {arm} | {searched(means_of)} |")
        lines.append("")
    return "\n".join(lines)


def searched(arm: dict[str, float]) -> str:
    """The audit's cells of one arm; what only known factors tell is left open for an autoencoder."""
    cells = [f"{arm['information_before']:.3f} → {arm['information_after']:.3f}"]
    if "wrong" not in arm:
        return " | ".join([*cells, "", "", ""])
    cells += [f"{arm['wrong']:.1%}", f"{arm['displacement']:.2f}", f"{arm['inside_before']:.1%} → {arm['inside_after']:.1%}"]
    return " | ".join(cells)


@styled
def differences(rows: list[dict[str, Any]]) -> Figure:
    """Differences to `none`: a point a seed, and the mean with its interval."""
    summary = summarise(rows)
    panels = [(data, measure) for data in summary for measure in ("auroc", "pgd_2_255" if data == "all" else "inside")]
    figure = Picture(figsize=(7, 3.3 * len(summary)))
    axes = figure.subplots(len(summary), 2, squeeze=False, sharey="row")
    for axis, (data, measure) in zip(axes.flat, panels, strict=True):
        panel(axis, [row for row in rows if row["data"] == data], summary[data]["differences"], measure)
        axis.set_title(SETS[data] if measure == "auroc" else "", loc="left")
    return figure


def panel(axis: Axes, rows: list[dict[str, Any]], found: dict[str, Any], measure: str) -> None:
    """One measure of one set, a line of marks for each arm."""
    base = {row["seed"]: row[measure] for row in rows if row["arm"] == "none"}
    arms = [name.removesuffix(" - none") for name in found if name.endswith(" - none")]
    axis.axvline(0, color="#777777", linewidth=1, linestyle="--")
    for place, arm in enumerate(arms):
        values = [row[measure] - base[row["seed"]] for row in rows if row["arm"] == arm and row["seed"] in base]
        part = found[f"{arm} - none"][measure]
        style: Any = method_style(arm, arms)
        axis.plot(values, [place] * len(values), linestyle="none", alpha=0.45, markersize=5, **style)
        axis.plot([part["low"], part["high"]], [place - 0.25] * 2, color=style["color"], linewidth=2)
        axis.plot([part["mean"]], [place - 0.25], "|", color=style["color"], markersize=10, markeredgewidth=2)
    axis.set_yticks(range(len(arms)), arms)
    axis.set_ylim(len(arms) - 0.4, -0.7)
    axis.locator_params(axis="x", nbins=5)
    axis.set_xlabel(f"{MEASURES[measure]}, arm − none")


if __name__ == "__main__":
    main()
