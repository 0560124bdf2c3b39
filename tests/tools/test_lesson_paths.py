"""Lessons as lists of cells: minutes that add up, nothing before what it needs, and every cell runs (deep)."""

import os
from pathlib import Path

import nbformat
import pytest
from check_book import reading_minutes
from lesson_paths import Lesson, exercise, lessons, needed, section
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
LESSONS = lessons(ROOT)
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in sorted(ROOT.glob("notebooks/*.ipynb"))}


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_the_minutes_add_up_and_leave_a_buffer(lesson: Lesson) -> None:
    assert sum(step.minutes for step in lesson.steps) == lesson.minutes
    taught = sum(step.minutes for step in lesson.steps if step.kind != "break")
    assert sum(step.minutes for step in lesson.steps if step.kind == "questions") >= 0.07 * taught


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_each_step_has_time_to_read_what_it_shows(lesson: Lesson) -> None:
    for step in lesson.steps:
        if step.chapter and step.cells:
            part = new_notebook(cells=[NOTEBOOKS[step.chapter].cells[at] for at in step.cells])
            assert step.minutes >= 0.8 * reading_minutes(part), f"{step.what}: {reading_minutes(part):.0f} minutes to read"


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_nothing_is_taught_before_what_it_needs(lesson: Lesson) -> None:
    order = list(lesson.notebooks())
    for chapter in order:
        for need in NOTEBOOKS[chapter].metadata["tsynd"]["needs"]:
            assert need in order[: order.index(chapter)], (lesson.name, chapter, need)


def test_the_courses_are_the_promised_ones_and_the_week_reads_everything() -> None:
    assert {name: lesson.minutes for name, lesson in LESSONS.items()} == {"two-hours": 120, "day": 420, "week": 900}
    assert set(LESSONS["week"].notebooks()) == set(NOTEBOOKS) - {"workshop"}
    whole = set(range(len(NOTEBOOKS["workshop"].cells)))
    assert whole - set(LESSONS["two-hours"].notebooks()["workshop"]) <= {0, 1}, "only the title and its box are not a step"


def small() -> nbformat.NotebookNode:
    folded = "<details><summary>Solution</summary>\n\nx\n</details>"
    return new_notebook(
        metadata={"tsynd": {"title": "T"}},
        cells=[
            new_markdown_cell("# T"),
            new_code_cell("import math", metadata={"tags": ["setup"]}),
            new_code_cell("def climb(x):\n    return step(x)"),
            new_code_cell("def step(x):\n    return x + 1"),
            new_code_cell("kept = []"),
            new_code_cell("kept.append(climb(1))"),
            new_code_cell("unused = 3"),
            new_markdown_cell("text before\n\n## The search\n\ntext"),
            new_code_cell("print(kept)"),
            new_markdown_cell("### Exercise: do it\n\ntask"),
            new_code_cell("answer = ...\n\nexercises.one_step(answer)", metadata={"tags": ["exercise"]}),
            new_markdown_cell(folded),
            new_code_cell("print(kept, 2)"),
            new_markdown_cell("more\n\n## Next"),
            new_code_cell("print(unused)"),
        ],
    )


def test_a_section_is_found_by_some_words_and_leaves_its_exercises_out() -> None:
    cells = small().cells
    assert section(cells, "the SEARCH", "t") == [7, 8, 12, 13]
    assert list(exercise(small(), "one_step")) == [9, 10, 11]
    for words in ("nowhere", "T"):
        with pytest.raises(ValueError, match="one heading with"):
            section(cells, words, "t")
    with pytest.raises(ValueError, match="no exercise is checked by 'other'"):
        exercise(small(), "other")


def test_what_a_cell_needs_is_found_through_functions_and_changes() -> None:
    assert needed(small().cells, {8}) == {1, 2, 3, 4, 5}, "climb needs step, and kept was filled"
    assert needed(small().cells, {14}) == {1, 6}


@pytest.mark.deep
@pytest.mark.parametrize(
    ("lesson", "chapter"), [(name, chapter) for name, lesson in LESSONS.items() for chapter in lesson.notebooks()]
)
def test_each_path_runs_from_its_first_cell_to_its_last(lesson: str, chapter: str) -> None:
    at = LESSONS[lesson].notebooks()[chapter]
    notebook = new_notebook(cells=[NOTEBOOKS[chapter].cells[position] for position in at])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    where = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
