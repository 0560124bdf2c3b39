"""tools/check_book.py: a small good book has no findings, and each rule broken once is the one finding."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check_book
import make_pages
import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import tsynd.teaching.exercises

ALT = "A line that rises and falls again"
FRAME = f'<div><img alt="{ALT}" src="data:image/svg+xml;base64,AAAA"></div>'
NAMES = ("run_pipeline", "read_targeted", "judge_one_run")
TASKS = ("how_many_seeds", "who_changed_more")
FOLDED = "<details><summary>{}</summary>\n\n{}\n</details>"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")


def exercise(name: str) -> list[NotebookNode]:
    """The three cells of an exercise."""
    below = [FOLDED.format("Hint", "Think."), FOLDED.format("Solution", "```python\nf = print\n```")]
    output = new_output("execute_result", data={"text/plain": "Not yet. Nothing was returned."}, execution_count=1)
    code = f"def f():\n    return ...\n\n\nexercises.{name}(f)"
    return [
        new_markdown_cell(f"### Exercise: {name}\n\nReplace the dots."),
        new_code_cell(code, metadata={"tags": ["exercise"]}, outputs=[output]),
        new_markdown_cell("\n\n".join(below)),
    ]


def transfer(name: str) -> list[NotebookNode]:
    """The two cells of a transfer task."""
    output = new_output("execute_result", data={"text/plain": "Not yet. Nothing was returned."}, execution_count=1)
    code = f"def {name}():\n    return ...\n\n\nexercises.{name}({name})"
    return [
        new_markdown_cell(f"### Task: {name}\n\nThink.\n\n{FOLDED.format('Hint', 'More.')}"),
        new_code_cell(code, metadata={"tags": ["transfer"]}, outputs=[output]),
    ]


def chapter() -> NotebookNode:
    """A notebook that keeps every rule, with something that each rule speaks of."""
    front = {
        "title": "A title",
        "step": "targeting",
        "objectives": [{"id": name.replace("_", "-"), "text": f"do {name}"} for name in NAMES],
        "minutes_reading": 1,
        "device": "cpu",
        "data": ["phantom"],
        "needs": [],
        "numbers": {"0.77": "a number that we chose", ".321": "results/study/summary.json"},
    }
    drawn = [new_output("display_data", data={"image/png": "AAAA"})]
    explored = [new_output("display_data", data={"text/html": FRAME})]
    printed = [new_output("stream", name="stdout", text="mean 0.1234\n")]
    prose = "It rose by 0.12 (12.3 %), with 0.5 of $a_{b}$ and `{x}`, to .88 in results/study, or 0.77, or .321; $0.9$ is none."
    return new_notebook(
        metadata={"tsynd": front},
        cells=[
            new_markdown_cell("# A title: and its promise"),
            new_code_cell("share = 0.5", outputs=printed),
            new_code_cell("plot()", outputs=drawn, metadata={"mystnb": {"image": {"alt": ALT}}}),
            new_code_cell("explore()", outputs=explored),
            new_markdown_cell(f"{prose}\n\n```\n:::{{note}}\n```"),
            *(cell for name in NAMES for cell in exercise(name)),
            *(cell for name in TASKS for cell in transfer(name)),
            *(new_markdown_cell(f"### Open task: {name}\n\nPredict.", metadata={"tags": ["open"]}) for name in "ab"),
        ],
    )


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book of one chapter, one page and one study, in a repository."""
    monkeypatch.setattr(tsynd.teaching.exercises, "__all__", ["NotYet", "Verdict", "checker", *NAMES, *TASKS])
    for name in ("notebooks", "book", "results/study"):
        (tmp_path / name).mkdir(parents=True)
    nbformat.write(chapter(), tmp_path / "notebooks" / "01_a.ipynb")
    (tmp_path / "results" / "study" / "table.md").write_text("| arm | mean |\n|---|---|\n| none | .876 |\n", encoding="utf-8")
    (tmp_path / "results" / "study" / "summary.json").write_text(json.dumps({"low": -0.3214}), encoding="utf-8")
    (tmp_path / "results" / "study" / "runs.csv").write_text("value\n0.444\n", encoding="utf-8")
    front = '---\ntsynd:\n  numbers:\n    ".321": results/study/summary.json\n---\n'
    page = "# Page\n\nresults/study: .88, 95 % and .321; [](other.md)\n"
    (tmp_path / "book" / "page.md").write_text(front + page, encoding="utf-8")
    (tmp_path / "book" / "other.md").write_text("# Other\n", encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("parts: [{chapters: [{file: notebooks/01_a}, {file: book/page}]}]\n", encoding="utf-8")
    (tmp_path / "_config.yml").write_text('repository: {path_to_book: ""}\n', encoding="utf-8")
    write_pages(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    return tmp_path


def write_pages(root: Path) -> None:
    for path, text in make_pages.pages(root).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def spoil(root: Path, change: Callable[[NotebookNode], Any]) -> None:
    """Change the chapter; the generated pages follow."""
    path = root / "notebooks" / "01_a.ipynb"
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)
    if isinstance(notebook.metadata.tsynd.get("title"), str):
        write_pages(root)


def test_a_good_book_has_no_findings(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(check_book.findings(book)) == []
    assert check_book.main([], book) == 0
    assert capsys.readouterr().out == "the book holds together\n"


def set_source(cell: int, old: str, new: str) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        assert old in notebook.cells[cell - 1].source
        notebook.cells[cell - 1].source = notebook.cells[cell - 1].source.replace(old, new)

    return change


def set_alt(notebook: NotebookNode) -> None:
    notebook.cells[2].metadata.mystnb.image.alt = "A line"


def set_no_alt(notebook: NotebookNode) -> None:
    notebook.cells[2].metadata = {}
    notebook.cells[2].outputs[0].data = {"image/svg+xml": "<svg/>"}


def set_frame(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs[0].data["text/html"] = FRAME + FRAME.replace(ALT, "A line")


def set_frame_without(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs[0].data["text/html"] = FRAME.replace(f'alt="{ALT}" ', "")


def drop_task(notebook: NotebookNode) -> None:
    del notebook.cells[-1]


def set_output(notebook: NotebookNode) -> None:
    notebook.cells[6].outputs[0].data["text/plain"] = "Right. Well done."


def set_front(**values: Any) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.metadata.tsynd.update(values)


def set_objective(notebook: NotebookNode) -> None:
    notebook.metadata.tsynd.objectives.append({"id": "say-why", "text": "say why"})


def set_other_objective(notebook: NotebookNode) -> None:
    """The exercise is left without its objective: what it exercises is another chapter's."""
    notebook.metadata.tsynd.objectives = [
        *notebook.metadata.tsynd.objectives[:2],
        {"id": "judge-one", "text": "say what one run proves"},
    ]


def set_code(notebook: NotebookNode) -> None:
    notebook.cells[1].source += "\nx = 1" * 150
    notebook.cells[1].metadata["tags"] = ["long"]


def add_code(code: str) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        notebook.cells[1].source += f"\n{code}"

    return change


def set_length(words: int) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        notebook.cells[0].source += " word" * words

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_front(step="search"), "front matter: step must be one of"),
        (set_source(1, "# A title", "# Another"), "the first cell must begin with the title of the front matter, `# A title`"),
        (set_alt, "cell 3: an image needs metadata mystnb.image.alt of 20 characters or more, got 'A line'"),
        (set_no_alt, "cell 3: an image needs metadata mystnb.image.alt of 20 characters or more, got ''"),
        (set_frame, "cell 4: a frame needs an alt text of 20 characters or more, got 'A line'"),
        (set_frame_without, "cell 4: a frame needs an alt text of 20 characters or more, got ''"),
        (
            set_source(5, "It rose", "```{note}\nWell.\n```\n\nIt rose"),
            "cell 5: Colab shows a directive or role as raw text: ```{note}",
        ),
        (
            set_source(5, "It rose", ":::{tip}\nWell.\n:::\n\nIt rose"),
            "cell 5: Colab shows a directive or role as raw text: :::{tip}",
        ),
        (set_source(5, "It rose", "It {term}`rose`"), "cell 5: Colab shows a directive or role as raw text: {term}`"),
        (
            set_source(5, "It rose", "It [rose](../book/scope.md)"),
            "cell 5: in Colab a link to ../book/scope.md leads nowhere: link to http",
        ),
        (set_source(5, "0.12 ", "0.13 "), "cell 5: the number 0.13 stands in no cell above"),
        (set_source(5, "12.3 %", "12.6 %"), "cell 5: the number 12.6 % stands in no cell above"),
        (set_source(5, ".88", ".444"), "cell 5: the number .444 stands in no cell above"),  # raw rows do not count
        (set_source(5, "results/study", "it"), "cell 5: the number .88 stands in no cell above"),
        (set_front(numbers={".321": "results/study/summary.json"}), "cell 5: the number 0.77 stands in no cell above"),
        (
            set_front(numbers={"0.77": "a number that we chose", ".321": "results/study/table.md"}),
            "cell 5: the number .321 stands in no cell above",
        ),
        (set_source(1, "promise", "promise 0.1234"), "cell 1: the number 0.1234 stands in no cell above"),  # it stands below
        (set_source(6, "### Exercise:", "### Exercise"), "cell 7: exercise has no title"),
        (set_source(7, "exercises.run_pipeline(f)", "f"), "cell 7: exercise must end with `exercises.the_checker(answer)`"),
        (
            set_source(7, "run_pipeline", "run_it"),
            "cell 7: exercise calls exercises.run_it, which tsynd.teaching.exercises does not have",
        ),
        (set_source(8, "Hint", "Clue"), "cell 7: exercise has no hint"),
        (set_source(8, "```python", "```"), "cell 7: exercise has no solution"),
        (set_source(8, "</details>", ""), "cell 7: exercise has no hint"),
        (set_output, "cell 7: exercise must be committed with the output of its stub, `Not yet. …`, got 'Right. Well done.'"),
        (set_other_objective, "cell 13: exercise is for the objective judge-one-run, which this chapter does not have"),
        (set_objective, "no exercise for the objective say-why"),
        (set_source(15, "Hint", "Clue"), "cell 16: task needs a title (### Task: …), a folded Hint above its code"),
        (set_source(8, "f = print", "def how_many_seeds(): pass"), "cell 16: task is answered on the page"),
        (set_source(19, "### Open task: a", "### A"), "an open task begins with `### Open task: title`"),
        (drop_task, "2 transfer tasks and 2 open ones are asked for, got 2 and 1"),
        (set_front(minutes_reading=4), "minutes_reading is 4; its words, code and figures ask for 1"),
        (set_length(1000), "minutes_reading is 1; its words, code and figures ask for 6"),
        (set_code, "minutes_reading is 1; its words, code and figures ask for 6"),
        (add_code("x = 1\n" * 21), "cell 2: has 22 lines, more than 20"),
        (add_code("assert True"), "cell 2: an assert that guards the book belongs into a cell with the tag remove-cell"),
        (add_code("print('It works.')"), "cell 2: prints a fixed sentence, which looks like a result: 'It works.'"),
        (set_length(9000), "takes 46 minutes to read, more than 40: split it"),
        (set_front(needs=["00_first"]), "needs 00_first, which is no earlier notebook"),
    ],
)
def test_each_broken_rule_is_found(book: Path, change: Callable[[NotebookNode], None], message: str) -> None:
    spoil(book, change)
    lines = list(check_book.findings(book))
    assert lines and lines[0].startswith(f"01_a.ipynb: {message}"), lines
    # What an exercise without a checker, or a very long chapter, entails may follow; nothing about another cell.
    entailed = (
        "no exercise for the objective",
        "tsynd.teaching.exercises.",
        "cell 7: exercise has no solution",
        "minutes_reading is",
    )
    assert all(line.removeprefix("01_a.ipynb: ").startswith(entailed) for line in lines[1:]), lines


def test_an_id_belongs_to_one_objective_of_the_whole_book(book: Path) -> None:
    shutil.copy(book / "notebooks" / "01_a.ipynb", book / "notebooks" / "02_b.ipynb")
    write_pages(book)
    assert list(check_book.findings(book)) == [
        f"02_b.ipynb: the objective {name.replace('_', '-')} is also in 01_a.ipynb" for name in NAMES
    ]


def test_a_checker_without_exercise_is_found(book: Path) -> None:
    tsynd.teaching.exercises.__all__.append("lonely")
    assert list(check_book.findings(book)) == ["tsynd.teaching.exercises.lonely is the checker of no exercise"]


def test_a_launch_button_must_open_a_notebook_of_the_repository(book: Path) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", "notebooks/01_a.ipynb"], cwd=book, check=True)
    assert list(check_book.findings(book)) == [
        "notebooks/01_a: its launch button opens notebooks/01_a.ipynb, which is not in the repository"
    ]


def test_chapters_stand_in_the_order_of_their_numbers(book: Path) -> None:
    contents = "parts: [{chapters: [{file: notebooks/02_b}, {file: notebooks/01_a}]}]\n"
    (book / "_toc.yml").write_text(contents, encoding="utf-8")
    first, *_ = check_book.findings(book)
    assert first == "_toc.yml: chapters are not in the order of their numbers: notebooks/02_b, notebooks/01_a"


@pytest.mark.parametrize("name", ["objectives.md", "facts.md"])
def test_generated_pages_are_current(book: Path, name: str) -> None:
    (book / "book" / name).write_text("old", encoding="utf-8")
    assert list(check_book.findings(book)) == [f"{name}: out of date (python tools/make_pages.py)"]
    (book / "book" / name).unlink()
    assert len(list(check_book.findings(book))) == 1


def test_a_page_of_prose_is_asked_for_its_numbers_too(book: Path) -> None:
    page = book / "book" / "page.md"
    good = page.read_text(encoding="utf-8")
    page.write_text(good.replace(".88", ".89"), encoding="utf-8")
    assert [line.split(" stands")[0] for line in check_book.findings(book)] == ["page.md: the number .89"]
    page.write_text(f"{good}\n```{{note}}\n:width: 12.5 %\n.91\n```\n\n.92\n\n```\n.93\n```\n\n.94\n", encoding="utf-8")
    assert [line.split(" stands")[0][-3:] for line in check_book.findings(book)] == [".91", ".92", ".94"]
    page.write_text(good.replace("summary.json", "table.md"), encoding="utf-8")
    assert [line.split(" stands")[0] for line in check_book.findings(book)] == ["page.md: the number .321"]
    page.write_text(good.replace("results/study:", "Elsewhere:"), encoding="utf-8")
    assert [line.split(" stands")[0] for line in check_book.findings(book)] == ["page.md: the number .88"]
    (book / "book" / "other.md").write_text("results/study\n", encoding="utf-8")  # a page that it links names the folder
    assert list(check_book.findings(book)) == []


def test_words_of_the_glossary_are_linked_once_a_page(book: Path) -> None:
    (book / "book" / "glossary.md").write_text("# G\n\n```{glossary}\nseed\n  A number.\n\nsham search\n  A control.\n```\n")
    (book / "book" / "page.md").write_text("# P\n\nOne {term}`seed`, two {term}`seeds <seed>`.\n")
    assert list(check_book.of_glossary({path: path.read_text() for path in book.glob("book/*.md")})) == [
        "page.md: seed is linked to the glossary twice",
        "glossary.md: no page links to sham search",
    ]


def test_findings_exit_with_1(book: Path) -> None:
    spoil(book, set_alt)
    assert check_book.main([], book) == 1


def test_facts_say_what_executing_took(book: Path) -> None:
    facts = {
        "seconds": 30,
        "processor_seconds": 20,
        "processor": "A chip",
        "cores": 2,
        "threads": 1,
        "versions": {"torch": "2.13.0"},
        "commit": "0123456789",
        "sha256": {"breastmnist.npz": "abc"},
    }
    (book / "results" / "notebooks").mkdir()
    (book / "results" / "notebooks" / "01_a.json").write_text(json.dumps(facts), encoding="utf-8")
    page = make_pages.pages(book)[book / "book" / "facts.md"]
    assert "| [A title](../notebooks/01_a.ipynb) | 20 s | 30 s | A chip, 1 of 2 cores | `0123456789` |" in page
    assert "- `breastmnist.npz` ([A title](../notebooks/01_a.ipynb)): `abc`" in page
    lacking = json.dumps(facts | {"sha256": {"breastmnist.npz": None}})
    (book / "results" / "notebooks" / "01_a.json").write_text(lacking, encoding="utf-8")
    assert any("was executed without breastmnist.npz" in line for line in check_book.findings(book))
