"""How far do numbers move on another machine? The same runs with instructions that an older processor would use.

    python studies/other_machine.py --out results/other-machine

Each run is made twice on one machine, in processes of their own: as it is, and with the instructions limited to those that any
x86-64 processor has (ATEN_CPU_CAPABILITY, DNNL_MAX_CPU_ISA, MKL_CBWR). Sums are then taken in another order and round
differently, as on another machine. BreastMNIST, 60 of each class, budget `cpu`, arms `none` and `guarded`, three seeds. What is
in `runs.csv` is not run again. `--out` gets `runs.csv`, `summary.json` and `table.md`.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import stdev
from typing import Any

import torch
from shared import read_csv, write_csv

import tsynd
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import device_name, versions

ARMS, SEEDS = ("none", "guarded"), range(3)
OLD = {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
KINDS: dict[str, dict[str, str]] = {"here": {}, "older": OLD}
WORDS = {"accuracy": "accuracy", "auroc": "AUROC", "augmented": "accuracy, augmented", "pgd_2_255": "accuracy, PGD 2/255"}

Row = dict[str, Any]


def main() -> None:
    """Run what is missing, then write what was found; with --one, print the measures of one run, for the process above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("results/other-machine"), help="where the results go")
    parser.add_argument("--one", nargs=2, metavar=("ARM", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        print(json.dumps(measured(options.one[0], int(options.one[1]))))
        return
    rows = read_csv(options.out / "runs.csv")
    done = {(row["arm"], row["seed"], row["kind"]) for row in rows}
    for seed in SEEDS:
        for arm in ARMS:
            for kind in KINDS:
                if (arm, seed, kind) not in done:
                    rows.append({"arm": arm, "seed": seed, "kind": kind} | in_a_process(arm, seed, kind))
                    write_csv(options.out / "runs.csv", rows)
    found = summarise(rows)
    write_json(options.out / "summary.json", {"arms": found, "device": device_name(torch.device("cpu")), "versions": versions()})
    write_text(options.out / "table.md", table(found))
    print(f"written to {options.out}")


def in_a_process(arm: str, seed: int, kind: str) -> Row:
    """The measures of one run, by a process that uses these instructions."""
    command = [sys.executable, __file__, "--one", arm, str(seed)]
    done = subprocess.run(command, env=os.environ | KINDS[kind], capture_output=True, text=True, check=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(arm: str, seed: int) -> Row:
    """One run, without a folder."""
    metrics = tsynd.run(tsynd.RunConfig("breastmnist", per_class=60, arm=arm, seed=seed, budget="cpu", device="cpu")).metrics
    return {
        "accuracy": metrics["clean"]["accuracy"],
        "auroc": metrics["clean"]["auroc"],
        "augmented": metrics["test_time_augmentation"]["outside"]["mean"],
        "pgd_2_255": metrics["attacks"]["pgd"]["0.0078"],
        "weights": metrics["weights_hash"],
    }


def summarise(rows: list[Row]) -> dict[str, dict[str, Any]]:
    """For each arm and measure: the largest difference between the two runs of a seed, beside the spread over seeds."""
    found: dict[str, dict[str, Any]] = {}
    for arm in ARMS:
        here, older = ({row["seed"]: row for row in rows if (row["arm"], row["kind"]) == (arm, kind)} for kind in KINDS)
        both = sorted(here.keys() & older.keys())
        found[arm] = {
            name: {
                "largest": round(max(abs(here[seed][name] - older[seed][name]) for seed in both), 4),
                "spread": round(stdev(here[seed][name] for seed in both), 4),
            }
            for name in WORDS
        } | {"same_weights": sum(here[seed]["weights"] == older[seed]["weights"] for seed in both), "seeds": len(both)}
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown, one row for each measure."""
    arms = list(found)
    head = "| measure | " + " | ".join(f"`{arm}`: largest difference | standard deviation over seeds" for arm in arms) + " |\n"
    rows = [
        f"| {word} | "
        + " | ".join(f"{found[arm][name]['largest']:.3f} | {found[arm][name]['spread']:.3f}" for arm in arms)
        + " |\n"
        for name, word in WORDS.items()
    ]
    return head + "|:--|" + "--:|--:|" * len(arms) + "\n" + "".join(rows)


if __name__ == "__main__":
    main()
