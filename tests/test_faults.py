"""What a run, a study, a download and a notebook survive: SIGKILL at any moment, a full disk, no memory, Ctrl-C twice."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resource", reason="needs signals and limits of POSIX")

from tests import processes
from tests.processes import FEW, KILLS, begin, end, results, survives, timed, whole_files
from tests.servers import QUICK, Server, running
from tests.study.toy import few
from tests.study.toy import results as study_results
from tests.tools.test_run_notebooks import of_cells, write
from tsynd.study.records import read_records
from tsynd.utils.downloads import download

pytestmark = pytest.mark.deep

TINY = {"steps": 12, "batch_size": 8, "refresh_every": 4, "refresh_count": 4, "capacity": 8, "samples": 2, "autoencoder_steps": 2}
EVALUATION = {"draws": 1, "attack_steps": 1}
RUN = ["run", "--data", "phantom:count=20", "--per-class", "8", "--budget", "smoke", "--device", "cpu", "--quiet"]
RUN += [word for name, value in (TINY | EVALUATION | {"limit": 2}).items() for word in ("--set", f"{name}={value}")]
Work = Callable[..., Any]


def share(of_20: int) -> int:
    """So many of 20 kills, and as large a part of more."""
    return max(1, round(KILLS * of_20 / FEW))


def study(folder: Path) -> list[str]:
    """The command that runs a study of four runs; its file and its data are in the folder."""
    tiers = {"sets": [{"data": str(few(folder)), "per_class": 8}], "seeds": "0-1", "arms": ["none", "guarded"]}
    file = {"name": "tiny", "budget": "smoke", "changes": TINY | EVALUATION, "tiers": [tiers]}
    (folder / "tiny.yaml").write_text(json.dumps(file))
    return ["study", "run", str(folder / "tiny.yaml"), "--quiet"]


@pytest.fixture(scope="module", autouse=True)
def ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All is imported where processes are forked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        timed(processes.tsynd, "--version", said=tmp_path_factory.mktemp("ready") / "said")


@pytest.fixture(scope="module")
def one(ready: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that nothing stopped, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("one")
    return folder / "run", timed(processes.tsynd, *RUN, "--out", str(folder / "run"), said=folder / "said")


def test_a_run_that_is_killed_goes_on_to_the_same_bits(one: tuple[Path, float], tmp_path: Path) -> None:
    whole, seconds = one
    expected, names = results(whole), sorted(path.name for path in whole.iterdir())

    def begin_in(folder: Path) -> Any:
        return begin(processes.tsynd, *RUN, "--out", str(folder), said=tmp_path / "said")

    def finished(files: dict[str, bytes]) -> dict[str, bytes]:
        return {name: files[name] for name in files if name != "checkpoint.safetensors"}

    def check(folder: Path) -> None:
        assert results(folder) == expected
        assert sorted(path.name for path in folder.iterdir()) == names, "a kill left something behind"

    survives(share(4), seconds, begin_in, finished, check, tmp_path / "run")
    assert (tmp_path / "said").read_text() == ""


def test_a_study_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    command = [*study(tmp_path), "--jobs", "1" if KILLS <= FEW else "2", "--out"]

    def begin_in(folder: Path) -> Any:
        return begin(processes.tsynd, *command, str(folder), said=tmp_path / "said")

    def finished(files: dict[str, bytes]) -> dict[str, bytes]:
        done = {name for name in files if name.startswith("runs/") and name.endswith(".json")}
        assert all(json.loads(files[name])["status"] == "done" for name in done)
        return {name: files[name] for name in files if name.replace(".npz", ".json") in done}

    def check(folder: Path) -> None:
        assert study_results(folder) == expected
        assert sorted(path.name for path in folder.rglob("*")) == names, "a kill left something behind"

    seconds = timed(processes.tsynd, *command, str(tmp_path / "whole"), said=tmp_path / "said")
    expected, names = study_results(tmp_path / "whole"), sorted(path.name for path in (tmp_path / "whole").rglob("*"))
    assert len(expected) == 4
    survives(share(4), seconds, begin_in, finished, check, tmp_path / "study")
    assert (tmp_path / "said").read_text() == ""


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        server.content = os.urandom(4_000_000)
        yield server


def test_a_download_that_is_killed_is_made_anew_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    address, md5 = f"{server.address('slow')}/file.npy", hashlib.md5(server.content).hexdigest()

    def begin_in(folder: Path) -> Any:
        return begin(download, [address], folder / "file.npy", md5, None, QUICK, said=tmp_path / "said")

    def finished(files: dict[str, bytes]) -> dict[str, bytes]:
        assert files in ({}, {"file.npy": server.content})
        return files

    def check(folder: Path) -> None:
        assert sorted(path.name for path in folder.iterdir()) == [".file.npy.lock", "file.npy"], "a kill left something behind"
        before = server.asked
        assert end(begin_in(folder)) == 0
        assert server.asked == before, "what was there is downloaded again"

    whole = tmp_path / "whole" / "file.npy"
    seconds = timed(download, [address], whole, md5, None, QUICK, said=tmp_path / "said")
    assert whole.read_bytes() == server.content
    survives(share(8), seconds, begin_in, finished, check, tmp_path / "download")


def run_notebooks(folder: Path) -> None:
    from run_notebooks import main

    raise SystemExit(main([], folder))


def test_notebooks_that_are_killed_are_as_they_were_or_executed(tmp_path: Path) -> None:
    from nbformat.v4 import new_code_cell

    def begin_in(folder: Path) -> Any:
        if not folder.exists():
            (folder / "notebooks").mkdir(parents=True)
            write(folder / "notebooks", of_cells(new_code_cell("print(6 * 7)")))
        return begin(run_notebooks, folder / "notebooks", said=tmp_path / "said")

    def finished(files: dict[str, bytes]) -> dict[str, bytes]:
        (notebook,) = (name for name in files if name.endswith(".ipynb"))
        assert files[notebook] in (stale, executed)
        return {notebook: files[notebook]} if files[notebook] == executed else {}

    def check(folder: Path) -> None:
        assert (folder / "notebooks/a.ipynb").read_bytes() == executed
        assert sorted(path.name for path in folder.rglob("*")) == ["a.ipynb", "a.json", "notebooks", "notebooks", "results"]

    (tmp_path / "notebooks").mkdir()
    path = write(tmp_path / "notebooks", of_cells(new_code_cell("print(6 * 7)")))
    stale = path.read_bytes()
    seconds = timed(run_notebooks, path.parent, said=tmp_path / "said")
    executed = path.read_bytes()
    assert b"42" in executed and executed != stale
    survives(share(4), seconds, begin_in, finished, check, tmp_path / "book")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, of so many bytes as `resize` says."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def resize(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", disk], check=True)


def hidden(folder: Path) -> list[str]:
    """The hidden files of a folder: of these the lock stays."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def fails(message: str, *given: str, said: Path, largest: int | None = None, work: Work = processes.tsynd) -> None:
    """A command fails with this one line."""
    said.unlink(missing_ok=True)
    assert end(begin(work, *given, said=said, largest=largest)) == 2
    text = said.read_text()
    assert text.count("\n") == 1 and message in text, text


