"""What the last execution of each notebook was: how long it took, on what, with which versions and data.

One file a notebook, `results/notebooks/NAME.json`, written by `run_notebooks.py` and never by its --check. No date: the
commit says when.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import torch

from tsynd.data.medmnist.download import fetch
from tsynd.data.medmnist.registry import REGISTRY
from tsynd.errors import DataUnavailable
from tsynd.utils.atomic_files import write_json
from tsynd.utils.environment import processor, versions


def place(path: Path) -> Path:
    """Where the facts about the notebook at `path` stand."""
    return path.parent.parent / "results" / "notebooks" / f"{path.stem}.json"


def read(path: Path) -> dict[str, Any] | None:
    """The facts about the last execution of a notebook, or None before the first."""
    file = place(path)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def write(path: Path, seconds: float, processor_seconds: float, data: list[str]) -> None:
    """Record an execution that has just ended, of a notebook that uses these data sets.

    On a shared machine the clock also counts the others' work; the time of the processor is what one free core needs.
    """
    facts = {
        "seconds": round(seconds),
        "processor_seconds": round(processor_seconds),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())),
        "versions": versions(),
        "commit": _commit(path.parent),
        "sha256": {REGISTRY[name].file(28): _sha256(name) for name in data if name in REGISTRY},
    }
    write_json(place(path), facts)


def _commit(folder: Path) -> str | None:
    """The last commit before the execution; None outside a repository."""
    command = ["git", "rev-parse", "--short=10", "HEAD"]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _sha256(name: str) -> str | None:
    """The checksum of a set's file; None when the notebook had to do without."""
    try:
        with fetch(REGISTRY[name], download=False).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except DataUnavailable:
        return None
