"""What a worker does: all arms of one set, size and seed, one after the other."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tsynd.errors import DataUnavailable
from tsynd.runs.pipeline import run
from tsynd.study.plan import Planned
from tsynd.study.records import LOCKS, SHARED, finished, write_done, write_undone
from tsynd.utils.atomic_files import digest, write_text
from tsynd.utils.environment import processor, versions
from tsynd.utils.locks import at_once, host, process_has_exited


def run_block(folder: Path, block: Sequence[Planned], attempt: str) -> None:
    """Run what is not done of a block, unless another process is at it.

    A run that fails is recorded and does not stop the others; what is wrong with the folder itself, such as a full disk, does.

    Args:
        folder: the study's.
        block: runs that share data, subset and seed.
        attempt: names this call of `run_study`, in the records of what fails.

    Raises:
        OSError: when the folder cannot be written to.
    """
    with one_thread(), at_once(folder / LOCKS / f"{digest(block[0].block)}.lock") as held:
        if not held:
            return
        for planned in block:
            if not finished(folder, planned):
                _run(folder, planned, attempt)


def _run(folder: Path, planned: Planned, attempt: str) -> None:
    started, mark = time.perf_counter(), running(folder, planned)
    facts: dict[str, Any] = {"cpu": processor(), "versions": versions(), "commit": _commit(), "attempt": attempt}
    write_text(mark, f"{os.getpid()} {host()}")
    try:
        found = run(planned.config, shared=folder / SHARED, audited=False)
    except DataUnavailable as error:
        write_undone(folder, planned, "missing", str(error), facts)
    except OSError:
        raise
    except Exception as error:  # whatever it is, the other runs go on
        write_undone(folder, planned, "failed", " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":"), facts)
    else:
        write_done(folder, planned, found, facts | {"elapsed": round(time.perf_counter() - started, 1)})
    finally:
        with suppress(OSError):
            mark.unlink(missing_ok=True)


def running(folder: Path, planned: Planned) -> Path:
    """The file that is there while a run is running; it names the process."""
    return folder / LOCKS / f"{planned.key}.running"


def killed(folder: Path, planned: Planned) -> bool:
    """Whether a run was begun by a process of this machine that is no more."""
    try:
        number, _, here = running(folder, planned).read_text(encoding="utf-8").partition(" ")
        return here == host() and process_has_exited(int(number))
    except (OSError, ValueError):  # no such file: it has ended
        return False


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch inside the block: as many processes as cores, and the same numbers for any number of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _commit() -> str | None:
    """The commit of the package's source; None where it is not in a repository of its own."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None
