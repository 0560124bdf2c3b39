"""Write the pages that follow from what is elsewhere: the public interface, objectives and their exercises, what executing
took, data cards, results; and the students' notebooks.

    python tools/make_pages.py

They are committed; `check_book.py` says when they are out of date.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import run_facts
from api_page import api_page
from book_exercises import exercises
from data_cards import data_cards
from lesson_paths import lessons, syllabi
from nbformat import NotebookNode
from results_page import results_page
from student_notebooks import lesson_notebooks, student_notebooks

from tsynd.data.medmnist.registry import REGISTRY
from tsynd.utils.atomic_files import write_text

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Write each page whose text has changed."""
    for path, text in pages(ROOT).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            print(f"written: {path.relative_to(ROOT)}")
    return 0


def pages(root: Path) -> dict[Path, str]:
    """The generated pages of a book, by path."""
    notebooks = {path: nbformat.read(path, as_version=4) for path in sorted(root.glob("notebooks/*.ipynb"))}
    courses = lessons(root)
    timetables = {root / "book" / "teaching" / "syllabi.md": syllabi(courses)} if courses else {}
    results = {root / "book" / "results.md": results_page(root)} if (root / "results/main/report").is_dir() else {}
    return (
        results
        | timetables
        | student_notebooks(notebooks)
        | lesson_notebooks(notebooks, courses.values())
        | {
            root / "book" / "api.md": api_page(notebooks, root),
            root / "book" / "objectives.md": objectives(notebooks),
            root / "book" / "facts.md": facts(notebooks),
            root / "book" / "data_cards.md": data_cards(REGISTRY.values()),
        }
    )


def link(path: Path, notebook: NotebookNode) -> str:
    """A link to a chapter, with its title."""
    return f"[{notebook.metadata['tsynd']['title']}](../notebooks/{path.name})"


def short_link(path: Path, notebook: NotebookNode) -> str:
    """A link to a chapter, with its title up to the colon."""
    return f"[{notebook.metadata['tsynd']['title'].partition(':')[0]}](../notebooks/{path.name})"


def objectives(notebooks: dict[Path, NotebookNode]) -> str:
    """The page of objectives, a row for each, with the exercise that practises it."""
    rows = []
    for path, notebook in notebooks.items():
        if notebook.metadata["tsynd"].get("lesson"):
            continue
        practised = {each.objective: each.title for each in exercises(notebook)}
        chapter = link(path, notebook)
        for objective in notebook.metadata["tsynd"]["objectives"]:
            rows.append((chapter, objective["text"], practised.get(objective["id"], "none")))
            chapter = ""  # named once
    return f"""# Objectives and exercises

This table says what you can do after each chapter, and in which exercise you practise it. Every exercise has a checker. It
says whether your answer is right and, if not, what to think about. A hint and a solution are folded below each exercise.

{_table(("chapter", "you can", "exercise"), rows)}
"""


def facts(notebooks: dict[Path, NotebookNode]) -> str:
    """The page of build facts: what the last execution of each notebook took, on what, with which versions and data."""
    known = {path: found for path in notebooks if (found := run_facts.read(path))}
    runs = [
        (
            link(path, notebooks[path]),
            f"{found['processor_seconds']} s",
            f"{found['seconds']} s",
            f"{found['processor']}, {found['threads']} of {found['cores']} cores",
            f"`{found['commit']}`" if found["commit"] else "",
        )
        for path, found in known.items()
    ]
    names = list(dict.fromkeys(name for found in known.values() for name in found["versions"]))
    alike: dict[tuple[str, ...], list[str]] = {}
    for path, found in known.items():
        alike.setdefault(tuple(found["versions"].get(name, "") for name in names), []).append(short_link(path, notebooks[path]))
    versions = [("all" if len(alike) == 1 else ", ".join(links), *row) for row, links in alike.items()]
    return f"""# Build facts: times, machines, versions and data of the notebooks

The notebooks of this book are stored with their results. This page says how long the last execution of each notebook took, on
which machine, after which commit, with which versions and with which data.

{_table(("notebook", "processor time", "clock time", "machine", "after commit"), runs)}

*Processor time* is what one free core needs. It is the time at the top of each chapter. *Clock time* is longer when other
programs run on the same machine.

## Versions

{_table(("notebooks", *names), versions)}

## Data

The notebooks read these files. Each is listed with its SHA-256 checksum. Phantoms are drawn anew each time.

{_files(known, notebooks)}
"""


def _files(known: dict[Path, Any], notebooks: dict[Path, NotebookNode]) -> str:
    """A line for each file and checksum, with the notebooks that read it; two lines where they read different files."""
    readers: dict[tuple[str, str], list[str]] = {}
    for path, found in known.items():
        for file, checksum in found["sha256"].items():
            readers.setdefault((file, checksum or "it was not there"), []).append(short_link(path, notebooks[path]))
    return "\n".join(f"- `{file}` ({', '.join(links)}): `{checksum}`" for (file, checksum), links in readers.items())


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
