"""The page of the public names: each with its docstring, and the chapters and pages whose code uses it."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_origin

from nbformat import NotebookNode
from public_api import MODULES, public_names

PYTHON = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
HEAD = """# API: every public name

This page lists every public name of `tsynd`, in the order of the chapters, and says which chapters and pages use it. A public
name and its parameters change only with a new minor version, and then the changelog says so. Everything else in the package
may change at any time.

The exercises with their checkers are on the [page of objectives](objectives.md). The command line is described in
[](running.md) and by `tsynd --help`.

"""


def api_page(notebooks: dict[Path, NotebookNode], root: Path) -> str:
    """The text of the page, in MyST; Sphinx fills in signatures and docstrings when it builds the book."""
    places = _places(notebooks, root)
    used = {where: set(_used(code)) for where, code in places.items()}
    sections = []
    for module in MODULES:
        first = (import_module(module).__doc__ or "").strip().split("\n\n")[0]
        entries = [
            _entry(module, name, value, [link for link, keys in used.items() if _key(value, name) in keys])
            for home, name, value in public_names()
            if home == module
        ]
        sections.append(f"## `{module}`\n\n{' '.join(first.split())}\n\n" + "\n".join(entries))
    return HEAD + "\n".join(sections)


def _entry(module: str, name: str, value: Any, links: list[str]) -> str:
    """A directive that Sphinx fills in, and who uses it."""
    if inspect.isclass(value):
        directive, content = "autoclass", "   :members:\n   :member-order: bysource\n"
    elif inspect.isfunction(value):
        directive, content = "autofunction", ""
    else:
        directive, content = "py:data", f"\n   {_content(value)}\n"
    users = f"\nUsed in {', '.join(links)}.\n" if links else ""
    return f"```{{eval-rst}}\n.. {directive}:: {module}.{name}\n{content}```\n{users}"


def _content(value: Any) -> str:
    """What a constant holds: of a table, its keys."""
    if get_origin(value):
        return "A type."
    if isinstance(value, Mapping):
        return f"A table of {', '.join(f'``{key}``' for key in value)}."
    return f"``{value!r}``"


def _places(notebooks: dict[Path, NotebookNode], root: Path) -> dict[str, str]:
    """The code of each chapter and page, by a link to it."""
    places = {}
    for path, notebook in notebooks.items():
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        places[f"[{notebook.metadata['tsynd']['title'].partition(':')[0]}](../notebooks/{path.name})"] = "\n".join(cells)
    for path in sorted(root.glob("book/*.md")):
        text = path.read_text(encoding="utf-8")
        beside = path.with_suffix(".py")
        code = "\n".join([*PYTHON.findall(text), beside.read_text(encoding="utf-8") if beside.is_file() else ""])
        if code.strip() and path.name != "api.md":
            places[f"[{text.split('# ', 1)[1].splitlines()[0].partition(':')[0]}]({path.name})"] = code
    return places


def _used(code: str) -> Iterator[Any]:
    """What of tsynd a piece of code uses, by identity, so that a name counts from whichever module it was imported."""
    tree = ast.parse(re.sub(r"^\s*[%!].*$", "", code, flags=re.MULTILINE))
    known: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tsynd":
            for each in node.names:
                known[each.asname or each.name] = _resolve(str(node.module), each.name)
        elif isinstance(node, ast.Import) and any(each.name == "tsynd" for each in node.names):
            known["tsynd"] = import_module("tsynd")
    yield from (_key(value, name) for name, value in known.items())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and inspect.ismodule(known.get(node.value.id)):
            yield _key(getattr(known[node.value.id], node.attr, None), node.attr)


def _resolve(module: str, name: str) -> Any:
    """What an import of that name from that module gives."""
    found = getattr(import_module(module), name, None)
    return import_module(f"{module}.{name}") if found is None else found


def _key(value: Any, name: str) -> Any:
    """What tells a value from others: itself, and for plain numbers and texts, which are many alike, the name too."""
    return id(value), name
