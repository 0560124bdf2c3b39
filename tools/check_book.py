"""Hold the book together: front matter, exercises, words for images, reading times, numbers in prose, generated pages.

    python tools/check_book.py

It reads what people wrote; what executing writes is `run_notebooks.py --check`'s to look at, the built pages are
`check_html.py`'s. One line for each finding, and exit code 1 if there are any.
"""

import argparse
import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import book_numbers
import front_matter
import nbformat
import run_facts
import yaml
from book_exercises import exercises, open_tasks, transfer_tasks
from make_pages import pages
from nbformat import NotebookNode

import tsynd.teaching.exercises

ROOT = Path(__file__).resolve().parent.parent
ALT_LENGTH = 20
IMAGES = {"image/png", "image/svg+xml", "image/jpeg"}
FRAME = re.compile(r"<img\b[^>]*>")
ALT = re.compile(r'\balt="([^"]*)"')
# A directive (```{note}, :::{note}) or a role ({term}`…`): Colab shows them as raw text.
MYST = re.compile(r"^[ \t]*(?:`{3,}|:{3,})\{[\w:-]+\}|(?<![\w$\\])\{[a-z][\w:+-]*\}`", re.MULTILINE)
# A relative link to anything but a notebook beside this one.
RELATIVE = re.compile(r"\]\((\.\.?/[^)\s]+)")
# Where braces are code: a span whose opening backtick follows no role.
SPAN = re.compile(r"(?<![`}])`[^`\n]+`")
# A link to the glossary, {term}`word` or {term}`words <word>`, and a word there with the definition below it.
TERM = re.compile(r"\{term\}`([^`<]*?)(?: <([^>`]*)>)?`")
WORD = re.compile(r"^([A-Za-z][^\n:`]*)\n  \S", re.MULTILINE)
WORDS_A_MINUTE = 200
LINES_A_MINUTE = 30
FIGURE_MINUTES = 0.25
LONGEST = 40
LONGEST_CELL = 20
HIDDEN = "remove-cell"  # what the book leaves out, and a notebook holds
# A stated reading time may be off by this share of what is counted, or by two minutes.
TOLERANCE = 0.4
TASKS = 2


def findings(root: Path) -> Iterator[str]:
    """What is wrong with a book, a line each; none is a good book."""
    notebooks = {path: nbformat.read(path, as_version=4) for path in sorted(root.glob("notebooks/*.ipynb"))}
    invalid = False
    for path, notebook in notebooks.items():
        problems = list(front_matter.problems(notebook.metadata.get("tsynd")))
        invalid |= bool(problems)
        yield from (f"{path.name}: {line}" for line in problems or of_notebook(notebook, root / "results"))
        lacked = [name for name, digest in ((run_facts.read(path) or {}).get("sha256") or {}).items() if digest is None]
        yield from (f"{path.name}: was executed without {name}, so its outputs lack what it shows" for name in lacked)
    if not invalid:  # the rest reads the front matter of every notebook
        yield from of_all(notebooks, root)
    yield from of_glossary({path: path.read_text(encoding="utf-8") for path in sorted(root.glob("book/**/*.md"))})
    for path in sorted(root.glob("book/**/*.md")):
        if path.name == "results.md":  # generated number by number, and compared as a whole
            continue
        text = path.read_text(encoding="utf-8")
        linked = [path.parent / name for name in dict.fromkeys(re.findall(r"\((\w+\.md)", text))]
        beside = "\n".join(other.read_text(encoding="utf-8") for other in linked if other.is_file())
        yield from (f"{path.name}: {no_source(number)}" for number in book_numbers.in_page(text, root / "results", beside))


def of_glossary(pages: dict[Path, str]) -> Iterator[str]:
    """Each word of the glossary is linked from a page, and from a page once; that a link leads to a word, Sphinx proves."""
    linked = {path: [after or shown for shown, after in TERM.findall(text)] for path, text in pages.items()}
    for path, names in linked.items():
        yield from (
            f"{path.name}: {name} is linked to the glossary twice" for name in dict.fromkeys(names) if names.count(name) > 1
        )
    words = [word for path, text in pages.items() if path.name == "glossary.md" for word in WORD.findall(text)]
    everywhere = {name for names in linked.values() for name in names}
    yield from (f"glossary.md: no page links to {word}" for word in words if word not in everywhere)


