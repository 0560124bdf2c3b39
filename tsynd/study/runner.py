"""Run a study: its blocks, each all arms of one set, size and seed, in processes here or on a Dask cluster, through joblib."""

import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import torch

from tsynd.errors import DataUnavailable, TsyndError
from tsynd.runs.estimate import duration
from tsynd.runs.pipeline import run
from tsynd.study.plan import Planned, Study
from tsynd.study.records import LOCKS, RUNS, SHARED, finished, open_study, read_record, write_done, write_table, write_undone
from tsynd.utils.atomic_files import digest, write_text
from tsynd.utils.environment import processor, versions
from tsynd.utils.locks import at_once, host, process_has_exited
from tsynd.utils.progress import Progress, Step
from tsynd.utils.rules import choice, validated, whole

BACKENDS = ("loky", "dask")
POLL = 2.0  # seconds between two looks at what is done


@validated
def run_study(
    study: Study,
    folder: str | Path,
    *,
    jobs: Annotated[int, whole(1)] = 1,
    backend: Annotated[str, choice("backend", BACKENDS)] = "loky",
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Run what is not done of a study. Called again, it goes on; several calls may work on one folder.

    Each run is written when it is done and never run again. One that fails, or whose process is killed, is recorded, and the
    others go on; the next call tries it again.

    Args:
        study: from `read_study`.
        folder: for the records and the table; new, or of the same study.
        jobs: processes on this machine, one thread each; a cluster has as many as it has workers.
        backend: `loky`, processes here, or `dask`.
        scheduler: the address of a Dask scheduler, such as tcp://10.0.0.1:8786; the folder must be the same on all machines.
        progress: called as runs end, with the runs that are done.

    Returns:
        How many runs are `done`, `failed` and `missing`.

    Raises:
        TsyndError: for a folder that does not fit the study; without Dask, or when its scheduler does not answer.
        OSError: when the folder cannot be written to: the same call goes on where it stopped.
    """
    folder, runs = Path(folder).absolute(), study.runs()
    open_study(folder, study)
    attempt = secrets.token_hex(4)
    with ExitStack() as stack:
        stack.callback(write_table, folder)
        parallel = stack.enter_context(_backend(backend, jobs, scheduler))
        if progress:
            stack.enter_context(_watched(folder, runs, parallel, progress))
        while todo := [each for each in runs if not _over(folder, each, attempt)]:
            before = len(todo)
            blocks = [list(block) for _, block in groupby(todo, key=lambda each: each.block)]
            if not _ran(parallel, folder, blocks, attempt):
                find_killed_run(parallel, folder, todo, attempt, alone=backend == "loky")
            elif before == sum(not _over(folder, each, attempt) for each in todo):
                time.sleep(POLL)  # others are at all that is left
    if all(finished(folder, each) for each in runs):
        for name in (SHARED, LOCKS):
            shutil.rmtree(folder / name, ignore_errors=True)
    records = [read_record(path) for each in runs if (path := folder / RUNS / f"{each.key}.json").exists()]
    return {status: sum(record["status"] == status for record in records) for status in ("done", "failed", "missing")}


@validated
def seconds_left(
    todo: Sequence[Planned], records: Sequence[Mapping[str, Any]], jobs: Annotated[int, whole(1)] = 1
) -> float | None:
    """How long the runs will take on `jobs` processes, by those measured: of the same set and arm, else set, else any.

    None when none has been measured.
    """
    measured = [record for record in records if record["status"] == "done" and isinstance(record.get("elapsed"), int | float)]
    if not measured:
        return None
    by: dict[tuple[str | None, str | None], list[float]] = {}
    for record in measured:
        for place in ((record["data"], record["arm"]), (record["data"], None), (None, None)):
            by.setdefault(place, []).append(record["elapsed"])
    mean = {place: fmean(values) for place, values in by.items()}
    places = [((each.config.data, each.arm), (each.config.data, None), (None, None)) for each in todo]
    return sum(next(mean[place] for place in of_run if place in mean) for of_run in places) / jobs


def _step(done: int, total: int, left: float | None, record: Mapping[str, Any]) -> Step:
    """What is told when a run has ended: its record, and the seconds left, where they are known."""
    ended = f"{record['data']}, {record['per_class']} per class, seed {record['seed']}, {record['arm']}: {record['status']}"
    why = f" ({record['error']})" if record["error"] else ""
    return Step("study", done, total, f"{'' if left is None else f'{duration(left)} left; '}{ended}{why}")


def _over(folder: Path, planned: Planned, attempt: str) -> bool:
    """Whether nothing is left to do for a run in this call: it is done, or was tried."""
    if finished(folder, planned):
        return True
    path = folder / RUNS / f"{planned.key}.json"
    return path.exists() and read_record(path).get("attempt") == attempt


def _ran(parallel: Any, folder: Path, blocks: Sequence[Sequence[Planned]], attempt: str) -> bool:
    """Run blocks; False when a worker was killed, which ends the whole call of joblib."""
    from joblib import delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        parallel(delayed(run_block)(folder, block, attempt) for block in blocks)
    except BrokenProcessPool:
        return False
    except Exception as error:
        if type(error).__name__ != "KilledWorker":  # Dask's, which may not be installed
            raise
        return False
    return True


def find_killed_run(parallel: Any, folder: Path, todo: Sequence[Planned], attempt: str, *, alone: bool) -> None:
    """Record which run killed its worker. When one is killed joblib ends them all, so the suspects run again, one at a time."""
    for suspect in [each for each in todo if killed(folder, each)]:
        if not alone or not _ran(parallel, folder, [[suspect]], attempt):
            message = "the process was killed while it ran, out of memory perhaps"
            write_undone(folder, suspect, "failed", message, {"attempt": attempt})
        running(folder, suspect).unlink(missing_ok=True)


@contextmanager
def _backend(backend: str, jobs: int, scheduler: str | None) -> Iterator[Any]:
    """A joblib.Parallel on this machine or on a cluster."""
    from joblib import Parallel, parallel_config

    if backend == "loky":
        if scheduler:
            raise TsyndError(f"--scheduler {scheduler} needs --backend dask")
        with parallel_config(backend="loky", inner_max_num_threads=1):
            yield Parallel(n_jobs=jobs)
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise TsyndError("--backend dask needs Dask, which is not installed: pip install 'tsynd[dask]'") from error
    if not scheduler:
        raise TsyndError("--backend dask needs the address of a scheduler: --scheduler tcp://HOST:8786")
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise TsyndError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client, parallel_config(backend="dask", wait_for_workers_timeout=60):
        yield Parallel(n_jobs=-1)


@contextmanager
def _watched(folder: Path, runs: Sequence[Planned], parallel: Any, progress: Progress) -> Iterator[None]:
    """Tell of each run that ends, whoever runs it, with the time left."""
    from joblib import effective_n_jobs

    jobs = max(1, effective_n_jobs(parallel.n_jobs))  # as many as a cluster has workers
    over, paths = threading.Event(), {folder / RUNS / f"{each.key}.json": each for each in runs}
    written = {path: path.stat().st_mtime_ns for path in paths if path.exists()}
    records = {path: read_record(path) for path in written}

    def look() -> None:
        for path in paths:
            if path.exists() and written.get(path) != (time_ns := path.stat().st_mtime_ns):
                written[path], records[path] = time_ns, read_record(path)
                left = [each for at, each in paths.items() if at not in records or records[at]["status"] != "done"]
                seconds = seconds_left(left, list(records.values()), jobs)
                progress(_step(len(paths) - len(left), len(paths), seconds, records[path]))

    def watch() -> None:
        while not over.wait(POLL):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        look()


def run_block(folder: Path, block: Sequence[Planned], attempt: str) -> None:
    """Run what is not done of a block, unless another process is at it.

    A run that fails is recorded and does not stop the others; what is wrong with the folder itself, such as a full disk, does.
    The block's runs share data, subset and seed; `attempt` names this call of `run_study`, in the records of what fails.
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