def test_a_run_on_a_disk_that_is_too_small_goes_on_when_there_is_room(
    one: tuple[Path, float], disk: Path, tmp_path: Path
) -> None:
    out, seen = disk / "run", dict[str, bytes]()
    (disk / "ballast").write_bytes(bytes(64 * 1024))
    fails(f"--out {out} cannot be written: No space left on device", *RUN, "--out", str(out), said=tmp_path / "said")
    (disk / "ballast").unlink()
    for kilobytes, name in ((64, "autoencoder"), (1500, "checkpoint"), (3000, "checkpoint")):
        resize(disk, f"size={kilobytes}k")
        message = f"error: No space left on device: {out / name}.safetensors"
        fails(message, *RUN, "--out", str(out), said=tmp_path / "said")
        now = whole_files(out)
        now.pop("checkpoint.safetensors", None)
        assert {name: now.get(name) for name in seen} == seen
        assert hidden(out) == [".lock"], "what there was no room for is still there"
        seen = now
    resize(disk, "size=8m")
    timed(processes.tsynd, *RUN, "--out", str(out), said=tmp_path / "said")
    assert results(out) == results(one[0])


def test_a_run_that_cannot_write_one_of_its_files_goes_on_when_it_can(one: tuple[Path, float], tmp_path: Path) -> None:
    out, said = tmp_path / "run", tmp_path / "said"
    fails(f"--out {out} cannot be written: File too large", *RUN, "--out", str(out), said=said, largest=500)
    fails(f"error: File too large: {out}/autoencoder.safetensors\n", *RUN, "--out", str(out), said=said, largest=100_000)
    present, tables = ["autoencoder.safetensors", "config.json"], {"predictions.csv", "splits.csv"}
    for name in ("synthetic.npz", "metrics.json"):
        fails(f"error: No space left on device: {out / name}\n", name, *RUN, "--out", str(out), said=said, work=processes.without)
        assert sorted(whole_files(out).keys() - {"checkpoint.safetensors", "report.html"} - tables) == sorted(present)
        present += [name, "classifier.safetensors"]
    assert hidden(out) == [".lock"], "what there was no room for is still there"
    timed(processes.tsynd, *RUN, "--out", str(out), said=tmp_path / "done")
    assert results(out) == results(one[0])


