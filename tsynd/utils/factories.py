"""Networks of yours, from a factory: a function in a file (`FILE.py:factory`) or in a package (`package.module:factory`)."""

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tsynd.errors import DataUnavailable, TsyndError

FORMS = "FILE.py:factory or package.module:factory"


@dataclass(frozen=True)
class Factory:
    """A function that makes a network, and where it stands.

    spec: as the user wrote it. name: of the function. source: the file that it stands in.
    """

    spec: str
    name: str
    source: Path

    @property
    def is_file(self) -> bool:
        """Whether it stands in a file that was named, and not in a package."""
        return self.spec.rpartition(":")[0].endswith(".py")

    @property
    def identity(self) -> str:
        """A hash of the function's name, of its file, and of the files of the same folder or package that it imports."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for path in sorted(_imported(self.source, alone=not self.is_file)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()

    def __call__(self, *values: Any) -> Any:
        """Call the function with these values, in order; a TsyndError names the factory and what it raised."""
        with _importing(self.source.parent) if self.is_file else nullcontext():
            try:
                module = self._afresh() if self.is_file else importlib.import_module(self.spec.rpartition(":")[0])
                function = getattr(module, self.name, None)
                if not callable(function):
                    raise TsyndError(f"{self.spec}: {self.source} has no function {self.name!r}")
                return function(*values)
            except (TsyndError, MemoryError):
                raise
            except (Exception, SystemExit) as error:  # whatever somebody else's code raises
                given = ", ".join(map(repr, values))
                reason = next(iter(str(error).splitlines()), "")
                raise TsyndError(f"{self.spec} failed, called with ({given}): {type(error).__name__}: {reason}") from error

    def _afresh(self) -> ModuleType:
        """The file as a module."""
        spec = importlib.util.spec_from_file_location(f"_tsynd_factory_{self.identity}", self.source)
        assert spec is not None and spec.loader is not None  # it ends in .py
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module  # dataclasses look themselves up there
        spec.loader.exec_module(module)
        return module


def is_factory(spec: str) -> bool:
    """Whether a text names a factory, and not a network of ours.

    >>> is_factory("compact"), is_factory("nets/mine.py:densenet"), is_factory("mine.nets:densenet")
    (False, True, True)
    """
    return ":" in spec or spec.endswith(".py")


def find_factory(spec: str) -> Factory:
    """Find the factory that a text names; nothing of a file is run before the factory is called.

    TsyndError when it is no `FILE.py:factory` or `package.module:factory`, or cannot be imported; DataUnavailable without its
    file.
    """
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise TsyndError(f"a factory must be named as {FORMS}, got {spec!r}")
    if place.endswith(".py"):
        path = Path(place).expanduser()
        if not path.is_file():
            raise DataUnavailable(f"{spec}: no such file: {path.absolute()}")
        return Factory(spec, name, path.resolve())
    try:
        found = importlib.util.find_spec(place)
    except Exception as error:  # the packages above it are imported, and may raise anything
        raise TsyndError(f"{spec}: {place} cannot be imported: {error}") from error
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise TsyndError(f"{spec}: there is no module {place!r} here: install its package, or name its file as FILE.py:{name}")
    return Factory(spec, name, Path(found.origin).resolve())


def file_hash(path: str | os.PathLike[str]) -> str:
    """Return a hash of a file's content; DataUnavailable when there is no such file."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataUnavailable(f"no such file: {path}")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Files beside the factory can be imported inside the block, as beside a script, and are forgotten afterwards."""
    before = dict(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if name not in before and "." not in name and Path(getattr(module, "__file__", None) or "").parent == folder:
                del sys.modules[name]  # another factory's neighbour may have the same name


def _imported(path: Path, *, alone: bool, seen: set[Path] | None = None) -> set[Path]:
    """This file, and those of its folder or package that it imports, as far as the text says.

    alone: what lies beside the package, say all of site-packages, is none of its files.
    """
    seen = set() if seen is None else seen
    if path in seen:
        return seen
    seen.add(path)
    top = path.parent
    while (top / "__init__.py").exists():
        alone, package, top = True, top.name, top.parent
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise TsyndError(f"{path} is not a Python file that can be read: {error}") from error
    for base, name in _names(tree, path, top):
        if alone and base == top and (top == path.parent or name.partition(".")[0] != package):
            continue
        stem = base.joinpath(*name.split("."))
        for candidate in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
            if candidate.is_file():
                _imported(candidate, alone=alone, seen=seen)
    return seen


def _names(tree: ast.AST, path: Path, top: Path) -> Iterator[tuple[Path, str]]:
    """What a file imports: the folder that each name is looked for in, and the name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((top, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base, module = path.parents[node.level - 1] if node.level else top, node.module
            yield from [(base, module)] if module else []
            yield from ((base, f"{module}.{alias.name}" if module else alias.name) for alias in node.names if alias.name != "*")
