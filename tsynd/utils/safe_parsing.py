"""Plain values from texts: JSON and YAML that somebody else may have written, of a depth and an extent that can be handled."""

import json
import math
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from tsynd.errors import TsyndError

# Nothing that is read here is nested half as deeply, or is half as long.
DEEPEST, MOST = 100, 10**5


class _Yaml(yaml.SafeLoader):
    """YAML 1.2, core schema: 010 is ten, 1:30 and yes are texts, 1e-3 is a number, and a key stands once in a mapping."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (as in the class above)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        written = [(str(key.value), key.tag) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        tags, found = _once(written).values(), super().construct_mapping(node, deep)
        if len(found) < len(node.value) and "tag:yaml.org,2002:merge" not in tags:
            raise ValueError(f"a key stands twice in the mapping with {', '.join(map(repr, found))}")
        return found

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


_Yaml.add_constructor("tag:yaml.org,2002:int", _Yaml.construct_yaml_int)
for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    _Yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), ["", *_first])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping without a key that stands twice: of two values a parser takes the last, and says nothing."""
    if twice := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
        raise ValueError(f"key {twice[0]!r} stands twice in one mapping")
    return dict(pairs)


def from_json(text: str) -> Any:
    """What a JSON text says; ValueError when it is no JSON, has a key twice, or is nested too deeply."""
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    _check_extent(found, aliases=False)
    return found


def from_yaml(text: str) -> Any:
    """What a YAML text says, by YAML 1.2: mappings, lists, texts, true, false and numbers of at most 64 bits.

    ValueError when it is no YAML, has a key twice in one mapping, names objects of a program, is nested too deeply, or is short
    only because parts of it stand for others many times over.

    >>> from_yaml("{seeds: 0-9, arms: [none], steps: 010, rate: 1e-3, limit: 1:30}")
    {'seeds': '0-9', 'arms': ['none'], 'steps': 10, 'rate': 0.001, 'limit': '1:30'}
    """
    try:
        found = yaml.load(text, Loader=_Yaml)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    except Exception as error:  # PyYAML fails in many ways on values that are not of the type that they name
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    _check_extent(found, aliases=True)
    return found


def _check_extent(found: Any, *, aliases: bool) -> None:
    """Refuse what is too deep and, with aliases, what is too long when they are written out, or has too long numbers."""
    waiting, count = [(found, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        if aliases and (count := count + 1) > MOST:
            raise ValueError(f"it has more than {MOST} values, with those that aliases stand for")
        if aliases and isinstance(value, int) and value.bit_length() > 64:
            raise ValueError("it has a number of more than 64 bits")
        children = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(child, depth + 1) for child in children]


MAGIC = b"\x93NUMPY"
# A file whose arrays take more bytes than this, and so many times its own size, is a bomb: images compress 50 times at most.
MIN_SUSPECT_BYTES, MAX_COMPRESSION_RATIO = 64 * 10**6, 200


@contextmanager
def open_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an `.npz`; its arrays are read when they are taken. Nothing is decompressed yet but the head of each array.

    TsyndError when it is a single array, or a bomb that would fill the memory or the disk; errors of many kinds when it is
    damaged.
    """
    with path.open("rb") as opened, warnings.catch_warnings():  # numpy leaves a file open that is no zip file
        warnings.simplefilter("ignore")  # what numpy and Python find odd in the head of an array
        if opened.read(len(MAGIC)) == MAGIC:
            raise TsyndError(f"{path} is a single array, not an .npz of named arrays")
        opened.seek(0)
        with closing(np.load(opened, allow_pickle=False)) as file:
            _check_sizes(path, file.zip)
            yield file


def array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is stored by columns, and type of the array that begins here."""
    first = np.lib.format.read_magic(file) == (1, 0)
    return (np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0)(file)


def _check_sizes(path: Path, file: zipfile.ZipFile) -> None:
    """Refuse a bomb, and an array that says it is larger than what the file has of it."""
    unpacked, packed = sum(member.file_size for member in file.infolist()), path.stat().st_size
    if unpacked > max(MIN_SUSPECT_BYTES, MAX_COMPRESSION_RATIO * packed):
        raise TsyndError(f"{path} has {packed} bytes and would unpack to {unpacked}: no images are so small, it is not opened")
    for member in file.infolist():
        if not member.filename.endswith(".npy"):
            continue
        with file.open(member) as head:
            shape, _, dtype = array_header(head)
        if min(shape, default=0) < 0 or (not dtype.hasobject and math.prod(shape) * dtype.itemsize > member.file_size):
            raise ValueError(f"{member.filename} says that its shape is {shape}, and has {member.file_size} bytes")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; TsyndError when it is missing or something else."""
    try:
        value = from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TsyndError(f"{path} is missing: {path.parent} is not a run's folder, or the run did not get that far") from error
    except (OSError, ValueError) as error:
        raise TsyndError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise TsyndError(f"{path} must hold a JSON object, found {type(value).__name__}")
    return value
