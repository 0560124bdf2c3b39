"""Re-execute the notebooks and write each in one canonical form; with --check, say what is not as it should be.

    python tools/run_notebooks.py [--only 00_quickstart] [--check]

The canonical form holds nothing that changes from run to run: ids come from positions, counts are 1..n, and only the
metadata that means something to a reader is kept. So a diff of a notebook shows what changed in what it says.
--check executes nothing (nbval compares the outputs); it prints one line for each finding, and exits with 1 if any.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tsynd.files import write_text

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
BOOK = FOLDER.parent / "_config.yml"
# Cells with this tag get the generated source.
SETUP = "setup"
CELL_SECONDS = 600
ALT_LENGTH = 20
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
KEPT_NOTEBOOK = ("accelerator", "tsynd")
KEPT_CELL = ("mystnb", "tags")
# Live widgets have a new id in each run; their static twin, text/html, stays.
DROPPED_MIME = "application/vnd.jupyter.widget-view+json"
IMAGES = {"image/png", "image/svg+xml", "image/jpeg"}
LOCAL_PATH = re.compile(
    r"(?<![\w.:/])/(?:builds|content|home|media|mnt|opt|private|root|srv|tmp|Users|var|work|workspace)/[\w.-]*"
    r"|\b[A-Z]:\\+Users\\+[\w.-]*"
)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Run or check the notebooks of a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="execute nothing; print what is not as it should be")
    parser.add_argument("--only", metavar="NAME", help="one notebook, with or without .ipynb")
    options = parser.parse_args(arguments)
    paths = sorted(folder.glob("*.ipynb"))
    if options.only:
        known = ", ".join(path.stem for path in paths) or "none"
        paths = [path for path in paths if path.stem == options.only.removesuffix(".ipynb")]
        if not paths:
            print(f"error: no notebook {options.only!r} in {folder.name}/ (there: {known})", file=sys.stderr)
            return 2
    if not paths:
        print(f"error: no notebooks in {folder.name}/", file=sys.stderr)
        return 2
    if options.check:
        lines = [line for path in paths for line in findings(path)]
        print("\n".join(lines) or f"{len(paths)} notebook(s) checked: all as they should be")
        return 1 if lines else 0
    # Every notebook is run, so that one mistake does not hide another.
    failed = [path for path in paths if not run(path)]
    return 1 if failed else 0


def run(path: Path, cell_seconds: int = CELL_SECONDS) -> bool:
    """Execute one notebook and replace its file; on an error say so in one line and leave the file as it was."""
    os.environ["OMP_NUM_THREADS"] = "1"
    start = time.perf_counter()
    notebook = _read(path.read_text(encoding="utf-8"))
    if notebook is None:
        print(f"error: {path.name} is not a notebook", file=sys.stderr)
        return False
    notebook = nbformat.reads(canonical(notebook), as_version=4)  # with its set-up cell
    try:
        where = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=cell_seconds, kernel_name="python3", resources=where, record_timing=False)
        client.execute()
    except CellExecutionError as error:
        print(f"error: {path.name} failed: {error.ename}: {error.evalue.strip()}", file=sys.stderr)
        return False
    except (CellTimeoutError, DeadKernelError) as error:
        print(f"error: {path.name} failed: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        return False
    write_text(path, canonical(notebook))
    print(f"{path.name}: executed in {time.perf_counter() - start:.0f} s")
    return True


def _read(text: str) -> NotebookNode | None:
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
        source = setup_source() if SETUP in kept.get("tags", []) else cell.source
        source = "\n".join(line.rstrip() for line in source.strip("\n").split("\n"))
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


def setup_source() -> str:
    """The set-up cell, the same in every notebook; the repository's address comes from the book's configuration."""
    repository = yaml.safe_load(BOOK.read_text(encoding="utf-8"))["repository"]
    return f"""# Set-up: in Colab, installs tsynd beside Colab's own torch and numpy.
try:
    import tsynd
except ModuleNotFoundError:
    %pip install --quiet git+{repository["url"]}@{repository["branch"]}
    import tsynd"""


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
    notebook = _read(text)
    if notebook is None:
        return [f"{path.name}: not a notebook"]
    lines = [f"cell {position}: {what}" for position, cell in enumerate(notebook.cells, 1) for what in _cell_findings(cell)]
    if not any(SETUP in cell.metadata.get("tags", []) for cell in notebook.cells):
        lines.append(f"no set-up cell (a code cell with the tag {SETUP})")
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and not _skipped(cell)]
    if counts != list(range(1, len(counts) + 1)):
        lines.append(f"execution counts are {counts}, not 1..{len(counts)}: nbval would skip cells (make notebooks)")
    if text != canonical(notebook):
        lines.append("not in canonical form (make notebooks)")
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
    if any(IMAGES & set(output.get("data", {})) for output in cell.outputs):
        alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))
        if len(alt.strip()) < ALT_LENGTH:
            yield f"an image needs metadata mystnb.image.alt of {ALT_LENGTH} characters or more, got {alt!r}"
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


if __name__ == "__main__":
    sys.exit(main())
