"""Progress on the command line: bars in a terminal, one plain line a stage anywhere else, nothing when quiet."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tsynd.runs.estimate import duration
from tsynd.runs.pipeline import Progress as Callback

StudyCallback = Callable[[int, int, float | None, Mapping[str, Any]], None]

UNITS = {"synthesize": "images", "load": "images", "check": "images"}  # what a stage counts, where it is not steps


@contextmanager
def reporter(quiet: bool) -> Iterator[Callback | None]:
    """A progress callback for `tsynd.runs.pipeline.run` that suits where the output goes."""
    if quiet:
        yield None
    elif sys.stdout.isatty():
        columns = (SpinnerColumn(), TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(compact=True), TextColumn("{task.fields[text]}")) as bars:
            shown = _Bars(bars)
            try:
                yield shown
            finally:
                shown.finish()
    else:
        yield _Lines()


@contextmanager
def study_reporter(quiet: bool) -> Iterator[StudyCallback | None]:
    """A progress callback for `tsynd.study.run_study`: one bar in a terminal, a line a run anywhere else."""
    if quiet:
        yield None
    elif sys.stdout.isatty():
        with Progress(SpinnerColumn(), BarColumn(), TextColumn("{task.description}")) as bar:
            task = bar.add_task("starting", total=None)
            yield lambda done, total, left, record: bar.update(
                task, completed=done, total=total, description=escape(_told(done, total, left, record))
            )
    else:
        yield lambda *told: print(_told(*told), flush=True)


def _told(done: int, total: int, left: float | None, record: Mapping[str, Any]) -> str:
    ended = f"{record['data']}, {record['per_class']} per class, seed {record['seed']}, {record['arm']}: {record['status']}"
    why = f" ({record['error']})" if record["error"] else ""
    return f"{done} of {total} runs{'' if left is None else f', {duration(left)} left'}; {ended}{why}"


class _Bars:
    """One bar a stage; a stage whose length is unknown has a moving one."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, text: str) -> None:
        if stage == "note":
            self.bars.console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)
            return
        if stage not in self.tasks:
            self.finish()
            self.tasks[stage] = self.bars.add_task(stage, total=None, text=text)
        if total:
            self.bars.update(self.tasks[stage], total=total)
        self.bars.update(self.tasks[stage], completed=done, text=text)

    def finish(self) -> None:
        """Stop every bar where it is; one of unknown length is over, so it is full."""
        for task in self.bars.tasks:
            if task.total is None:
                self.bars.update(task.id, total=1, completed=1)
            self.bars.stop_task(task.id)


class _Lines:
    """A line when a stage begins, and a line for each part of a stage whose length is unknown or not yet known."""

    def __init__(self) -> None:
        self.stage = ""

    def __call__(self, stage: str, done: int, total: int, text: str) -> None:
        if stage != self.stage or not total:
            print(f"{stage}: {text}" if not total else f"{stage}: {total} {UNITS.get(stage, 'steps')}", flush=True)
        self.stage = stage
