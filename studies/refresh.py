"""How fresh must the bank be? Two banks of one price against a search at every step, ten paired seeds on two sets.

    python studies/refresh.py --out results/refresh --cache runs/networks

Arm `guarded`. *Every step*: half of each batch is searched for with the present classifier and used once. *Slow bank*: 64
images every 24 steps, the last 256 are kept. *Bank*, the default: 20 images every 10 steps, the last 60 are kept. Measured
on the *whole* validation split. Margins, fixed before: a bank is non-inferior if the lower end of the paired 95 % interval
lies above -.01 AUROC and above -.02 accuracy under PGD 2/255. The slow bank was to be the default. When it fell short, other
schemes of about its price were tried: four on one or two seeds, 20 images every 8 steps on nine; the default is that, at 10
steps for the price. So its figures on these seeds are a little optimistic. `--out` gets parts, and from them `runs.csv`,
`summary.json` and `table.md`. What is in a part is not run again; several processes may share the work, each with seeds of
its own.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

from dose_response import measure
from scipy.stats import t as student_t  # type: ignore[import-untyped]
from shared import autoencoder_for, interval, read_csv, run_parts, write_csv

import tsynd
from tsynd.classification import build_classifier
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import versions
from tsynd.utils.rng import seed_for

SETS = {"breastmnist": 60, "retinamnist": 25}  # images of each class
SEEDS = range(10)
BANK = Recipe()
HALF = round(BANK.share * BANK.batch_size)
SCHEMES = {
    "none": BANK,
    "slow bank": replace(BANK, refresh_every=24, refresh_count=64, capacity=256),
    "bank": BANK,
    "every step": replace(BANK, refresh_every=1, refresh_count=HALF, capacity=HALF),
}
BANKS = ("slow bank", "bank")
MARGINS = {"auroc": 0.01, "pgd_2_255": 0.02}
WORDS = {"auroc": "AUROC", "pgd_2_255": "PGD 2/255"}

Row = dict[str, Any]


def main() -> None:
    """Train what is missing and write the tables."""
    out = run_parts(__doc__ or "", SETS, SEEDS, run_seed)
    rows = read_csv(out / "runs.csv")
    fresh = [row for path in sorted((out / "parts").glob("*.csv")) for row in read_csv(path)]
    known = {(row["data"], row["seed"], row["scheme"]) for row in fresh}
    rows = fresh + [row for row in rows if (row["data"], row["seed"], row["scheme"]) not in known]
    rows.sort(key=lambda row: (row["data"], row["seed"], list(SCHEMES).index(row["scheme"])))
    write_csv(out / "runs.csv", rows)
    summary = summarise(rows)
    write_json(out / "summary.json", summary | {"margins": MARGINS, "versions": versions()})
    write_text(out / "table.md", table(summary))


def run_seed(name: str, per_class: int, seed: int, path: Path, cache: Path) -> None:
    """The trainings of one (set, seed) that `path` does not hold yet."""
    rows = read_csv(path)
    missing = [scheme for scheme in SCHEMES if scheme not in {row["scheme"] for row in rows}]
    if not missing:
        return
    data = tsynd.load(name)
    subset = data.subset(per_class, seed).train
    autoencoder = autoencoder_for(subset, seed, cache / f"{name}-{per_class}-{seed}.safetensors")
    for scheme in missing:
        arm = parse_arm("none" if scheme == "none" else "guarded")
        classifier = build_classifier(data.channels, data.size, len(data.classes), seed_for(seed, "initialise classifier"))
        started, images_BCHW = time.process_time(), subset.images.float() / 255
        train_classifier(classifier, images_BCHW, subset.labels, arm, SCHEMES[scheme], autoencoder=autoencoder, seed=seed)
        seconds = round(time.process_time() - started, 1)
        found = measure(data, classifier, seed)
        row = {"data": name, "seed": seed, "scheme": scheme} | {key: round(found[key], 5) for key in MARGINS}
        rows.append(row | {"processor_seconds": seconds})
        write_csv(path, rows)
        print(name, seed, scheme, f"{seconds} s", file=sys.stderr, flush=True)


def summarise(rows: list[Row]) -> Row:
    """Means, paired differences with intervals, verdicts, and the time as a ratio to `none`."""
    found: Row = {}
    for name in sorted({row["data"] for row in rows}):
        of = {(row["seed"], row["scheme"]): row for row in rows if row["data"] == name}
        seeds = [seed for seed, scheme in of if scheme == "none" and all((seed, other) in of for other in SCHEMES)]
        if len(seeds) < 2:
            continue
        part: Row = {"seeds": len(seeds)}
        for key, margin in MARGINS.items():
            part[key] = {scheme: round(fmean(of[seed, scheme][key] for seed in seeds), 4) for scheme in SCHEMES}
            for bank in BANKS:
                difference = interval([of[seed, bank][key] - of[seed, "every step"][key] for seed in seeds])
                verdict = {"non_inferior": difference["low"] > -margin, "chance_if_equal": chance_if_equal(difference, margin)}
                part[key][f"{bank} - every step"] = difference | verdict
        ratios = {scheme: [cost(of[seed, scheme]) / cost(of[seed, "none"]) for seed in seeds] for scheme in SCHEMES}
        found[name] = part | {"time": {scheme: round(fmean(values), 2) for scheme, values in ratios.items()}}
    return found


def chance_if_equal(difference: dict[str, float], margin: float) -> float:
    """How likely an interval as wide as this one lies above the margin if there is no difference (normal approximation)."""
    half = (difference["high"] - difference["low"]) / 2
    error = half / student_t.ppf(0.975, len(SEEDS) - 1)
    return round(1 - NormalDist().cdf((half - margin) / error), 2)


def cost(row: Row) -> float:
    """Processor time of a training, in seconds."""
    return float(row["processor_seconds"])


def table(summary: Row) -> str:
    """Markdown: a row for each set and measure."""
    heads = ["data", "measure", *SCHEMES, *(f"{bank} − every step" for bank in BANKS)]
    lines = [f"| {' | '.join(heads)} |", "|:--|:--|" + "--:|" * len(SCHEMES) + ":--|" * len(BANKS)]
    for name in [name for name in summary if name in SETS]:
        part = summary[name]
        for key, words in WORDS.items():
            cells = [f"{part[key][scheme]:.3f}" for scheme in SCHEMES]
            for apart in (part[key][f"{bank} - every step"] for bank in BANKS):
                verdict = "" if apart["non_inferior"] else ", not shown"
                cells.append(f"{apart['mean']:+.3f} ({apart['low']:+.3f} to {apart['high']:+.3f}){verdict}")
            lines.append(f"| {name} | {words} | {' | '.join(cells)} |")
        times = " | ".join(f"{part['time'][scheme]:.2f}" for scheme in SCHEMES)
        lines.append(f"| {name} | processor time | {times} | | |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
