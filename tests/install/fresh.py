"""Environments of their own, as someone has who has never seen this project."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
PINS = dict(line.strip().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; what it says on stderr when it fails."""
    done = subprocess.run([str(each) for each in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    return done.stdout


def new_environment(place: Path, *first: str) -> Path:
    """A virtual environment with torch, at the tested version, and `first`; gives its Python."""
    run(sys.executable, "-m", "venv", place / "venv")
    python = place / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"torch=={PINS['torch']}", *first)
    return python


def add_kernel(python: Path, place: Path, name: str) -> None:
    """Make the environment's Python a kernel for notebooks, known inside `place` only."""
    run(python, "-m", "ipykernel", "install", "--prefix", place, "--name", name)


@contextmanager
def inside(python: Path, place: Path, **more: str) -> Iterator[None]:
    """Environment variables of someone who works there, whose home is `place`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTHONPATH", "VIRTUAL_ENV"):
            patch.delenv(name, raising=False)
        for name, value in ({"JUPYTER_PATH": str(place / "share/jupyter"), "HOME": str(place)} | more).items():
            patch.setenv(name, value)
        patch.setenv("PATH", f"{python.parent}{os.pathsep}{os.environ['PATH']}")
        yield


def execute(notebook: NotebookNode, place: Path, kernel: str) -> None:
    """Run a notebook to its end, in place; an error in a cell is raised."""
    NotebookClient(notebook, timeout=600, kernel_name=kernel, resources={"metadata": {"path": str(place)}}).execute()
