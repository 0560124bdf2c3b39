"""The students' notebooks: the book's own without outputs and solutions, with a link of their own to Colab, ready for nbgrader.

They lie in `notebooks/student/` and, cut to a lesson's path, in a folder of the lesson's name; both are outside the book and its
tests, are written by `make_pages.py`, and no one edits them.
"""

import ast
import copy
import re
from collections.abc import Iterable
from pathlib import Path

from book_exercises import OPEN, TAG, TRANSFER, Exercise, exercises, open_tasks, transfer_tasks
from front_matter import repository
from lesson_paths import Lesson
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from notebook_form import canonical

FOLDER = "student"
SOLUTION = re.compile(r"\n*<details>\s*<summary>Solution</summary>.*?</details>", re.DOTALL)
COLAB = "https://colab.research.google.com/github"
POINTS = {TAG: 2, TRANSFER: 3, OPEN: 5}
ANSWER = "*Your prediction, what you saw, and your explanation:*"


def student_notebooks(notebooks: dict[Path, NotebookNode]) -> dict[Path, str]:
    """The text of each student's notebook, by path."""
    return {
        (target := path.parent / FOLDER / path.name): student_notebook(notebook, f"notebooks/{FOLDER}/{target.name}")
        for path, notebook in notebooks.items()
    }


def lesson_notebooks(notebooks: dict[Path, NotebookNode], lessons: Iterable[Lesson]) -> dict[Path, str]:
    """The notebooks of lessons that take a part of a chapter only, by path: the cells that are run, and what they need."""
    found = {}
    for lesson in lessons:
        for path, notebook in notebooks.items():
            cells = set(lesson.notebooks().get(path.stem, ()))
            if not cells or len(cells) >= len(notebook.cells) - 2:  # nothing, or all but the title and the box below it
                continue
            cut = copy.deepcopy(notebook)
            cells |= {0, *(at for at, cell in enumerate(cut.cells) if "info" in cell.metadata.get("tags", []))}
            cut.cells = [cut.cells[at] for at in sorted(cells)]
            cut.cells[0].source += f"\n\n> **{lesson.title}.** The cells of this chapter that the course runs, in their order."
            target = path.parent / lesson.name / path.name
            found[target] = student_notebook(cut, f"notebooks/{lesson.name}/{path.name}")
    return found


def student_notebook(notebook: NotebookNode, address: str) -> str:
    """A notebook with its stubs and hints, and nothing that gives an answer away; `address`: where it will stand.

    The questions of "Check yourself" keep their reasons: they are folded, and nobody grades them. Each exercise becomes two cells
    for nbgrader, one to answer in and a locked one that checks and gives the points; an open task gets a cell to write in, which
    a teacher grades.
    """
    student = copy.deepcopy(notebook)
    checked = {each.cell - 1: each for each in exercises(notebook) + transfer_tasks(notebook) if each.checker}
    titles = iter(open_tasks(notebook))
    cells: list[NotebookNode] = []
    for at, cell in enumerate(student.cells):
        tags = cell.metadata.get("tags", [])
        if at in checked:
            cells += _graded(checked[at], TRANSFER if TRANSFER in tags else TAG)
            continue
        if cell.cell_type == "code":
            if "remove-cell" in tags and all(isinstance(each, ast.Assert) for each in ast.parse(cell.source).body):
                continue  # it guards the book, and teaches nobody
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = SOLUTION.sub("", cell.source)
        if "info" in tags:
            cell.source += f"\n> - **Run it:** [in Colab]({colab(address)}); solutions are in the book"
        if not cell.source.strip():
            continue
        cells.append(cell)
        if OPEN in tags:
            name = re.sub(r"\W+", "-", next(titles).lower()).strip("-")
            written = {"grade": True, "solution": True, "locked": False, "points": POINTS[OPEN]}
            cells.append(new_markdown_cell(ANSWER, metadata={"nbgrader": _nbgrader(f"open-{name}", **written)}))
    student.cells = cells
    return canonical(student)


def _graded(each: Exercise, tag: str) -> list[NotebookNode]:
    """The two cells of an exercise: the stub, and the check with its points as the value of its last line (partial credit)."""
    stub = each.stub.rpartition(f"exercises.{each.checker}(")[0].rstrip() or each.stub  # without a call: check_book says so
    check = f"verdict = exercises.{each.checker}({each.answer})\nprint(verdict)\n{POINTS[tag]} * bool(verdict)  # points"
    name = each.checker.replace("_", "-")
    return [
        new_code_cell(stub, metadata={"tags": [tag], "nbgrader": _nbgrader(name, grade=False, solution=True, locked=False)}),
        new_code_cell(
            check, metadata={"nbgrader": _nbgrader(f"{name}-check", grade=True, solution=False, locked=True, points=POINTS[tag])}
        ),
    ]


def _nbgrader(name: str, **facts: bool | int) -> dict[str, object]:
    """Metadata of nbgrader's cell format 3."""
    return {"schema_version": 3, "task": False, "grade_id": name, **facts}


def colab(path: str) -> str:
    """Where Colab opens a file of the repository."""
    where = repository()
    return f"{COLAB}/{where['url'].removeprefix('https://github.com/')}/blob/{where['branch']}/{path}"
