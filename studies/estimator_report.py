"""What `studies/estimator.py` found, as a summary, two tables and a figure."""

import itertools
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure
from shared import POSTERIORS, interval

from tsynd.utils.plotting import COLOURS, MARKERS, Picture, styled

# Images of each class, and the set whose images are foreign.
SETS = {
    "phantom": (200, "breastmnist"),
    "breastmnist": (60, "phantom"),
    "pneumoniamnist": (25, "breastmnist"),
    "retinamnist": (25, "breastmnist"),
}
COUNTS = {"head": (8, 32, 64, 128, 512), "full": (8, 32, 64, 128), "heads": (8, 32, 64), "ensemble": (2, 3, 5)}
SAMPLES = 64
SCORES = {"mutual_information": "mutual information", "entropy": "entropy", "confidence": "1 − largest probability"}


def summarise(gradients: list[dict[str, Any]], scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds; of what decides the defaults, with intervals over sets and seeds."""
    summary: dict[str, Any] = {"gradients": [], "scores": []}
    for name, kind in itertools.product(SETS, POSTERIORS):
        for count in COUNTS[kind]:
            rows = [row for row in gradients if (row["data"], row["posterior"], row["samples"]) == (name, kind, count)]
            if rows:
                summary["gradients"].append(
                    {"data": name, "posterior": kind, "samples": count, "seeds": len(rows)}
                    | {
                        "cosine": round(fmean(row["cosine"] for row in rows), 3),
                        "relative_bias": round(fmean(row["relative_bias"] for row in rows), 3),
                    }
                    | {"step": round(fmean(row["step"] for row in rows), 2)}
                )
        rows = [row for row in scores if (row["data"], row["posterior"]) == (name, kind)]
        if rows:
            keys = [key for key in rows[0] if key not in ("data", "posterior", "seed")]
            means = {key: [float(row[key]) for row in rows if row[key] != ""] for key in keys}
            summary["scores"].append(
                {"data": name, "posterior": kind, "seeds": len(rows)}
                | {key: round(fmean(values), 3) if values else None for key, values in means.items()}
            )
    for kind in POSTERIORS:
        ahead = [
            part["errors_mutual_information"] - part["errors_entropy"]
            for part in summary["scores"]
            if part["posterior"] == kind and part["errors_entropy"] is not None
        ]
        if len(ahead) > 1:
            summary.setdefault("errors, mutual information - entropy", {})[kind] = interval(ahead)
    return summary


def gradient_table(summary: dict[str, Any]) -> str:
    """Cosine, bias and time with few samples and with the default number, a row a set and posterior."""
    lines = [
        "| data | posterior | few: cosine | bias | time | usual: cosine | bias | time |",
        "|---" * 8 + "|",
    ]
    parts = {(part["data"], part["posterior"], part["samples"]): part for part in summary["gradients"]}
    for name, (kind, words) in itertools.product(SETS, POSTERIORS.items()):
        shown = [parts.get((name, kind, count)) for count in ((2, 5) if kind == "ensemble" else (8, SAMPLES))]
        cells = [f"{part['cosine']:.2f} | {part['relative_bias']:+.0%} | {part['step']:.2f}" for part in shown if part]
        if cells:
            lines.append(f"| {name} | {words} | {' | '.join(cells)} |")
    seeds = sorted({part["seeds"] for part in summary["gradients"]})
    return "\n".join([*lines, "", f"Seeds of each set: {' or '.join(map(str, seeds))}.", ""])


def score_table(summary: dict[str, Any]) -> str:
    """What mutual information and entropy find, a row a set and posterior."""
    lines = ["| data | posterior | Spearman | gradients | errors | foreign images |", "|---" * 6 + "|"]
    for part in summary["scores"]:
        cells = [f"{part[key]:.2f}" for key in ("spearman", "gradient_cosine_to_entropy")]
        for found in ("errors", "foreign"):
            areas = [part[f"{found}_{score}"] for score in SCORES]
            cells.append(" / ".join("–" if area is None else f"{area:.2f}" for area in areas))
        lines.append(f"| {part['data']} | {POSTERIORS[part['posterior']]} | {' | '.join(cells)} |")
    lines += [
        "",
        "AUROC for errors, mutual information minus entropy: mean and 95 % interval over the sets (after the mean over seeds):",
        "",
    ]
    for kind, part in summary.get("errors, mutual information - entropy", {}).items():
        lines.append(f"- {POSTERIORS[kind]} {part['mean']:+.3f} ({part['low']:+.3f} to {part['high']:+.3f})")
    return "\n".join([*lines, ""])


@styled
def drawn(summary: dict[str, Any]) -> Figure:
    """The cosine of the gradient to its reference against the number of samples, a panel a set."""
    figure = Picture(figsize=(7, 5.4))
    for axis, name in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, SETS, strict=True):
        for position, (kind, words) in enumerate(POSTERIORS.items()):
            chosen = [part for part in summary["gradients"] if (part["data"], part["posterior"]) == (name, kind)]
            style: Any = {"color": COLOURS[position], "marker": MARKERS[position]}
            axis.plot([part["samples"] for part in chosen], [part["cosine"] for part in chosen], label=words, **style)
        axis.set(xscale="log", ylim=(0, 1.02), title=name)
        axis.set_xticks([2, 8, 32, 128, 512], ["2", "8", "32", "128", "512"])
        axis.minorticks_off()
    for axis in figure.axes[2:]:
        axis.set_xlabel("posterior samples K")
    for axis in figure.axes[::2]:
        axis.set_ylabel("cosine to the reference")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure
