"""`tsynd study` on the command line: the list of what is to do, the runs, the report, and exit codes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.study.toy import pretend
from tsynd import cli
from tsynd.runs.config import RunConfig
from tsynd.study import read_study
from tsynd.study.runner import run_study

TEXT = """name: toy
budget: smoke
tiers:
- {sets: [{data: phantom, per_class: 20}, {data: 'phantom:seed=1', per_class: all}], seeds: 0, arms: [none, tsynd]}
"""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """`tsynd study ...` in this process; gives the exit code."""

    def called(*arguments: object) -> object:
        monkeypatch.setattr("sys.argv", ["tsynd", "study", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    return called


def test_a_dry_run_lists_what_is_done_and_what_is_to_do_and_runs_nothing(
    call: Callable[..., object],
    written: Callable[[str], Path],
    ran: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, out = written(TEXT), tmp_path / "out"
    assert call("run", file, "--out", out, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ", 1)[1] for line in lines[:2]] == [
        "to do  phantom, 20 per class, seed 0, none",
        "to do  phantom, 20 per class, seed 0, tsynd",
    ]
    assert lines[2].endswith("to do  phantom:seed=1, all per class, seed 0, none")
    assert lines[4:] == ["4 of 4 runs to do; time on 1 process(es): unknown: none has been measured"]
    assert not out.exists()
    assert ran == []

    run_study(read_study(file), out)
    key = read_study(file).runs()[1].key
    (out / "runs" / f"{key}.npz").unlink()  # one is lost
    ran.clear()
    assert call("run", file, "--out", out, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1].strip() for line in lines[:4]] == ["done", "to do", "done", "done"]
    assert lines[4] == "1 of 4 runs to do; time on 1 process(es): under 1 min"
    assert ran == []


def test_runs_are_told_one_by_one_and_counted(
    call: Callable[..., object],
    written: Callable[[str], Path],
    ran: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert call("run", written(TEXT), "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" runs")[0] for line in lines[:4]] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert lines[4:] == [f"4 done, 0 failed, 0 missing: {out / 'runs.csv'}"]
    assert call("run", written(TEXT), "--out", out, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert len(ran) == 4


def test_a_run_that_failed_is_exit_code_1(
    call: Callable[..., object],
    written: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(config: RunConfig) -> None:
        if config.arm == "tsynd":
            raise RuntimeError("planted")

    pretend(monkeypatch, fail)
    assert call("run", written(TEXT), "--out", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert "tsynd: failed (RuntimeError: planted)" in captured.out
    assert "2 done, 2 failed, 0 missing" in captured.out
    assert captured.err == ""


def test_the_report_says_its_verdicts_and_where_it_is(
    call: Callable[..., object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Path] = []

    def write_report(folder: Path) -> dict[str, str]:
        asked.append(folder)
        return {"accuracy": "undecided", "attacks": "supported"}

    monkeypatch.setattr("tsynd.study.write_report", write_report)
    assert call("report", "a") == 0
    assert capsys.readouterr().out.splitlines() == [
        "accuracy: undecided",
        "attacks: supported",
        f"report: {Path('a') / 'report' / 'report.md'}",
    ]
    assert call("report", "b", "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert asked == [Path("a"), Path("b")]


def test_a_study_that_cannot_be_read_is_one_line_and_exit_code_2(
    call: Callable[..., object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", tmp_path) == 2
    assert call("run", tmp_path / "none.yaml", "--out", tmp_path / "out") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(error.startswith("error: ") for error in errors)
