"""The lessons of `book/teaching/paths.yaml`: for each step the cells of a chapter that are run, in order, and none is missing.

A step names a chapter, the headings of the sections that it shows (a few words of each are enough) and the exercises that it
does. What these cells need from earlier ones, imports, data and functions, is found in their code and comes before them.
"""

import ast
import builtins
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import yaml
from book_exercises import OPEN, TAG, TRANSFER, exercises, is_exercise, transfer_tasks
from nbformat import NotebookNode

SOURCE = Path("book/teaching/paths.yaml")
HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)
TASKS = re.compile(r"(?:Exercise|Task|Open task): ")
KINDS = ("lesson", "break", "questions", "project")


@dataclass(frozen=True)
class Step:
    """One line of a timetable.

    cells: positions in the notebook `chapter`, empty where nothing is run. exercises: the checkers of those that it does.
    """

    day: str
    minutes: int
    what: str
    kind: str
    chapter: str = ""
    page: str = ""
    cells: tuple[int, ...] = ()
    exercises: tuple[str, ...] = ()


@dataclass
class Lesson:
    """A course: its title, the minutes that it promises, and its steps in order."""

    name: str
    title: str
    minutes: int
    steps: list[Step] = field(default_factory=list)

    def notebooks(self) -> dict[str, list[int]]:
        """The cells of each chapter, in the order of the course: what a class runs from the first to the last."""
        found: dict[str, set[int]] = {}
        for step in self.steps:
            if step.chapter:
                found.setdefault(step.chapter, set()).update(step.cells)
        return {chapter: sorted(cells) for chapter, cells in found.items()}


def lessons(root: Path) -> dict[str, Lesson]:
    """The lessons of a book, by name; none where it has no timetables.

    Raises:
        ValueError: for a heading or exercise that its chapter lacks, or has twice, and for an unknown kind of step.
    """
    if not (root / SOURCE).is_file():
        return {}
    given = yaml.safe_load((root / SOURCE).read_text(encoding="utf-8"))
    chapters = {path.stem: nbformat.read(path, as_version=4) for path in sorted(root.glob("notebooks/*.ipynb"))}
    found = {}
    for name, course in given.items():
        lesson = Lesson(name, course["title"], course["minutes"])
        for day, steps in course["days"].items():
            lesson.steps += [_step(day, each, chapters) for each in steps]
        found[name] = lesson
    return found


def _step(day: str, given: dict[str, Any], chapters: dict[str, NotebookNode]) -> Step:
    """One step, with the cells that it needs."""
    kind = given.get("kind", "lesson")
    if kind not in KINDS or (given.get("chapter") or next(iter(chapters))) not in chapters:
        raise ValueError(f"{given['what']}: kind {kind!r} or chapter {given.get('chapter')!r} is unknown")
    if "chapter" not in given:
        return Step(day, given["minutes"], given["what"], kind, page=given.get("page", ""))
    cells = chapters[given["chapter"]].cells
    if given.get("all"):
        wanted = set(range(len(cells)))
    else:
        wanted = {cell for words in given.get("show", ()) for cell in section(cells, words, given["chapter"])}
        wanted |= {cell for checker in given.get("exercises", ()) for cell in exercise(chapters[given["chapter"]], checker)}
        wanted |= needed(cells, wanted)
    done = tuple(given.get("exercises", ()))
    return Step(day, given["minutes"], given["what"], kind, given["chapter"], cells=tuple(sorted(wanted)), exercises=done)


def section(cells: list[NotebookNode], words: str, chapter: str) -> list[int]:
    """The cells of the section whose heading has these words, up to the next heading of its level or above.

    Exercises and tasks within it are chosen by themselves.
    """
    marks = [
        (position, len(found[1]), found[2], found.start() > 0)
        for position, cell in enumerate(cells)
        if cell.cell_type == "markdown"
        for found in HEADING.finditer(cell.source)
    ]
    chosen = [mark for mark in marks if words.lower() in mark[2].lower() and not TASKS.match(mark[2])]
    if len(chosen) != 1:
        raise ValueError(f"{chapter}: one heading with {words!r} is asked for, got {[mark[2] for mark in chosen]}")
    start, level = chosen[0][:2]
    later = (at + inside for at, depth, title, inside in marks if at > start and depth <= level and not TASKS.match(title))
    end = min(later, default=len(cells))
    apart = {around for at, cell in enumerate(cells) if is_exercise(cell, TAG) for around in (at - 1, at, at + 1)}
    apart |= {around for at, cell in enumerate(cells) if is_exercise(cell, TRANSFER) for around in (at - 1, at)}
    apart |= {at for at, cell in enumerate(cells) if OPEN in cell.metadata.get("tags", [])}
    return [at for at in range(start, end) if at not in apart]


