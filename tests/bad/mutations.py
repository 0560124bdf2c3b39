"""Damage: what a disk, a download, an editor or somebody hostile does to a file; and what a reader may answer to it."""

import json
import pickle
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tsynd.errors import TsyndError
from tsynd.utils.atomic_files import write_npz

Damage = Callable[[bytes], bytes]
Reader = Callable[[Path], object]


class Files(dict[str, bytes]):
    """The content of files by name; a failing test shows the names."""

    def __repr__(self) -> str:
        return f"Files({', '.join(self)})"


SECONDS = 30
"""Of work: a reader that takes longer hangs, since all of these files are small."""

quick = settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(quick, max_examples=12)
"""For readers that take longer."""

TOKENS = (
    b"NaN", b"-1", b"1e999", b"99999999999999999999999", b"../../x", b"/etc/x", b"C:\\x", b"\x00", b"\xff\xfe", b"\n",
    b"[" * 3000, b'"', b"{", b",", b";", b"&a [*a]", b"!!python/object/apply:os.getcwd []",
)  # fmt: skip
FOREIGN = {
    "nothing": b"",
    "a space": b" ",
    "text": b"hello\nworld\n",
    "null": b"null",
    "a list": b"[1, 2]",
    "deep JSON": b"[" * 100_000,
    "deep YAML": b"a: " + b"{a: " * 3000,
    "a pickle": pickle.dumps([1, 2]),
    "zeros": bytes(500),
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "the head of a PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "a huge header": (2**62).to_bytes(8, "little") + b"{}",
    "no tensors": (2).to_bytes(8, "little") + b"{}",
    "a long line": b"x" * 200_000,
    "UTF-16": "path,label".encode("utf-16"),
}
"""Contents of other formats, and of none."""

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 0.5, 10**30, float("nan"), float("inf"), "", "x", "../../x", "/etc/x", "a\x00b", "two\nlines", "y" * 5000,
    [], [1], [[]], {}, {"a": 1}, {"dict": [1]}, {"tensor": "x"},
)  # fmt: skip
"""Values that stand where others belong, in JSON or YAML."""


def _place(position: float, content: bytes) -> int:
    return int(position * len(content))


def _cut(position: float) -> Damage:
    return lambda content: content[: _place(position, content)]


def _flip(positions: list[tuple[float, int]]) -> Damage:
    def damage(content: bytes) -> bytes:
        changed = bytearray(content)
        for position, bits in positions:
            changed[_place(position, content)] ^= bits
        return bytes(changed)

    return damage


def _put(position: float, new: bytes, over: bool) -> Damage:
    def damage(content: bytes) -> bytes:
        place = _place(position, content)
        return content[:place] + new + content[place + (len(new) if over else 0) :]

    return damage


def _lose(position: float, count: int) -> Damage:
    return lambda content: content[: (place := _place(position, content))] + content[place + count :]


def _become(new: bytes) -> Damage:
    return lambda content: new


places = st.floats(0, 1, exclude_max=True)
damages: st.SearchStrategy[Damage] = st.one_of(
    places.map(_cut),
    st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=4).map(_flip),
    st.tuples(places, st.binary(min_size=1, max_size=20) | st.sampled_from(TOKENS), st.booleans()).map(lambda a: _put(*a)),
    st.tuples(places, st.integers(1, 40)).map(lambda a: _lose(*a)),
    st.sampled_from(list(FOREIGN.values())).map(_become),
)
"""What may happen to the bytes of a file."""


def odd_value(tree: Any, position: float, value: Any, drop: bool) -> Any:
    """A tree of dicts and lists in which one place, of all there are, holds another value, or is gone."""
    tree = json.loads(json.dumps(tree))
    found = list(_everywhere(tree))
    holder, key = found[int(position * len(found))]
    if drop:
        del holder[key]
    else:
        holder[key] = value
    return tree


def _everywhere(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _everywhere(tree[key])


odd_places = st.tuples(places, st.sampled_from(ODD), st.booleans())
"""Arguments of `odd_value` after the tree."""

ODD_ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
    "missing": lambda array: None,
    "empty": lambda array: array[:0],
    "no dimension": lambda array: np.array(7),
    "one dimension more": lambda array: array[None],
    "flat": lambda array: array.ravel(),
    "shorter": lambda array: array[: len(array) // 2] if array.ndim else array,
    "NaN": lambda array: np.full(array.shape, np.nan),
    "infinite": lambda array: np.full(array.shape, np.inf, np.float32),
    "negative": lambda array: np.full(array.shape, -1, np.int64),
    "huge": lambda array: np.full(array.shape, 2**63 - 1, np.int64),
    "unsigned huge": lambda array: np.full(array.shape, 2**64 - 1, np.uint64),
    "complex": lambda array: np.full(array.shape, 1j),
    "half": lambda array: np.full(array.shape, 0.5, np.float16),
    "text": lambda array: np.full(array.shape, "../../x\n"),
    "bytes": lambda array: np.full(array.shape, b"x"),
    "dates": lambda array: np.full(array.shape, "2020-01-01", "M8[D]"),
    "records": lambda array: np.zeros(array.shape, "i4,f4"),
    "two lines": lambda array: np.array("two\nlines"),
    "by columns": lambda array: np.asfortranarray(array),
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
}
"""What an array may have become, by name."""


def odd_arrays(content: bytes, position: float, kind: str, scratch: Path) -> bytes:
    """The content of an `.npz` in which one array is another."""
    (scratch / "before.npz").write_bytes(content)
    with np.load(scratch / "before.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    name = list(arrays)[int(position * len(arrays))]
    changed = ODD_ARRAYS[kind](arrays.pop(name))
    write_npz(scratch / "after.npz", **arrays, **({} if changed is None else {name: changed}))
    return (scratch / "after.npz").read_bytes()


def contents(folder: Path) -> Files:
    """Every file below a folder, by its name."""
    return Files((path.relative_to(folder).as_posix(), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file())


def read_damaged(files: Mapping[str, bytes], read: Reader, *, writes: bool = False) -> str | None:
    """Read files from a folder of their own: what was refused, in one line, or None when it was read.

    `read` checks what it has read. Nothing may be written beside the folder, and nothing into it unless `writes`.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "files")
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        said = None
        try:
            with no_longer_than(SECONDS):
                read(folder)
        except TsyndError as error:
            said = str(error)
            assert said.strip() and len(said.splitlines()) == 1, said
        assert [path.name for path in Path(place).iterdir()] == ["files"]
        assert writes or contents(folder) == dict(files)
        return said


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Fail in place of hanging: after so many seconds of work, or a hundred times as many of anything, waiting too."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still at it after {seconds} s of work, or waiting for what never comes")

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, 100 * seconds))
    before = [signal.signal(number, stop) for _, number, _ in timers]
    for timer, _, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
