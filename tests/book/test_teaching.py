"""book/teaching/: notes on every lesson, exercises that exist, a deck for each lesson, grading that sums to 100."""

import re
from pathlib import Path

import nbformat
from lesson_paths import lessons, syllabi
from slides import decks

from tsynd.teaching import exercises

ROOT = Path(__file__).resolve().parents[2]
TEACHING = ROOT / "book" / "teaching"
NOTEBOOKS = {path.name: nbformat.read(path, as_version=4) for path in sorted(ROOT.glob("notebooks/*.ipynb"))}


def notes() -> dict[str, str]:
    """The notes on each lesson, by its notebook."""
    text = (TEACHING / "lessons.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return {re.findall(r"notebooks/(\w+\.ipynb)", each)[0]: each for each in text}


def test_every_lesson_has_notes_with_all_their_parts() -> None:
    assert set(notes()) == set(NOTEBOOKS)
    for name, lesson in notes().items():
        for part in ("**Goal.**", "**Show.**", "**Ask.**", "| where people get stuck |", "**If time is short,**"):
            assert part in lesson, (name, part)
        assert lesson.count("\n| ") >= 4, name


def test_the_exercises_that_notes_name_are_in_their_chapter() -> None:
    named = 0
    for name, lesson in notes().items():
        code = "\n".join(cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "code")
        for checker in set(re.findall(r"`(\w+)`", lesson)) & set(exercises.__all__):
            assert f"exercises.{checker}(" in code, (name, checker)
            named += 1
    assert named >= 12


def test_the_timetables_are_the_generated_ones() -> None:
    assert (TEACHING / "syllabi.md").read_text(encoding="utf-8") == syllabi(lessons(ROOT))


def test_the_page_of_slides_lists_every_deck() -> None:
    listed = re.findall(r"slides/(\w+)\.html", (TEACHING / "slides.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(decks(ROOT))


def test_the_grading_sums_to_100() -> None:
    grading = (TEACHING / "project.md").read_text(encoding="utf-8").split("## Grading\n")[1].split("\n## ")[0]
    assert sum(int(points) for points in re.findall(r"^\| (\d+) \|", grading, re.MULTILINE)) == 100
