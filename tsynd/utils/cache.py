"""The cache: one folder for what was decoded or unpacked. It may be deleted at any time, and only costs the work again."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np


def cache_folder() -> Path:
    """Where tsynd keeps what it can make again: TSYND_CACHE, else `tsynd` in XDG_CACHE_HOME, else `~/.cache/tsynd`.

    The folder need not exist. Files of the user's data are never written elsewhere, least of all beside the data.
    """
    if chosen := os.environ.get("TSYND_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "tsynd"


def cache_entry(kind: str, key: Any) -> Path:
    """The file or folder in the cache for a key: whatever the entry depends on, in JSON, and a version of the code that reads it.

    >>> cache_entry("images", {"size": 28}).relative_to(cache_folder()).as_posix()
    'images/a58183ac2da0f741'
    """
    text = json.dumps(key, sort_keys=True, ensure_ascii=True)
    return cache_folder() / kind / hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Make a file with an array of bytes, mapped, and with its room on the disk: without it, a write would kill the process."""
    array: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, file.seek(0, os.SEEK_END))
    return array


def file_state(file: Path) -> tuple[int | str, ...]:
    """Return what tells whether a file's content has changed; nothing where there is no such file.

    Where a system keeps the time of every change of a file, its name and its rights, that and the number of the file tell it:
    times of change are set by programs (unzip, cp -p), this one is not. Windows keeps none, so there the content is hashed.
    """
    try:
        found = file.stat()
        content = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest() if os.name == "nt" else ""
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size, found.st_mtime_ns, found.st_mode, content
