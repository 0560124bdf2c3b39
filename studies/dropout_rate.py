"""Which rate of dropout in the head? What the classifier loses, and what its posterior gains, from .2 to .8.

    python studies/dropout_rate.py --out results/dropout-rate --seeds 3

The sets and the numbers of images are those of `studies/estimator.py`. Each classifier is trained with the rate that its
posterior uses. The gradient is that of mutual information to the image, with 64 samples against 8,192. Measured on the
*validation* split, since a default is chosen. `--out` gets `runs.csv`, `summary.json` and `table.md`. Rows that are there are not
run again.
"""

import argparse
import itertools
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from estimator import IMAGES, compared, cosine, gradient_of, information_of, of_size, reference_of, rounded
from estimator_report import SAMPLES, SETS
from shared import read_csv, trained, write_csv

import tsynd
from tsynd.metrics.calibration import nll
from tsynd.metrics.classification import auroc
from tsynd.runs.networks import evaluation_posterior
from tsynd.uncertainty import mutual_information
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import generator_for

RATES = (0.2, 0.35, 0.5, 0.65, 0.8)
MEASURES = {
    "auroc": "AUROC",
    "nll": "NLL",
    "information": "MI (nats)",
    "cosine": "cosine, K = 64",
    "spearman": "Spearman",
    "errors_mutual_information": "errors",
}


def main() -> None:
    """Measure what is missing and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_csv(options.out / "runs.csv")
    for seed, name in itertools.product(range(options.seeds), SETS):
        for rate in RATES:
            if (name, rate, seed) not in {(row["data"], row["rate"], row["seed"]) for row in rows}:
                rows.append(measure(name, rate, seed))
                write(options.out, rows)
                print(name, rate, seed, file=sys.stderr, flush=True)
    write(options.out, rows)


def measure(name: str, rate: float, seed: int) -> dict[str, Any]:
    """Train with one rate and measure: a row."""
    per_class, foreign = SETS[name]
    data = tsynd.load(name)
    classifier = trained(data.subset(per_class, seed).train, len(data.classes), seed, head_dropout=rate)
    posterior = evaluation_posterior(classifier, SAMPLES, seed)
    images_BCHW = data.val.images[:IMAGES].float() / 255
    with frozen(classifier):
        probs_BC = predict(classifier, data.val.images, 250).double().softmax(1)
        reference_BD, _, pool_BKC = reference_of(posterior, images_BCHW, lambda images: images, seed)
        judged = of_size(posterior, SAMPLES, generator_for(seed, "judged"))
        gradient_BD = gradient_of(information_of(judged, lambda images: images), images_BCHW)
    others = tsynd.load(foreign).val.images[: len(data.val)].expand(-1, data.channels, -1, -1)
    row: dict[str, Any] = {"auroc": auroc(probs_BC, data.val.labels), "nll": nll(probs_BC, data.val.labels)}
    row |= {
        "information": float(mutual_information(pool_BKC).mean()),
        "cosine": cosine(gradient_BD.flatten(1), reference_BD.flatten(1)),
    }
    found = compared(posterior, data.val.images, data.val.labels, others)
    row |= {measure: found[measure] for measure in MEASURES if measure in found}
    return {"data": name, "rate": rate, "seed": seed} | rounded(row)


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the seeds, for each set and rate."""
    summary = []
    for name, rate in itertools.product(SETS, RATES):
        chosen = [row for row in rows if (row["data"], row["rate"]) == (name, rate)]
        if chosen:
            means = {measure: [row[measure] for row in chosen if row[measure] != ""] for measure in MEASURES}
            summary.append(
                {"data": name, "rate": rate, "seeds": len(chosen)}
                | {measure: round(fmean(values), 4) if values else None for measure, values in means.items()}
            )
    return summary


def table(summary: list[dict[str, Any]]) -> str:
    """The summary as a Markdown table."""
    lines = ["| data | rate | " + " | ".join(MEASURES.values()) + " |", "|---" * (len(MEASURES) + 2) + "|"]
    for part in summary:
        cells = ["–" if part[name] is None else f"{part[name]:.3f}" for name in MEASURES]
        lines.append(f"| {part['data']} | {part['rate']:g} | {' | '.join(cells)} |")
    seeds = sorted({part["seeds"] for part in summary})
    return "\n".join([*lines, "", f"Means over {' or '.join(map(str, seeds))} seeds.", ""])


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows and what follows from them."""
    rows.sort(key=lambda row: (list(SETS).index(row["data"]), row["rate"], row["seed"]))
    write_csv(out / "runs.csv", rows)
    summary = summarise(rows)
    write_json(out / "summary.json", {"rates": summary, "versions": versions()})
    write_text(out / "table.md", table(summary))


if __name__ == "__main__":
    main()
