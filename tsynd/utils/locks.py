"""Work that two processes should not do twice: one does it, the others wait for what it makes."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL = 0.2  # seconds between two looks at another's lock
STALE = 120.0  # seconds without a sign of life, after which a lock's owner is taken for dead
NAMED = 5.0  # seconds after which a lock without its owner's name is taken for one whose owner was killed as it made it

Heartbeat = Callable[[], None]
"""Called now and then by who holds a lock: a sign of life."""


@contextlib.contextmanager
def alone(
    path: Path, *, stale: float = STALE, poll: float = POLL, waiting: Callable[[], None] | None = None
) -> Iterator[Heartbeat]:
    """Hold the lock file `path`, waiting while another process does; what it gives must be called every `stale` / 2 s or so.

    A lock saves work; it does not keep files whole. Whoever writes under it still writes to a temporary name: where a folder
    is shared by machines whose clocks differ, two can hold it.

    Args:
        path: the lock file; made here, removed afterwards. It names its owner, so that one that died on this machine is
            not waited for.
        stale: seconds without a sign of life after which another's lock is removed.
        poll: seconds between two looks.
        waiting: called once if another holds the lock.

    Raises:
        OSError: when the file cannot be made.

    >>> import tempfile
    >>> lock = Path(tempfile.mkdtemp()) / "a.lock"
    >>> with alone(lock) as beat:
    ...     beat()
    ...     lock.exists()
    True
    >>> lock.exists()
    False
    """
    while True:
        with at_once(path, stale=stale) as beat:
            if beat is not None:
                yield beat
                return
        if waiting:
            waiting()
            waiting = None
        time.sleep(poll)


@contextlib.contextmanager
def at_once(path: Path, *, stale: float = STALE) -> Iterator[Heartbeat | None]:
    """Hold the lock file `path` as `alone` does, or give None when another process holds it.

    >>> import tempfile
    >>> lock = Path(tempfile.mkdtemp()) / "a.lock"
    >>> with at_once(lock) as beat, at_once(lock) as second:
    ...     beat is None, second is None
    (False, True)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _made(path) and not ((_age(path) > stale or orphaned(path)) and _replaced(path)):
        yield None
        return
    told = time.monotonic()

    def beat() -> None:
        nonlocal told
        if time.monotonic() - told > min(1.0, stale / 4):  # a system call a second, not one a chunk
            told = time.monotonic()
            with contextlib.suppress(OSError):  # removed by another, which took us for dead
                os.utime(path)

    try:
        yield beat
    finally:
        path.unlink(missing_ok=True)


def _made(path: Path) -> bool:
    """Make the lock file, unless it is there."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {host()}")
    except OSError:  # a full disk, which has room for an empty file
        path.unlink(missing_ok=True)
        raise
    return True


def _replaced(path: Path) -> bool:
    """Remove a lock whose owner is dead, and make it anew."""
    path.unlink(missing_ok=True)
    return _made(path)


def _age(path: Path) -> float:
    """Seconds since the owner's last sign of life; 0 when the lock has just gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def orphaned(path: Path) -> bool:
    """Whether the owner was a process of this machine that is no more, or one that was killed before it wrote its name."""
    try:
        text = path.read_text(encoding="utf-8")
        if not text:
            return _age(path) > NAMED
        number, _, here = text.partition(" ")
        return here == host() and process_has_exited(int(number))
    except (OSError, ValueError):  # gone, or not a lock of ours
        return False


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def process_has_exited(number: int) -> bool:
    """Whether the process of this number, on this machine, is no more; False where that cannot be known.

    One that is dead and that its parent has not asked after counts as ended: in a container it may stay so for ever.

    >>> process_has_exited(os.getpid())
    False
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
