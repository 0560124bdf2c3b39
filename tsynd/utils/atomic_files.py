"""Files that appear whole or not at all: written under a temporary name beside the target, then renamed.

A process that is killed leaves its temporary file, whose name says who it was: the next file that is written into the folder
on the same machine removes it.
"""

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tsynd.errors import TsyndError
from tsynd.utils.locks import host, process_has_exited


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it becomes `path`, on an exception it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = f".tsynd-{host()[:32]}-"  # the number of the process follows
    for name in os.listdir(path.parent):
        if (found := re.match(re.escape(ours) + r"(\d+)-", name)) and process_has_exited(int(found[1])):
            (path.parent / name).unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{ours}{os.getpid()}-{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        os.umask(mask := os.umask(0))
        temporary.chmod(0o666 & ~mask)  # the permissions of an ordinary new file
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # that of a write on a full disk names no file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all; bytes of a file's name that are no UTF-8 are spelled out."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write a table, its head first, whole or not at all."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    write_text(path, buffer.getvalue())


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write JSON whole or not at all; NaN and infinities are refused, since JSON has no name for them."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_npz(path: Path, **arrays: Any) -> None:
    """Write a compressed `.npz` whole or not at all."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def digest(value: Any) -> str:
    """A short hash of anything that JSON can say, the same whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def check_new(path: Path, ending: str, force: bool = False, option: str = "--out") -> None:
    """Refuse a file's name with another ending, and one that is taken unless `force`; the message names the option."""
    if path.suffix.lower() != ending:
        raise TsyndError(f"{option} must name a file that ends in {ending}, got {path}")
    if path.is_dir():
        raise TsyndError(f"{option} {path} is a folder: name a file")
    if path.exists() and not force:
        raise TsyndError(f"{option} {path} exists: use --force to replace it")
