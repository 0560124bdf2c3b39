"""Downloads that survive the real world: several addresses, retries, a checksum before use, and no file half-written."""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tsynd.errors import DataUnavailable
from tsynd.utils.atomic_files import atomic_write
from tsynd.utils.locks import alone
from tsynd.utils.progress import Progress, Step, silent

# Bytes that are read at a time.
CHUNK = 1 << 16
# Answers after which asking again is of use: too early, too many requests, or the server's own trouble.
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class RetryPolicy:
    """How long to bear with servers.

    rounds: how often all addresses are asked, in turn. wait: seconds before the second round; twice as many before each
    further one. connect: seconds until a server must answer, and silence: seconds without a byte.
    """

    rounds: int = 3
    wait: float = 1.0
    connect: float = 10.0
    silence: float = 30.0


PATIENCE = RetryPolicy()


class WrongBytes(OSError):
    """What came is not what is published."""


def download(
    addresses: Sequence[str], target: Path, md5: str, progress: Progress | None = None, patience: RetryPolicy | None = None
) -> None:
    """Download a file from the first address that has it; it appears whole and verified (`md5`, as published), or not at all.

    The addresses are asked in turn, the best one first; after a round in which none had it, again after a wait. One that says
    that it does not have the file is not asked again. When another process downloads the same file, its result is taken.
    `progress` is told the address and the size before the first byte, bytes as they come, and why an attempt failed.

    Raises:
        DataUnavailable: when no address had the file; it says why, for each. When the folder cannot be written to, or is
            too small.
    """
    patience, say = patience or PATIENCE, progress or silent
    lock, waiting = target.with_name(f".{target.name}.lock"), f"waiting for another process that downloads {target.name}"
    try:
        with alone(lock, waiting=lambda: say(Step("load", text=waiting))):
            if not (target.is_file() and checksum(target) == md5):
                _in_rounds(list(addresses), target, md5, say, patience)
    except OSError as error:
        raise DataUnavailable(f"{target.name} cannot be written into {target.parent}: {error.strerror or error}") from error


def checksum(path: Path) -> str:
    """The MD5 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def megabytes(count: int) -> str:
    """A number of bytes in words.

    >>> megabytes(559_580), megabytes(16_133_000_000)
    ('0.6 MB', '16.1 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _in_rounds(addresses: list[str], target: Path, md5: str, say: Progress, patience: RetryPolicy) -> None:
    """Ask the addresses in turn, round after round. What goes wrong here, on this machine, is raised at once."""
    import requests  # only those who download need it

    failures: dict[str, str] = {}
    for turn in range(patience.rounds):
        for address in list(addresses):
            try:
                with atomic_write(target) as temporary:
                    _copy(address, temporary, say, patience)
                    if (found := checksum(temporary)) != md5:
                        raise WrongBytes(f"the file that came has MD5 {found}, the published one {md5}")
                return
            except (requests.RequestException, WrongBytes) as error:
                failures[address], again = _reason(error, patience)
                if not again:
                    addresses.remove(address)
                say(Step("load", text=f"{address}: {failures[address]}"))
        if addresses and turn + 1 < patience.rounds:
            time.sleep(patience.wait * 2**turn)
    reasons = "; ".join(f"{address}: {reason}" for address, reason in failures.items())
    raise DataUnavailable(f"{target.name} could not be downloaded ({reasons})")


def _copy(address: str, path: Path, say: Progress, patience: RetryPolicy) -> None:
    """Write what one address gives into a file."""
    import requests

    with requests.get(address, stream=True, timeout=(patience.connect, patience.silence)) as response:
        response.raise_for_status()
        done, total = 0, int(response.headers.get("Content-Length", 0))
        text = f"downloading {address} ({megabytes(total) if total else 'size not stated'})"
        say(Step("load", done, total, text))
        if total > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, {megabytes(total)} are needed")
        with path.open("wb") as file:
            for block in response.iter_content(CHUNK):
                file.write(block)
                done += len(block)
                say(Step("load", min(done, total), total, text))


def _reason(error: OSError, patience: RetryPolicy) -> tuple[str, bool]:
    """Why an attempt failed, in a few words, and whether another one may do better."""
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}", response.status_code in TRANSIENT
    if "timed out" in str(error).lower() and not isinstance(error, requests.ConnectTimeout):
        return f"no byte for {patience.silence:g} s", True
    reasons = {
        WrongBytes: str(error),
        requests.ConnectTimeout: f"no answer within {patience.connect:g} s",
        requests.Timeout: f"no byte for {patience.silence:g} s",
        requests.exceptions.ChunkedEncodingError: "the connection was cut",
        requests.ConnectionError: "no connection",
    }
    return next(((reason, True) for kind, reason in reasons.items() if isinstance(error, kind)), (type(error).__name__, False))
