"""Work that two processes must not do at once. The locks are filelock's: the system frees them when their owner dies."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone(path: Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock file `path`; while another process or thread holds it, call `waiting` once and wait."""
    with at_once(path) as held:
        if held:
            yield
            return
    if waiting:
        waiting()
    with FileLock(path):
        yield


@contextmanager
def at_once(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` and give True, or give False when another process or thread holds it.

    >>> import tempfile
    >>> lock = Path(tempfile.mkdtemp()) / "a.lock"
    >>> with at_once(lock) as first, at_once(lock) as second:
    ...     first, second
    (True, False)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def process_has_exited(number: int) -> bool:
    """Whether the process of this number, on this machine, is no more; False where that cannot be known.

    One that is dead and that its parent has not asked after counts as ended: in a container it may stay so for ever.
    """
    if os.name != "posix":
        return False
    try:
        os.kill(number, 0)  # signal 0 asks and does nothing
        state = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return state[:1] in (["Z"], ["X"])
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # another user's, or a system without /proc
        return False