def of_notebook(notebook: NotebookNode, results: Path) -> Iterator[str]:
    """What is wrong with one notebook whose front matter is valid."""
    title = notebook.metadata["tsynd"]["title"]
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith(f"# {title}"):
        yield f"the first cell must begin with the title of the front matter, `# {title}`"
    for position, cell in enumerate(notebook.cells, 1):
        yield from (f"cell {position}: {line}" for line in of_cell(cell))
    yield from of_exercises(notebook)
    yield from of_reading_time(notebook)
    numbers = book_numbers.in_notebook(notebook, results, set(front_matter.GENERATED))
    yield from (f"cell {position}: {no_source(number)}" for position, number in numbers)


def no_source(number: str) -> str:
    """What to do about a number without a source."""
    return f"the number {number} stands in no cell above, nor in a table of results/NAME that the page names"


def of_cell(cell: NotebookNode) -> Iterator[str]:
    """Directives in Markdown, and images without words."""
    if cell.cell_type == "markdown":
        prose = SPAN.sub("", book_numbers.BLOCK.sub(lambda block: f"```{block[2]}" if block[2] else "", cell.source))
        yield from (f"Colab shows a directive or role as raw text: {found[0].strip()}" for found in MYST.finditer(prose))
        for page in RELATIVE.findall(cell.source):
            yield f"in Colab a link to {page} leads nowhere: link to {front_matter.online(page.removeprefix('../'))}"
        return
    if cell.cell_type != "code":
        return
    yield from of_code(cell.source, cell.metadata.get("tags", []))
    data = [output.get("data", {}) for output in cell.outputs]
    if any(IMAGES & set(each) for each in data):
        alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))
        if len(alt.strip()) < ALT_LENGTH:
            yield f"an image needs metadata mystnb.image.alt of {ALT_LENGTH} characters or more, got {alt!r}"
    for image in FRAME.findall("".join(str(each.get("text/html", "")) for each in data)):
        found = ALT.search(image)
        if not found or len(found[1].strip()) < ALT_LENGTH:
            yield f"a frame needs an alt text of {ALT_LENGTH} characters or more, got {found[1] if found else ''!r}"


def of_code(source: str, tags: list[str]) -> Iterator[str]:
    """Cells that are long and not the point, asserts that readers see, and fixed sentences that look like results."""
    if HIDDEN in tags or "setup" in tags:
        return
    lines = sum(bool(line.strip()) for line in source.splitlines())
    if lines > LONGEST_CELL and "long" not in tags:
        yield f"has {lines} lines, more than {LONGEST_CELL}: move what is not the point into the package (or tag it `long`)"
    for statement in ast.parse(source.replace("%pip", "# %pip")).body:
        match statement:
            case ast.Assert():
                yield f"an assert that guards the book belongs into a cell with the tag {HIDDEN}"
            case ast.Expr(ast.Call(ast.Name("print"), [ast.Constant(str(text))], [])):
                yield f"prints a fixed sentence, which looks like a result: {text[:40]!r}"


def of_exercises(notebook: NotebookNode) -> Iterator[str]:
    """Each objective has an exercise, each exercise an objective, a checker, and all of its parts."""
    ids = [objective["id"] for objective in notebook.metadata["tsynd"]["objectives"]]
    found = exercises(notebook)
    for each in found:
        where = f"cell {each.cell}: exercise"
        if not each.checker:
            yield f"{where} must end with `exercises.the_checker(answer)`"
        elif each.checker not in tsynd.teaching.exercises.__all__:
            yield f"{where} calls exercises.{each.checker}, which tsynd.teaching.exercises does not have"
        elif each.objective not in ids:
            yield f"{where} is for the objective {each.objective}, which this chapter does not have"
        for part in ("title", "hint", "solution"):
            if not getattr(each, part):
                yield f"{where} has no {part} (### Exercise: …; a folded Hint; a folded Solution with a python block)"
        if not each.output.startswith("Not yet."):
            yield f"{where} must be committed with the output of its stub, `Not yet. …`, got {each.output[:40]!r}"
    yield from of_tasks(notebook)
    yield from (f"no exercise for the objective {each}" for each in ids if each not in {one.objective for one in found})


def of_tasks(notebook: NotebookNode) -> Iterator[str]:
    """Two transfer tasks and two open ones in each chapter, and none in a lesson; no answer stands on the page."""
    transfer, opened = transfer_tasks(notebook), open_tasks(notebook)
    wanted = 0 if notebook.metadata["tsynd"].get("lesson") else TASKS
    if (len(transfer), len(opened)) != (wanted, wanted):
        yield f"{wanted} transfer tasks and {wanted} open ones are asked for, got {len(transfer)} and {len(opened)}"
    if not all(opened):
        yield "an open task begins with `### Open task: title`"
    page = "\n".join(cell.source for cell in notebook.cells)
    for each in transfer:
        where = f"cell {each.cell}: task"
        if not each.title or not each.hint or each.checker not in tsynd.teaching.exercises.__all__:
            yield f"{where} needs a title (### Task: …), a folded Hint above its code, and a checker of tsynd.teaching.exercises"
        if f"def {each.answer}(" in page.replace(each.stub, ""):
            yield f"{where} is answered on the page: {each.answer} is defined twice"
        if not each.output.startswith("Not yet."):
            yield f"{where} must be committed with the output of its stub, `Not yet. …`, got {each.output[:40]!r}"


