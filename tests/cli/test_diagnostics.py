"""tsynd doctor: each problem is found and has one line of advice; a good machine has none."""

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tsynd.cli import diagnostics, main
from tsynd.cli.diagnostics import Finding, examine, free_memory, to_json


@pytest.fixture(autouse=True)
def good_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set is here, and there is room and memory, whatever this machine has."""
    monkeypatch.setenv("TSYND_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=50 * 10**9))
    monkeypatch.setattr(diagnostics, "free_memory", lambda device: 8 * 10**9)
    monkeypatch.setattr(diagnostics, "cpu_count", lambda: 64)
    monkeypatch.setattr(diagnostics, "installed", lambda name: "9.0" if name == "ipywidgets" else "1.5")


def found(name: str) -> Finding:
    return next(each for each in examine() if each.name == name)


def command(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["tsynd", "doctor", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(str(caught.value.code))


def test_a_good_machine_has_no_problem(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [each for each in examine() if each.advice]
    assert command(monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.endswith("nothing is wrong\n")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("threads", {"cpu_count": lambda: 0}, "set OMP_NUM_THREADS=1"),
        ("free memory", {"free_memory": lambda device: 10**8}, "--jobs 1"),
        ("extra [attacks]", {"installed": lambda name: None if name == "foolbox" else "1.0"}, "pip install 'tsynd[attacks]'"),
        ("ipywidgets", {"installed": lambda name: "7.7.1"}, "not in Colab"),
        ("jupyter-book", {"installed": lambda name: "2.0"}, "jupyter-book<2"),
    ],
)
def test_each_problem_has_one_line_of_advice(
    name: str, change: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attribute, value in change.items():
        monkeypatch.setattr(diagnostics, attribute, value)
    assert words in found(name).advice
    assert "\n" not in found(name).advice


def test_an_extra_that_is_missing_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "installed", lambda name: None)
    assert found("extra [peers]") == Finding("extra [peers]", "baal missing")


def test_a_full_disk_and_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    assert "set TSYND_CACHE to another folder" in found("cache").advice
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**6))
    assert "make room" in found("working folder").advice


def test_a_damaged_data_file_is_a_problem_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "breastmnist.npz").write_bytes(b"cut off")
    assert "delete it to have it downloaded again" in found("breastmnist, 28 px").advice
    assert "pneumoniamnist" in found("not here yet").value
    assert command(monkeypatch=monkeypatch) == 1


def test_json_for_a_bug_report_hides_the_home_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TSYND_CACHE")
    assert command("--json", monkeypatch=monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1 and told["problems"] == 0
    assert next(each for each in told["findings"] if each["name"] == "cache")["value"].startswith("~/.cache/tsynd")
    assert to_json([Finding("a", "b", "do c")])["problems"] == 1


def test_memory_is_read_where_the_system_tells_it(tmp_path: Path) -> None:
    information = tmp_path / "meminfo"
    information.write_text("MemTotal: 9 kB\nMemAvailable:  5 kB\n")
    assert free_memory(torch.device("cpu"), information) == 5 * 1024
    assert free_memory(torch.device("cpu"), tmp_path / "nothing") is None
