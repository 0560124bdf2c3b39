"""What all benchmarks share: their command line, variants that take turns, memory in a process of its own, what is written."""

import argparse
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import device_name, versions


def options(doc: str | None, name: str, **memory_of: Any) -> argparse.Namespace:
    """The command line of a benchmark, on one thread: `--out`, and, if there is any, `--memory-of` as argparse takes it.

    Args:
        doc: the benchmark's docstring, whose first line is its help.
        name: the folder in results/.
        memory_of: how many values of which kind tell a process of its own what to measure.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("results") / name, help="where the results go")
    if memory_of:
        parser.add_argument("--memory-of", help=argparse.SUPPRESS, **memory_of)
    torch.set_num_threads(1)
    return parser.parse_args()


def write(out: Path, found: dict[str, Any], table: str) -> None:
    """Write what was found, with the machine and the versions, and its table."""
    write_json(out / "summary.json", found | {"device": device_name(torch.device("cpu")), "versions": versions()})
    write_text(out / "table.md", table)
    print(f"written to {out}")


def processor_seconds() -> float:
    """Seconds of processor that this process and those that it started and that have ended took: other work hardly changes it."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def turns(
    variants: Mapping[str, Callable[[], object]],
    count: int,
    repeats: Mapping[str, int] | None = None,
    clock: Callable[[], float] = processor_seconds,
) -> dict[str, float]:
    """Median seconds of each variant; they take turns, and the first turn is a warm-up.

    Args:
        variants: what is timed, by name.
        count: turns that count.
        repeats: calls in one turn, of variants that are too short to be timed alone.
        clock: gives seconds; where a device computes, `time.perf_counter`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(count + 1):
        for name, variant in variants.items():
            times = (repeats or {}).get(name, 1)
            start = clock()
            for _ in range(times):
                variant()
            if turn:
                seconds[name].append((clock() - start) / times)
    return {name: median(values) for name, values in seconds.items()}


def memory_of(script: str, *which: object) -> float | None:
    """What `script --memory-of WHICH…` prints: MB, measured in a process of its own; None where the system does not tell."""
    command = [sys.executable, script, "--memory-of", *map(str, which)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return None if told == "None" else round(float(told), 1)


def peak_growth(small: Callable[[], object], whole: Callable[[], object]) -> float | None:
    """By how many MB `whole` raises the peak of resident memory, after `small`, in which libraries allocate once."""
    small()
    before = peak()
    whole()
    after = peak()
    return None if before is None or after is None else after - before


def peak() -> float | None:
    """This process's peak resident set, in MB (unlike ru_maxrss, it does not begin at that of the parent)."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1000 if found else None
