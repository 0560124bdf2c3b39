"""The exercises of a notebook: task, stub, hint and solution, as `tools/check_book.py` and the tests read them.

An exercise is three cells in a row: Markdown that begins with `### Exercise: title`; code with the tag `exercise`, whose last
line is `exercises.the_checker(answer)`; Markdown with a folded hint and a folded solution in a python block.

A transfer task is two: Markdown that begins with `### Task: title` and ends with a folded hint; code with the tag `transfer`. An
open task is Markdown with the tag `open` that begins with `### Open task: title`. Their answers are in the instructor's pack.
"""

import ast
import re
from dataclasses import dataclass, replace

from nbformat import NotebookNode

TAG, TRANSFER, OPEN = "exercise", "transfer", "open"
TITLE = re.compile(r"^### (?:Exercise|Task|Open task): (\S.*)")
DETAILS = r"<details>\s*<summary>{}</summary>\s*\n(.*?)\n\s*</details>"
PYTHON = re.compile(r"```python\n(.*?)\n```", re.DOTALL)


@dataclass(frozen=True)
class Exercise:
    """One exercise; what a notebook lacks of it is an empty text.

    cell: the number of its code cell, from 1. checker: the function in `tsynd.teaching.exercises`. answer: the
    expression that it is given. stub: the code cell. output: what stands below it. hint: Markdown. solution: Python.
    """

    cell: int
    title: str
    checker: str
    answer: str
    stub: str
    output: str
    hint: str
    solution: str

    @property
    def objective(self) -> str:
        """The id of the objective that it exercises: checkers are named after objectives."""
        return self.checker.replace("_", "-")


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a notebook, in order."""
    return [_exercise(notebook.cells, index) for index, cell in enumerate(notebook.cells) if is_exercise(cell)]


def transfer_tasks(notebook: NotebookNode) -> list[Exercise]:
    """The transfer tasks of a notebook, in order: exercises without a solution, whose hint stands above."""
    found = [_exercise(notebook.cells, index) for index, cell in enumerate(notebook.cells) if is_exercise(cell, TRANSFER)]
    return [replace(each, hint=_folded(_markdown(notebook.cells, each.cell - 2), "Hint"), solution="") for each in found]


def open_tasks(notebook: NotebookNode) -> list[str]:
    """The titles of the open tasks of a notebook, in order; empty for one that has none."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown" and OPEN in cell.metadata.get("tags", [])]
    return [found[1].strip() if (found := TITLE.match(source)) else "" for source in cells]


def is_exercise(cell: NotebookNode, tag: str = TAG) -> bool:
    """Is this the code cell of an exercise, or of a transfer task?"""
    return cell.cell_type == "code" and tag in cell.metadata.get("tags", [])


def _exercise(cells: list[NotebookNode], index: int) -> Exercise:
    """The exercise around one code cell."""
    above, below = _markdown(cells, index - 1), _markdown(cells, index + 1)
    title = TITLE.match(above)
    checker, answer = _call(cells[index].source)
    python = PYTHON.search(_folded(below, "Solution"))
    return Exercise(
        index + 1,
        title[1].strip() if title else "",
        checker,
        answer,
        cells[index].source,
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cells[index].outputs),
        _folded(below, "Hint"),
        python[1] if python else "",
    )


def _markdown(cells: list[NotebookNode], index: int) -> str:
    """The source of a Markdown cell; empty for another cell, and beyond either end."""
    return str(cells[index].source) if 0 <= index < len(cells) and cells[index].cell_type == "markdown" else ""


def _folded(text: str, summary: str) -> str:
    """What stands in the folded part with this summary."""
    found = re.search(DETAILS.format(summary), text, re.DOTALL)
    return found[1].strip() if found else ""


def _call(source: str) -> tuple[str, str]:
    """The checker and the answer of a last line `exercises.checker(answer)`; empty texts when it is something else."""
    try:
        last = ast.parse(source).body[-1]
    except (SyntaxError, IndexError):
        return "", ""
    match last:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name("exercises"), name), [answer], [])):
            return name, ast.unparse(answer)
    return "", ""
