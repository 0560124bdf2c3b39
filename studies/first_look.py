"""A first look at the effect: four arms, two development sets, paired seeds. Not yet the study that decides the claims.

    python studies/first_look.py --runs runs/first-look --out results/first-look --seeds 4

Runs go to `--runs`, one folder each; finished ones are not run again. `--out` gets `runs.csv`, a row a run, and
`summary.json`, means over the seeds and paired differences: both are rewritten after each run.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from shared import write_csv

import tsynd
from tsynd.config import RunConfig
from tsynd.files import write_json

SETS = (("breastmnist", 60), ("pneumoniamnist", 25))
ARMS = ("none", "mixup", "guarded", "guarded+mixup")
PAIRS = (("guarded", "none"), ("guarded+mixup", "mixup"))
MEASURES = (
    "accuracy", "balanced_accuracy", "auroc", "nll", "ece", "augmented", "corrupted", "pgd_2_255", "pgd_4_255", "seconds"
)  # fmt: skip
CONFIG = ("data", "size", "per_class", "arm", "seed")


def main() -> None:
    """Run what is missing, seed by seed, and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="where the runs go")
    parser.add_argument("--out", type=Path, required=True, help="where the tables go")
    parser.add_argument("--seeds", type=int, default=4, help="how many seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(options.seeds):
        for data, per_class in SETS:
            for arm in ARMS:
                folder = options.runs / f"{data}-{arm}-{seed}"
                config = RunConfig(data, arm=arm, per_class=per_class, seed=seed, device="cpu")
                if not (folder / "metrics.json").exists():
                    tsynd.run(config, folder)
                    print(folder, file=sys.stderr, flush=True)
                check(folder, config)
                write_tables(options.runs, options.out)


def check(folder: Path, config: RunConfig) -> None:
    """Refuse a run of other settings than today's: results of different versions are never compared."""
    found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    wanted = config.resolved()
    for name in wanted.keys() - {"size"}:
        if found.get(name) != wanted[name]:
            sys.exit(f"error: {folder} was run with {name} = {found.get(name)!r}, now it is {wanted[name]!r}: remove it")


def row(metrics: dict[str, Any]) -> dict[str, Any]:
    """One run as a row of `runs.csv`."""
    clean, seconds, pgd = metrics["clean"], metrics["seconds"], metrics["attacks"]["pgd"]
    corrupted = [value for levels in metrics["corruptions"].values() for value in levels.values()]
    key = hashlib.blake2b(json.dumps(metrics["config"], sort_keys=True).encode(), digest_size=8).hexdigest()
    measured = {name: clean[name] for name in ("accuracy", "balanced_accuracy", "auroc", "nll", "ece")} | {
        "augmented": metrics["test_time_augmentation"]["outside"]["mean"],
        "corrupted": fmean(corrupted),
        "pgd_2_255": pgd["0.0078"],
        "pgd_4_255": pgd["0.0157"],
    }
    cost = {"seconds": round(seconds["warmup"] + seconds["targeting"] + seconds["training"], 1)}
    rounded = {name: round(value, 4) for name, value in measured.items()}
    return {"key": key, "status": "done"} | {name: metrics["config"][name] for name in CONFIG} | rounded | {"subgroup": ""} | cost


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds by set and arm, and for each pair of arms the mean, lowest and highest difference at one seed."""
    summary: dict[str, Any] = {"means": {}, "differences": {}}
    for data in sorted({row["data"] for row in rows}):
        by_arm = {arm: {row["seed"]: row for row in rows if (row["data"], row["arm"]) == (data, arm)} for arm in ARMS}
        seeds = sorted(set.intersection(*(set(of_arm) for of_arm in by_arm.values())))
        if not seeds:
            continue
        summary["means"][data] = {"seeds": len(seeds)} | {
            arm: {name: round(sum(by_arm[arm][seed][name] for seed in seeds) / len(seeds), 4) for name in MEASURES}
            for arm in ARMS
        }
        summary["differences"][data] = {}
        for arm, baseline in PAIRS:
            pairs = {name: [by_arm[arm][seed][name] - by_arm[baseline][seed][name] for seed in seeds] for name in MEASURES}
            summary["differences"][data][f"{arm} - {baseline}"] = {
                name: {
                    "mean": round(sum(values) / len(values), 4),
                    "lowest": round(min(values), 4),
                    "highest": round(max(values), 4),
                }
                for name, values in pairs.items()
            }
    return summary


def write_tables(runs: Path, out: Path) -> None:
    """Write `runs.csv` and `summary.json` from all finished runs."""
    rows = [row(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(runs.glob("*/metrics.json"))]
    rows.sort(key=lambda row: (row["data"], row["arm"], row["seed"]))
    write_csv(out / "runs.csv", rows)
    write_json(out / "summary.json", summarise(rows))


if __name__ == "__main__":
    main()
