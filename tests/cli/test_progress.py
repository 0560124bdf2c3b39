"""What is said while something runs: nothing when quiet, plain lines in a file, bars in a terminal."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from tsynd.cli.progress import _Bars, reporter
from tsynd.utils.progress import Step


class Terminal(io.StringIO):
    """Keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def opened(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A wide terminal in the place of the standard output (by a fixture it would be too early: pytest puts its own there)."""
    found = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stdout", found)
    return found


def test_quiet_is_no_callback_at_all() -> None:
    with reporter(quiet=True) as progress:
        assert progress is None


def test_a_file_gets_a_line_when_a_stage_begins_and_for_each_part_of_unknown_length(capsys: pytest.CaptureFixture[str]) -> None:
    told = [("load", 0, 0, "phantom"), ("training", 0, 100, ""), ("training", 50, 100, ""), ("synthesize", 1, 7, "images")]
    with reporter(quiet=False) as progress:
        assert progress is not None
        for each in [*told, ("evaluate", 0, 0, "clean"), ("evaluate", 1, 0, "attacks")]:
            progress(Step(*each))
    lines = ["load: phantom", "training: 100 steps", "synthesize: 7 images", "evaluate: clean", "evaluate: attacks"]
    assert capsys.readouterr().out.splitlines() == lines


def test_a_terminal_gets_a_bar_a_stage_and_notes_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    with reporter(quiet=False) as progress:
        assert progress is not None
        progress(Step("load", 0, 0, "phantom"))
        progress(Step("training", 10, 10, "warm-up"))
        progress(Step("note", 0, 0, "[bold]no markup"))
    text = terminal.getvalue()
    assert all(part in text for part in ("load", "training", "warm-up", "note: [bold]no markup"))
    assert "training: 10 steps" not in text  # which a file would get


def test_a_bar_ends_when_the_next_stage_begins_and_stays_where_it_is() -> None:
    bars = Progress(console=Console(file=io.StringIO()), auto_refresh=False)
    shown = _Bars(bars)
    shown(Step("load", 0, 0, "phantom"))
    assert (bars.tasks[0].total, bars.tasks[0].stop_time) == (None, None)
    shown(Step("training", 0, 0, ""))
    shown(Step("training", 3, 10, "step 3"))
    load, training = bars.tasks
    assert (load.completed, load.total) == (1, 1)  # of unknown length, and over
    assert load.stop_time is not None
    assert (training.completed, training.total, training.fields["text"], training.stop_time) == (3, 10, "step 3", None)
    shown.finish()
    assert training.stop_time is not None
    assert (training.completed, training.total) == (3, 10)


def test_a_study_tells_of_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    with reporter(quiet=False) as progress:
        assert progress is not None
        progress(Step("study", 3, 12, "2.0 h left; phantom"))
        progress(Step("study", 4, 12, "phantom"))
    assert capsys.readouterr().out.splitlines() == ["3 of 12 runs, 2.0 h left; phantom", "4 of 12 runs, phantom"]


def test_a_study_in_a_terminal_has_one_bar_and_takes_no_name_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    with reporter(quiet=False) as progress:
        assert progress is not None
        progress(Step("study", 1, 2, "[red]a"))
    assert "1 of 2 runs, [red]a" in terminal.getvalue()