def test_a_full_disk_is_no_failure_of_a_study_s_runs(tmp_path: Path) -> None:
    out = tmp_path / "study"
    command = [*study(tmp_path), "--out", str(out)]
    fails(f"error: File too large: {out}/shared/", *command, said=tmp_path / "said", largest=100_000)
    assert {record["status"] for record in read_records(out)} <= {"done"}
    assert "runs.csv" in whole_files(out)


@pytest.mark.parametrize("names", [RUN, None])
def test_a_folder_that_may_not_be_written_to(names: list[str] | None, disk: Path, tmp_path: Path) -> None:
    command, said = names or study(tmp_path), tmp_path / "said"
    (disk / "file").touch()
    fails("Not a directory", *command, "--out", str(disk / "file" / "out"), said=said)
    fails(f"--out {disk / 'file'} is a file: name a folder", *command, "--out", str(disk / "file"), said=said)
    resize(disk, "ro")
    fails("Read-only file system", *command, "--out", str(disk / "out"), said=said)


def interrupted(ready: Path, *command: str, said: Path) -> None:
    """Ctrl-C, and again and again while it shuts down, once the file or folder `ready` is there: one line."""
    call = begin(processes.tsynd, *command, said=said)
    while not ready.exists():
        assert call.is_alive(), said.read_text()
        time.sleep(0.01)
    assert call.pid is not None
    for _ in range(10):
        with contextlib.suppress(ProcessLookupError):  # it is over
            os.killpg(call.pid, signal.SIGINT)
        time.sleep(0.002)
    assert end(call) == 130
    assert said.read_text() == "error: interrupted: the same command goes on where it stopped\n"


def test_ctrl_c_twice_in_a_run_is_one_line_and_it_goes_on_to_the_same_bits(one: tuple[Path, float], tmp_path: Path) -> None:
    out = tmp_path / "run"
    interrupted(out / "checkpoint.safetensors", *RUN, "--out", str(out), said=tmp_path / "said")
    left = whole_files(out)
    assert left.keys() >= {"autoencoder.safetensors", "checkpoint.safetensors"} and "metrics.json" not in left
    timed(processes.tsynd, *RUN, "--out", str(out), said=tmp_path / "done")
    assert results(out) == results(one[0])


@pytest.mark.parametrize("jobs", ["1"] if KILLS <= FEW else ["1", "2"])
def test_ctrl_c_twice_in_a_study_is_one_line_and_it_goes_on(jobs: str, tmp_path: Path) -> None:
    out, command = tmp_path / "study", [*study(tmp_path), "--jobs", jobs]
    interrupted(out / "shared", *command, "--out", str(out), said=tmp_path / "said")
    before = whole_files(out)
    assert "study.yaml" in before
    assert {record["status"] for record in read_records(out)} <= {"done"}
    timed(processes.tsynd, *command, "--out", str(out), said=tmp_path / "done")
    after = whole_files(out)
    assert all(after[name] == before[name] for name in before if name.endswith(".json"))
    assert len(after["runs.csv"].splitlines()) == 5
