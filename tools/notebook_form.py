"""The one form in which notebooks are committed, and what is wrong with the form of one that is not.

It holds nothing that changes from run to run: ids come from positions, counts are 1..n, and only the metadata that means
something to a reader is kept. So a diff of a notebook shows what changed in what it says.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import front_matter
import nbformat
from nbformat import NotebookNode

KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
KEPT_NOTEBOOK = ("accelerator", "tsynd")
KEPT_CELL = ("mystnb", "nbgrader", "tags")
# Live widgets have a new id in each run; their static twin, text/html, stays.
DROPPED_MIME = "application/vnd.jupyter.widget-view+json"
IMAGES = {"image/png", "image/svg+xml", "image/jpeg"}
LOCAL_PATH = re.compile(
    r"(?<![\w.:/])/(?:builds|content|home|media|mnt|opt|private|root|srv|tmp|Users|var|work|workspace)/[\w.-]*"
    r"|\b[A-Z]:\\+Users\\+[\w.-]*"
)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


def parse(text: str) -> NotebookNode | None:
    """The notebook in a text, or None when there is none."""
    try:
        return nbformat.reads(text, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError, KeyError):
        return None


def canonical(notebook: NotebookNode) -> str:
    """The text of a notebook in canonical form; applying it twice changes nothing more."""
    metadata = {key: notebook.metadata[key] for key in KEPT_NOTEBOOK if key in notebook.metadata}
    form: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {**KERNEL, **metadata}, "cells": []}
    count = 0
    for position, cell in enumerate(notebook.cells, 1):
        kept = {key: cell.metadata[key] for key in KEPT_CELL if cell.metadata.get(key)}
        source = "\n".join(line.rstrip() for line in cell.source.strip("\n").split("\n"))
        new = {"cell_type": cell.cell_type, "id": f"cell-{position:02d}", "metadata": kept, "source": source}
        if "attachments" in cell:
            new["attachments"] = cell.attachments
        if cell.cell_type == "code":
            ran = cell.execution_count is not None
            count += ran
            new["execution_count"] = count if ran else None
            new["outputs"] = list(_outputs(cell.outputs, new["execution_count"]))
        form["cells"].append(new)
    return str(nbformat.writes(nbformat.from_dict(form))).rstrip("\n") + "\n"


def _outputs(outputs: list[NotebookNode], count: int | None) -> Iterator[dict[str, Any]]:
    """The outputs of a cell: what was printed in one piece where it stands together, without what changes by itself."""
    text: dict[str, Any] | None = None
    for output in outputs:
        if output.output_type == "stream":
            if text and text["name"] == output.name:
                text["text"] += output.text
                continue
            if text:
                yield text
            text = {"output_type": "stream", "name": output.name, "text": output.text}
            continue
        if text:
            yield text
            text = None
        new = dict(output)
        if "data" in new:
            new["data"] = {mime: value for mime, value in output.data.items() if mime != DROPPED_MIME}
            if not new["data"]:
                continue
        if "execution_count" in new:
            new["execution_count"] = count
        yield new
    if text:
        yield text


def findings(path: Path) -> list[str]:
    """What is wrong with one notebook, a line each; an empty list is a good notebook."""
    text = path.read_text(encoding="utf-8")
    notebook = parse(text)
    if notebook is None:
        return [f"{path.name}: not a notebook"]
    lines = [f"cell {position}: {what}" for position, cell in enumerate(notebook.cells, 1) for what in _cell_findings(cell)]
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    lines += [f"one cell has the tag {tag}, got {tags.count(tag)}" for tag in front_matter.GENERATED if tags.count(tag) != 1]
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and not _skipped(cell)]
    if counts != list(range(1, len(counts) + 1)):
        lines.append(f"execution counts are {counts}, not 1..{len(counts)}: nbval would skip cells (make notebooks)")
    if not any(front_matter.problems(notebook.metadata.get("tsynd"))):  # else `check_book.py` says what is missing
        front_matter.fill(notebook, path)
    if text != canonical(notebook):
        lines.append("not in canonical form, or a generated cell is out of date (make notebooks)")
    return [f"{path.name}: {line}" for line in lines]


def _skipped(cell: NotebookNode) -> bool:
    """Is a cell meant not to be executed?"""
    return "skip-execution" in cell.metadata.get("tags", [])


def _cell_findings(cell: NotebookNode) -> Iterator[str]:
    """What is wrong with one cell."""
    if not cell.source.strip():
        yield "empty"
    if cell.cell_type != "code":
        return
    if _skipped(cell) != ("nbval-skip" in cell.metadata.get("tags", [])):
        yield "the tags skip-execution and nbval-skip go together"
    for output in cell.outputs:
        if output.get("name") == "stderr":
            yield f"output on stderr: {output.text.strip().splitlines()[0] if output.text.strip() else ''!r}"
        if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
            yield f"it failed: {output.ename}"
        for text in _texts(output):
            if found := LOCAL_PATH.search(text):
                yield f"a path of one machine in its output: {found.group()}"
            if found := ADDRESS.search(text):
                yield f"a memory address, new in each run, in its output: {found.group()}"


def _texts(output: NotebookNode) -> Iterator[str]:
    """The readable texts of an output (an image in base64 is not one)."""
    yield output.get("text", "")
    yield "\n".join(output.get("traceback", []))
    for mime, value in output.get("data", {}).items():
        if mime not in IMAGES - {"image/svg+xml"}:
            yield str(value)
