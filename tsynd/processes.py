"""Other processes of this machine: which one left something behind, and whether it still runs."""

import os
import socket
from pathlib import Path


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def ended(number: int) -> bool:
    """Whether the process of this number, on this machine, is no more; False where that cannot be known.

    One that is dead and that its parent has not asked after counts as ended: in a container it may stay so for ever.

    >>> ended(os.getpid())
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
