"""book/teaching/: minutes that add up, chapters, sections and exercises that exist, grading that sums to 100."""

import re
from pathlib import Path

import nbformat
import pytest
from book_exercises import exercises

ROOT = Path(__file__).resolve().parents[2]
TEACHING = ROOT / "book" / "teaching"
NOTEBOOKS = {path.name: nbformat.read(path, as_version=4) for path in sorted(ROOT.glob("notebooks/*.ipynb"))}
HEADING = re.compile(r"^(#{2,3}) (.+): (\d+) minutes$", re.MULTILINE)
ROW = re.compile(r"^\| (\d+) \| (.*?) \| ?(.*?) ?\|$", re.MULTILINE)


def headings(name: str) -> set[str]:
    text = "\n".join(cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "markdown")
    return {found.strip() for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def courses() -> dict[str, tuple[int, list[tuple[int, str, str]]]]:
    """By name: the minutes that are promised, and the rows below."""
    text = (TEACHING / "syllabi.md").read_text(encoding="utf-8")
    found = list(HEADING.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)]
    rows = [ROW.findall(text[one.end() : end]) for one, end in zip(found, ends, strict=True)]
    return {
        one[2]: (int(one[3]), [(int(minutes), what, where) for minutes, what, where in each])
        for one, each in zip(found, rows, strict=True)
    }


COURSES = courses()
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
ROWS = [(course, *row) for course, (_, rows) in COURSES.items() for row in rows]


def test_the_minutes_of_each_course_add_up() -> None:
    assert set(COURSES) == {"Two hours", "One day", "One week", *DAYS}
    for name, (promised, rows) in COURSES.items():
        if name != "One week":
            assert sum(minutes for minutes, _, _ in rows) == promised, name
    assert sum(COURSES[day][0] for day in DAYS) == COURSES["One week"][0]


@pytest.mark.parametrize(("course", "minutes", "what", "where"), ROWS)
def test_a_chapter_has_its_time_or_the_row_names_its_sections(course: str, minutes: int, what: str, where: str) -> None:
    chapter = re.search(r"notebooks/(\w+\.ipynb)", where)
    if chapter is None:
        return
    sections = re.findall(r'"([^"]+)"', what)
    if sections:
        assert set(sections) <= headings(chapter[1])
    else:
        assert minutes >= NOTEBOOKS[chapter[1]].metadata["tsynd"]["minutes_reading"]


def test_a_week_reads_every_chapter() -> None:
    text = " ".join(where for day in DAYS for _, _, where in COURSES[day][1])
    assert set(re.findall(r"notebooks/(\w+\.ipynb)", text)) == set(NOTEBOOKS)


def lessons() -> dict[str, str]:
    """The notes on each chapter, by its notebook."""
    notes = (TEACHING / "lessons.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return {re.findall(r"notebooks/(\w+\.ipynb)", each)[0]: each for each in notes}


def test_every_chapter_has_a_lesson_with_all_its_parts() -> None:
    assert list(lessons()) == list(NOTEBOOKS)
    for name, lesson in lessons().items():
        for part in ("**Goal.**", "**Show.**", "**Ask.**", "| where people get stuck |", "**If time is short,**"):
            assert part in lesson, (name, part)


def test_what_a_lesson_shows_and_what_it_exercises_is_there() -> None:
    titles = {exercise.title.lower() for notebook in NOTEBOOKS.values() for exercise in exercises(notebook)}
    sections, named = 0, 0
    for name, lesson in lessons().items():
        lines = [line for line in lesson.splitlines() if line.startswith(("**Show.**", "**If time"))]
        for section in re.findall(r'"([^"]+)"', " ".join(lines)):
            assert section.rstrip(",") in headings(name), (name, section)
            sections += 1
        for title in re.findall(r"(?<!\*)\*([a-z][^*]+)\*(?!\*)", " ".join(line for line in lines if "If time" in line)):
            assert title.removesuffix("?") in {each.removesuffix("?") for each in titles}, (name, title)
            named += 1
    assert min(sections, named) >= 5


def test_the_grading_sums_to_100() -> None:
    grading = (TEACHING / "project.md").read_text(encoding="utf-8").split("## Grading")[1]
    assert sum(int(points) for points in re.findall(r"^\| (\d+) \|", grading, re.MULTILINE)) == 100
