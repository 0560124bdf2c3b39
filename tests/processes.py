"""Commands in processes that start at once and may be killed at any moment: a server that has all imported forks them."""

import errno
import importlib
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from tests.patience import Hang
from tsynd.cli import main
from tsynd.utils.atomic_files import write_text
from tsynd.utils.tensor_files import read_tensors

FEW = 20
KILLS = int(os.environ.get("TSYND_KILLS", FEW))  # in all; shared out among what is killed
CONTEXT = multiprocessing.get_context("forkserver")
IMPORTS = [
    "tests.processes",
    "tsynd.runs.pipeline",
    "tsynd.study",
    "tsynd.utils.downloads",
    "joblib",
    "requests",
    "nbclient",
    "nbformat",
]
CONTEXT.set_forkserver_preload(IMPORTS)


def begin(work: Callable[..., Any], *given: Any, said: Path, largest: int | None = None) -> ForkServerProcess:
    """Start a function in a process group of its own.

    said: takes what is printed. largest: bytes in a file after which writing fails, with an error of the operating system.
    """
    process = CONTEXT.Process(target=_call, args=(work, given, str(said), dict(os.environ), largest))
    process.start()
    return process


def end(process: ForkServerProcess) -> int | None:
    """Wait for the end; the exit code."""
    assert process.pid is not None
    hangs = Hang(process.pid)
    while process.is_alive() and not hangs():
        process.join(timeout=2)
    code = process.exitcode
    process.close()
    return code


def kill_after(process: ForkServerProcess, seconds: float) -> bool:
    """SIGKILL to the whole group at that moment; False when the process had come to its end before it."""
    process.join(timeout=seconds)
    if process.exitcode is None and process.pid:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has no group yet, or is over just now
            process.kill()
    code = end(process)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _call(work: Callable[..., Any], given: tuple[Any, ...], said: str, environment: dict[str, str], largest: int | None) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    handle = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.environ.update(environment)
    torch.set_num_threads(1)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    work(*given)


def tsynd(*arguments: str) -> None:
    """The command line, with a checkpoint every other step; unless kills are many, without an audit and with an empty report."""
    pipeline: Any
    report: Any
    pipeline, report = importlib.import_module("tsynd.runs.pipeline"), importlib.import_module("tsynd.runs.report.page")
    pipeline.CHECKPOINT_EVERY = 2
    if KILLS <= FEW:
        pipeline.run = partial(pipeline.run, audited=False)
        report.write_report = lambda path, run: write_text(path, "<html>" + "drawn " * 2000 + "</html>\n")
    sys.argv = ["tsynd", *arguments]
    main()


def without(name: str, *arguments: str) -> None:
    """The command line, on a disk that has no room for a file of this name."""
    replace = Path.replace

    def refuse(self: Path, target: Any) -> Path:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    Path.replace = refuse  # type: ignore[assignment, method-assign]
    tsynd(*arguments)


def survives(
    count: int,
    seconds: float,
    begin_in: Callable[[Path], ForkServerProcess],
    finished: Callable[[dict[str, bytes]], dict[str, bytes]],
    check: Callable[[Path], None],
    folder: Path,
) -> None:
    """Kill what `begin_in` begins in a folder, `count` times in all, and begin it again; in another folder when it is through.

    The moments are random, spread evenly over `seconds`, what it takes from nothing to its end. finished: of a folder's files,
    those that must stay as they are. check: what must hold of a folder in which it is through.
    """
    draw = random.Random(folder.name)
    parts = [(part + draw.random()) / count for part in range(count)]
    draw.shuffle(parts)
    here, seen, kills, turn, fresh = folder / "0", dict[str, bytes](), 0, 0, True
    while kills < count:
        started = time.monotonic()
        killed = kill_after(begin_in(here), seconds * (parts[turn] if turn < count else draw.random()))
        now = finished(whole_files(here))
        assert {name: now.get(name) for name in seen} == seen, "what was finished is lost, or was done again"
        kills, seen, turn = kills + killed, now, turn + 1
        if not killed:
            check(here)
            if fresh:  # the machine is less busy than it was
                seconds = min(seconds, time.monotonic() - started)
            here, seen = folder / str(turn), {}
        fresh = not killed
    assert end(begin_in(here)) == 0
    now = finished(whole_files(here))
    assert {name: now.get(name) for name in seen} == seen
    check(here)


def timed(work: Callable[..., Any], *given: Any, said: Path) -> float:
    """Run a function to its end, which is a good one; the seconds that it took."""
    started = time.monotonic()
    assert end(begin(work, *given, said=said)) == 0, said.read_text()
    return time.monotonic() - started


def whole_files(folder: Path) -> dict[str, bytes]:
    """The bytes of all files under their final names, each read as what its name says; one that is truncated fails here."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")) and not name.startswith("locks/"):
            _read(path)
            found[name] = path.read_bytes()
    return found


def _read(path: Path) -> None:
    text = "" if path.suffix in (".npz", ".npy", ".safetensors") else path.read_text(encoding="utf-8")
    if path.suffix == ".npz":
        arrays_of(path)
    elif path.suffix == ".safetensors":
        read_tensors(path, "network")
    elif path.suffix in (".json", ".ipynb"):
        json.loads(text)
    elif path.suffix == ".yaml":
        assert {"name", "tiers", "recipe"} <= yaml.safe_load(text).keys()
    assert not text or text.rstrip().endswith("</html>") or (text.endswith("\n") and path.suffix != ".html"), path


def arrays_of(path: Path) -> dict[str, Any]:
    """The arrays of an `.npz`, as lists."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name].tolist() for name in arrays.files}


def results(folder: Path) -> dict[str, Any]:
    """What a finished run's folder says, without times: equal for equal runs, to the bit."""
    metrics = json.loads((folder / "metrics.json").read_text())
    seconds = metrics.pop("seconds")
    assert len(seconds) == 8
    weights = {path.name: read_tensors(path, "network")[0] for path in folder.glob("*.safetensors")}
    exact = {file: {name: tensor.numpy().tobytes() for name, tensor in each.items()} for file, each in weights.items()}
    synthetic = arrays_of(folder / "synthetic.npz") if (folder / "synthetic.npz").exists() else {}
    return {"metrics": json.dumps(metrics), "weights": exact, "synthetic": repr(synthetic)}
