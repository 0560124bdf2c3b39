"""What a run, a study, a download and a notebook survive: SIGKILL at any moment, a full disk, no memory, Ctrl-C twice."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resource", reason="needs signals and limits of POSIX")

from tests import processes
from tests.data.servers import QUICK, Answer, Server
from tests.processes import begin, end, results, survives, timed
from tests.study.toy import few
from tests.study.toy import results as study_results
from tests.test_run_notebooks import of_cells, write
from tsynd.data.downloads import download

KILLS = int(os.environ.get("TSYND_KILLS", "20"))  # in all; shared out among what is killed
TINY = {"steps": 12, "batch_size": 8, "refresh_every": 4, "refresh_count": 4, "capacity": 8, "samples": 2, "autoencoder_steps": 2}
EVALUATION = {"draws": 1, "attack_steps": 1}
RUN = ["run", "--data", "phantom:count=20", "--per-class", "8", "--budget", "smoke", "--device", "cpu", "--quiet"]
RUN += [word for name, value in (TINY | EVALUATION | {"limit": 2}).items() for word in ("--set", f"{name}={value}")]
Begin = Callable[[Path], Any]


def share(of_20: int) -> int:
    """So many of 20 kills, and as large a part of more."""
    return max(1, round(KILLS * of_20 / 20))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that nothing stopped, and the seconds that it took."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        folder = tmp_path_factory.mktemp("one")
        timed(processes.tsynd, "--version", said=folder / "version")  # until all is imported
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

    survives(share(6), seconds, begin_in, finished, check, tmp_path / "run")
    assert (tmp_path / "said").read_text() == ""


def test_a_study_that_is_killed_goes_on_to_the_same_bits(one: tuple[Path, float], tmp_path: Path) -> None:
    tiers = {"sets": [{"data": str(few(tmp_path)), "per_class": 8}], "seeds": "0-1", "arms": ["none", "guarded"]}
    study = {"name": "tiny", "budget": "smoke", "changes": TINY | EVALUATION, "tiers": [tiers]}
    (tmp_path / "tiny.yaml").write_text(json.dumps(study))
    command = ["study", "run", str(tmp_path / "tiny.yaml"), "--quiet", "--jobs", "1" if KILLS <= 20 else "2", "--out"]

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
    survives(share(5), seconds, begin_in, finished, check, tmp_path / "study")
    assert (tmp_path / "said").read_text() == ""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Answer) as server:
        server.content = os.urandom(4_000_000)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def test_a_download_that_is_killed_is_made_anew_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    address, md5 = f"{server.address('slow')}/file.npy", hashlib.md5(server.content).hexdigest()

    def begin_in(folder: Path) -> Any:
        return begin(download, [address], folder / "file.npy", md5, None, QUICK, said=tmp_path / "said")

    def finished(files: dict[str, bytes]) -> dict[str, bytes]:
        assert files in ({}, {"file.npy": server.content})
        return files

    def check(folder: Path) -> None:
        assert [path.name for path in folder.iterdir()] == ["file.npy"], "a kill left something behind"
        before = server.asked
        assert end(begin_in(folder)) == 0
        assert server.asked == before, "what was there is downloaded again"

    whole = tmp_path / "whole" / "file.npy"
    seconds = timed(download, [address], whole, md5, None, QUICK, said=tmp_path / "said")
    assert whole.read_bytes() == server.content
    survives(share(6), seconds, begin_in, finished, check, tmp_path / "download")


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
    survives(share(3), seconds, begin_in, finished, check, tmp_path / "book")