def of_reading_time(notebook: NotebookNode) -> Iterator[str]:
    """Is the stated reading time what words, code and figures ask for?"""
    stated = notebook.metadata["tsynd"]["minutes_reading"]
    counted = reading_minutes(notebook)
    if counted > LONGEST:
        yield f"takes {counted:.0f} minutes to read, more than {LONGEST}: split it"
    if abs(stated - counted) > max(2.0, TOLERANCE * counted):
        yield f"minutes_reading is {stated}; its words, code and figures ask for {counted:.0f}"


def reading_minutes(notebook: NotebookNode) -> float:
    """Minutes for the prose that stands open, the code and the figures; what is folded is read by choice."""
    prose = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    prose = re.sub(r"(?s)<details>.*?</details>|```.*?```|<[^>]*>", " ", prose)
    words = len(re.findall(r"[^\W\d_][\w'’-]*", prose))
    code = [
        cell for cell in notebook.cells if cell.cell_type == "code" and not {"setup", HIDDEN} & set(cell.metadata.get("tags", []))
    ]
    lines = sum(bool(line.strip()) for cell in code for line in cell.source.splitlines())
    data = [output.get("data", {}) for cell in code for output in cell.outputs]
    figures = sum(bool(IMAGES & set(each) or "<img" in str(each.get("text/html", ""))) for each in data)
    return words / WORDS_A_MINUTE + lines / LINES_A_MINUTE + FIGURE_MINUTES * figures


def of_all(notebooks: dict[Path, NotebookNode], root: Path) -> Iterator[str]:
    """What several files must agree on: ids, order, what must be read first, launch buttons, generated pages."""
    seen: dict[str, str] = {}
    for path, notebook in notebooks.items():
        for objective in [] if notebook.metadata["tsynd"].get("lesson") else notebook.metadata["tsynd"]["objectives"]:
            if objective["id"] in seen:
                yield f"{path.name}: the objective {objective['id']} is also in {seen[objective['id']]}"
            seen.setdefault(objective["id"], path.name)
        earlier = {other.stem for other in notebooks if other.name < path.name}
        for name in notebook.metadata["tsynd"]["needs"]:
            if name not in earlier:
                yield f"{path.name}: needs {name}, which is no earlier notebook"
    taught = [
        name
        for notebook in notebooks.values()
        for name in (each.checker for each in exercises(notebook) + transfer_tasks(notebook))
    ]
    checkers = set(tsynd.teaching.exercises.__all__) - {"NotYet", "Verdict", "checker"}
    yield from (f"tsynd.teaching.exercises.{name} is the checker of no exercise" for name in sorted(checkers - set(taught)))
    yield from of_contents(root)
    for path, text in pages(root).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield f"{path.name}: out of date (python tools/make_pages.py)"


def of_contents(root: Path) -> Iterator[str]:
    """The order of chapters, and what their launch buttons open."""
    contents: Any = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = list(listed_files(contents))
    chapters = [name for name in files if name.startswith("notebooks/")]
    if chapters != sorted(chapters):
        yield f"_toc.yml: chapters are not in the order of their numbers: {', '.join(chapters)}"
    inside = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]["path_to_book"]
    tracked_files = ["git", "ls-files", "--cached", "--", "notebooks"]
    tracked = subprocess.run(tracked_files, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in chapters:
        if inside or f"{name}.ipynb" not in tracked:
            yield f"{name}: its launch button opens {f'{inside}/{name}.ipynb'.lstrip('/')}, which is not in the repository"


def listed_files(entry: Any) -> Iterator[str]:
    """The pages of a table of contents below its root, in order, with those that are sections of another one."""
    for part in entry.get("parts", []):
        yield from listed_files(part)
    for child in (*entry.get("chapters", []), *entry.get("sections", [])):
        yield str(child["file"])
        yield from listed_files(child)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Check the book; return the exit code."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args(arguments)
    lines = list(findings(root))
    print("\n".join(lines) or "the book holds together")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
