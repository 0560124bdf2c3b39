"""How long a default run takes, against the same run by an earlier version of the package.

    git worktree add ../version-3 59efb30^
    python benchmarks/bench_run.py --peer ../version-3 --out results/bench-run

`tsynd run --data breastmnist --per-class 60`, budget `cpu`, by arms `none` and `guarded`, everything included: imports, training,
evaluation, the audit and the report. Each run is a process of its own with one thread and an empty cache; the two versions take
turns. Processor time is that of the process and of those that it starts; wall-clock time means something only on a machine that
does nothing else.

`--out` gets `summary.json` and `table.md`.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from measure import write

ARMS = ("none", "guarded")
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure and write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("results/bench-run"), help="where the results go")
    parser.add_argument("--peer", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--turns", type=int, default=1, help="runs of each arm by each version")
    given = parser.parse_args()
    trees = {"now": ROOT, "before": given.peer.resolve()}
    runs: dict[str, list[dict[str, float]]] = {f"{arm}, {version}": [] for arm in ARMS for version in trees}
    for _ in range(given.turns):
        for arm in ARMS:
            for version, tree in trees.items():
                runs[f"{arm}, {version}"].append(one_run(tree, arm))
                print(f"{arm}, {version}", runs[f"{arm}, {version}"][-1], file=sys.stderr, flush=True)
    command = ["git", "-C", str(trees["before"]), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    found = {"before": commit, "turns": given.turns, "runs": runs, "ratio": {arm: ratios(runs, arm) for arm in ARMS}}
    write(given.out, found, table(found))


def one_run(tree: Path, arm: str) -> dict[str, float]:
    """One run by the package in `tree`: seconds of processor and of wall-clock."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PYTHONPATH": str(tree), "TSYND_CACHE": str(Path(folder, "cache")), "OMP_NUM_THREADS": "1"}
        command = [
            sys.executable,
            "-c",
            "from tsynd.cli import main; main()",
            "run",
            "--data",
            "breastmnist",
            "--per-class",
            "60",
            "--arm",
            arm,
        ]
        before, start = _of_children(), time.perf_counter()
        subprocess.run([*command, "--out", "run", "--quiet"], env=os.environ | settings, cwd=folder, check=True)
        return {"wall": round(time.perf_counter() - start, 1), "cpu": round(_of_children() - before, 1)}


def _of_children() -> float:
    """Seconds of processor that ended child processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ratios(runs: dict[str, list[dict[str, float]]], arm: str) -> dict[str, float]:
    """Medians of this version relative to those of the earlier one."""
    return {
        kind: round(median(run[kind] for run in runs[f"{arm}, now"]) / median(run[kind] for run in runs[f"{arm}, before"]), 2)
        for kind in ("cpu", "wall")
    }


def table(found: dict[str, Any]) -> str:
    """Markdown, one row for each arm."""
    head = "| default run | processor time, relative to version 3 |\n|:--|--:|\n"
    return head + "".join(f"| `{arm}` | {ratio['cpu']:.2f} × |\n" for arm, ratio in found["ratio"].items())


if __name__ == "__main__":
    main()
