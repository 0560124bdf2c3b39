"""Waiting for other processes on a busy machine: a hang is told by lack of progress, not by a clock."""

import subprocess
import time
from pathlib import Path

IDLE = 120  # seconds without any work of a process: on the busiest machine it would have had its turn


def work_of(number: int) -> float | None:
    """The processor time that a process and its finished children have had, in ticks; None where nobody tells it."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(float, fields[11:15]))


class Hang:
    """Says whether a process has stopped working: call it now and then."""

    def __init__(self, number: int) -> None:
        self.number, self.work, self.since = number, work_of(number), time.monotonic()

    def __call__(self) -> bool:
        if (now := work_of(self.number)) is None or now != self.work:
            self.work, self.since = now, time.monotonic()
        return time.monotonic() - self.since > IDLE


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Wait for the end of a process while it works; what it printed. One that hangs is killed, and fails the test."""
    hangs = Hang(process.pid)
    while True:
        try:
            return process.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            if hangs():
                process.kill()
                raise AssertionError(f"{process.args!r} has not worked for {IDLE} s") from None
