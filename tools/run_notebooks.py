"""Re-execute the notebooks and write each in its canonical form; with --check, say what is not as executing would leave it.

    python tools/run_notebooks.py [--only 00_quickstart] [--check | --fill]

An execution also records its time, machine, versions and data in `results/notebooks/`, from which the box at the top of the
notebook is generated. --check executes nothing (nbval compares the outputs); it prints one line for each finding, and exits
with 1 if any. --fill executes nothing either: it writes the generated cells anew. What a notebook says is checked by
`check_book.py`.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import front_matter
import nbformat
import run_facts
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from notebook_form import canonical, findings, parse

from tsynd.utils.atomic_files import write_text

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
CELL_SECONDS = 600


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Run or check the notebooks of a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="execute nothing; print what is not as it should be")
    parser.add_argument("--fill", action="store_true", help="execute nothing; write the generated cells anew")
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
    if options.fill:
        for path in paths:
            notebook = nbformat.read(path, as_version=4)
            front_matter.fill(notebook, path)
            write_text(path, canonical(notebook))
        return 0
    # Every notebook is run, so that one mistake does not hide another.
    failed = [path for path in paths if not run(path)]
    return 1 if failed else 0


def run(path: Path, cell_seconds: int = CELL_SECONDS) -> bool:
    """Execute one notebook and replace its file; on an error say so in one line and leave the file as it was."""
    os.environ["OMP_NUM_THREADS"] = "1"
    notebook = parse(path.read_text(encoding="utf-8"))
    if notebook is None:
        print(f"error: {path.name} is not a notebook", file=sys.stderr)
        return False
    if problem := next(front_matter.problems(notebook.metadata.get("tsynd")), None):
        print(f"error: {path.name}: {problem}", file=sys.stderr)
        return False
    front_matter.fill(notebook, path)
    notebook = nbformat.reads(canonical(notebook), as_version=4)
    start, used = time.perf_counter(), _processor_seconds()
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
    seconds, used = time.perf_counter() - start, _processor_seconds() - used
    run_facts.write(path, seconds, used, notebook.metadata["tsynd"]["data"])
    front_matter.fill(notebook, path)  # with the time that it took
    write_text(path, canonical(notebook))
    print(f"{path.name}: executed in {seconds:.0f} s ({used:.0f} s of the processor)")
    return True


def _processor_seconds() -> float:
    """What the kernels that have ended took of the processor."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main())
