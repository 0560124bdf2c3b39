"""Progress on the command line: bars in a terminal, one plain line a stage anywhere else, nothing when quiet."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rich.progress
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tsynd.utils.progress import Progress, Step

UNITS = {"synthesize": "images", "load": "images", "check": "images"}  # what a stage counts, where it is not steps


@contextmanager
def reporter(quiet: bool) -> Iterator[Progress | None]:
    """Give a callback that suits where the output goes."""
    if quiet:
        yield None
    elif sys.stdout.isatty():
        columns = (SpinnerColumn(), TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
        text = TextColumn("{task.fields[text]}", markup=False)
        with rich.progress.Progress(*columns, TimeRemainingColumn(compact=True), text) as bars:
            shown = _Bars(bars)
            try:
                yield shown
            finally:
                shown.finish()
    else:
        yield _Lines()


def _of_runs(step: Step) -> str:
    return f"{step.done} of {step.total} runs, {step.text}"


class _Bars:
    """One bar a stage; a stage whose length is unknown has a moving one."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, step: Step) -> None:
        stage = step.stage
        if stage == "note":
            self.bars.console.print(f"note: {step.text}", markup=False, highlight=False, soft_wrap=True)
            return
        if stage not in self.tasks:
            self.finish()
            self.tasks[stage] = self.bars.add_task(stage, total=None, text=step.text)
        text = _of_runs(step) if stage == "study" else step.text
        self.bars.update(self.tasks[stage], total=step.total or None, completed=step.done, text=text)

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

    def __call__(self, step: Step) -> None:
        if step.stage == "study":
            print(_of_runs(step), flush=True)
        elif step.stage != self.stage or not step.total:
            begins = not step.total or (step.text and not step.done)
            text = step.text if begins else f"{step.total} {UNITS.get(step.stage, 'steps')}"
            print(f"{step.stage}: {text}", flush=True)
        self.stage = step.stage
