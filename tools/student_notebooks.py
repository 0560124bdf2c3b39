"""The students' notebooks: the book's own, without outputs and solutions, and with a link of their own to Colab.

They lie in `notebooks/student/`, outside the book and its tests, are written by `make_pages.py`, and no one edits them.
"""

import copy
import re
from pathlib import Path

from front_matter import repository
from nbformat import NotebookNode
from notebook_form import canonical

FOLDER = "student"
SOLUTION = re.compile(r"\n*<details>\s*<summary>Solution</summary>.*?</details>", re.DOTALL)
COLAB = "https://colab.research.google.com/github"


def student_notebooks(notebooks: dict[Path, NotebookNode]) -> dict[Path, str]:
    """The text of each student's notebook, by path."""
    return {path.parent / FOLDER / path.name: student_notebook(notebook, path.name) for path, notebook in notebooks.items()}


def student_notebook(notebook: NotebookNode, name: str) -> str:
    """A notebook with its stubs and hints, and nothing that gives an answer to an exercise away.

    The questions of "Check yourself" keep their reasons: they are folded, and nobody grades them.
    """
    student = copy.deepcopy(notebook)
    for cell in student.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = SOLUTION.sub("", cell.source)
        if "info" in cell.metadata.get("tags", []):
            cell.source += f"\n> - **Run it:** [in Colab]({colab(f'notebooks/{FOLDER}/{name}')}); solutions are in the book"
    return canonical(student)


def colab(path: str) -> str:
    """Where Colab opens a file of the repository."""
    where = repository()
    return f"{COLAB}/{where['url'].removeprefix('https://github.com/')}/blob/{where['branch']}/{path}"
