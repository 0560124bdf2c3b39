"""What a run, a study, a download and a notebook survive: SIGKILL at any moment, a full disk, no memory, Ctrl-C twice."""

import os
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="kills processes as POSIX does")

from tests import processes
from tests.processes import begin, kill_after, moments, results, timed, whole_files

KILLS = int(os.environ.get("TSYND_KILLS", "20"))  # in all; shared out among what is killed
TINY = {"steps": 12, "batch_size": 8, "refresh_every": 4, "refresh_count": 4, "capacity": 8, "samples": 4, "autoencoder_steps": 2}
EVALUATION = {"draws": 1, "attack_steps": 1, "limit": 4}
RUN = ["run", "--data", "phantom:count=20", "--per-class", "8", "--budget", "smoke", "--device", "cpu", "--quiet"]
RUN += [word for name, value in (TINY | EVALUATION).items() for word in ("--set", f"{name}={value}")]


def share(of_20: int) -> int:
    """How many of the kills."""
    return max(1, round(KILLS * of_20 / 20))


@pytest.fixture(autouse=True)
def same_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    said, count = tmp_path / "said", share(6)
    timed(processes.tsynd, *RUN, "--out", str(tmp_path / "first"), said=said)  # all is imported by then
    seconds = timed(processes.tsynd, *RUN, "--out", str(tmp_path / "whole"), said=said)
    expected, kills, attempt = results(tmp_path / "whole"), 0, 0
    assert results(tmp_path / "first") == expected
    folder, seen = tmp_path / "killed", dict[str, bytes]()
    for moment in moments(count, seconds, "run"):
        killed = kill_after(begin(processes.tsynd, *RUN, "--out", str(folder), said=said), moment)
        now = whole_files(folder)
        now.pop("checkpoint.safetensors", None)
        assert {name: now[name] for name in seen} == seen, "a finished stage was lost or done again"
        seen, kills = now, kills + killed
        if not killed:
            assert results(folder) == expected
            attempt += 1
            folder, seen = tmp_path / f"killed-{attempt}", {}
        if kills == count:
            break
    if seen:
        timed(processes.tsynd, *RUN, "--out", str(folder), said=said)
    assert results(folder) == expected
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert said.read_text() == ""