def exercise(notebook: NotebookNode, checker: str) -> range:
    """The cells of the exercise or task with this checker: text, code, and the solution below an exercise."""
    for each in exercises(notebook):
        if each.checker == checker:
            return range(each.cell - 2, each.cell + 1)
    for each in transfer_tasks(notebook):
        if each.checker == checker:
            return range(each.cell - 2, each.cell)
    raise ValueError(f"{notebook.metadata['tsynd']['title']}: no exercise is checked by {checker!r}")


def needed(cells: list[NotebookNode], wanted: set[int]) -> set[int]:
    """The code cells before the wanted ones that make what these use, or change it; the set-up cell always.

    A name is taken from every earlier cell that binds it, and from those that call a method of it or assign to a part of it as a
    statement of its own: too much rather than too little. That nothing is missing, `make test-all` proves by running the lesson.
    """
    code = [position for position, cell in enumerate(cells) if cell.cell_type == "code"]
    facts = {position: _names(cells[position].source) for position in code}
    modules = {name for *_, imported in facts.values() for name in imported}  # a call of theirs changes nothing
    chosen = {position for position in code if "setup" in cells[position].metadata.get("tags", [])}
    todo = [(position, position) for position in wanted if position in facts]
    reached: dict[int, int] = {}  # a function may use what is defined below it, as long as that is before its call
    while todo:
        at, call = todo.pop()
        if reached.get(at, -1) >= call:
            continue
        reached[at] = call
        for earlier in (position for position in code if position < call and position != at):
            if is_exercise(cells[earlier], TAG) or is_exercise(cells[earlier], TRANSFER):
                continue
            if (facts[earlier][0] | facts[earlier][2] - modules) & facts[at][1]:
                chosen.add(earlier)
                todo.append((earlier, call))
    return chosen - wanted


def _names(source: str) -> tuple[set[str], set[str], set[str], set[str]]:
    """What a cell binds, uses, changes in place, and imports: global names only, since those of a function are its own."""
    text = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    table = symtable.symtable(text, "cell", "exec")
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    used = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()} | set(_globals(table))
    changed = {name for statement in ast.parse(text).body for name in _changed(statement)}
    imported = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_imported()}
    return bound, used - set(dir(builtins)), changed, imported


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    """The global names that the functions, classes and comprehensions of a table use."""
    for child in table.get_children():
        yield from (symbol.get_name() for symbol in child.get_symbols() if symbol.is_global())
        yield from _globals(child)


def _changed(statement: ast.stmt) -> Iterator[str]:
    """The names whose objects a statement changes: `x.append(1)`, `x[0] = 1`, `x.y = 1`."""
    for node in ast.walk(statement):
        match node:
            case ast.Expr(ast.Call(ast.Attribute(ast.Name(name)))):
                yield name
            case ast.Subscript(ast.Name(name), ctx=ast.Store()) | ast.Attribute(ast.Name(name), ctx=ast.Store()):
                yield name


def syllabi(found: dict[str, Lesson]) -> str:
    """The page of timetables, from the lessons."""
    parts = [SYLLABI]
    for lesson in found.values():
        parts.append(f"## {lesson.title}: {lesson.minutes} minutes\n\n{ABOUT[lesson.name]}")
        for day in dict.fromkeys(step.day for step in lesson.steps):
            steps = [step for step in lesson.steps if step.day == day]
            rows = "\n".join(f"| {step.minutes} | {step.what} | {_source(step)} |" for step in steps)
            minutes = sum(step.minutes for step in steps)
            head = "| minutes | what | from, with its exercise |\n|--:|:--|:--|"
            parts.append(f"### {day}: {minutes} minutes\n\n{head}\n{rows}")
    return "\n\n".join(parts) + "\n"


def _source(step: Step) -> str:
    """A link to what a step is taken from, and the exercises that it does."""
    if step.page:
        return f"[{step.page.rpartition('/')[2]}](../{step.page}.md)"
    if not step.chapter:
        return ""
    link = f"[{step.chapter.partition('_')[2] or step.chapter}](../../notebooks/{step.chapter}.ipynb)"
    return ", ".join([link, *(f"`{each}`" for each in step.exercises)])


SYLLABI = """# Syllabi: two hours, one day, one week

These are timetables for three courses. The minutes of a step include running its cells and doing its exercise, which is named by
its checker: `same_entropy` is the exercise that ends with `exercises.same_entropy(…)`. Each course has time for questions and for
what takes longer than planned. Do not fill this time beforehand.

Each course runs from its first cell to its last. When a step shows only a part of a chapter, the cells that this part needs come
with it. `make test-all` runs every course from end to end."""
ABOUT = {
    "two-hours": """The course is one notebook, [the workshop](../../notebooks/workshop.ipynb), from top to bottom. Everybody
opens it and runs its first cell before the lesson begins.""",
    "day": """The course shows the whole method once, with an exercise in each chapter but the first. Students open the
notebooks in `notebooks/day/`. These hold the cells of this course in this order, and each has a link to Colab at its top.""",
    "week": """The course has five half-days of three hours, and a [project](project.md). Students open the notebooks in
`notebooks/student/` and run all of their cells.""",
}
