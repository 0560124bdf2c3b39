"""Every exercise: its solution passes, its stub and plausible wrong answers fail with words that help.

The table is beside this file, one for each chapter: checker -> (solution, stub, [(wrong answer, words of the message)]).
A second one, ALSO_RIGHT, has right answers that are written otherwise: with numpy, in single precision, by another formula.
"""

import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from book_exercises import Exercise, transfer_tasks
from book_exercises import exercises as exercises_of

from tsynd.teaching import exercises
from tsynd.teaching.exercises.checker import STUB, NotYet, checker

ROOT = Path(__file__).resolve().parents[2]
TABLES = [runpy.run_path(str(path)) for path in sorted(Path(__file__).parent.glob("rows_*.py"))]
ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {name: row for table in TABLES for name, row in table["ROWS"].items()}
ALSO_RIGHT = [(name, answer) for table in TABLES for name, row in table.get("ALSO_RIGHT", {}).items() for answer in row]
CHECKERS = set(exercises.__all__) - {"NotYet", "Verdict", "checker"}
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in sorted(ROOT.glob("notebooks/*.ipynb"))}
IN_BOOK = {(stem, each.checker): each for stem, notebook in NOTEBOOKS.items() for each in exercises_of(notebook)}
TRANSFER = {each.checker: each for notebook in NOTEBOOKS.values() for each in transfer_tasks(notebook)}
# The solutions of the transfer tasks: a python block under each checker's name in the instructor's pack.
SOLUTION = re.compile(r"^### `(\w+)`.*?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
IN_PACK = dict(SOLUTION.findall((ROOT / "instructor" / "tasks.md").read_text(encoding="utf-8")))


def answer_in(code: str, answer: str) -> Any:
    """What a notebook's code would give to the checker."""
    names: dict[str, Any] = {}
    exec(code, names)
    return eval(answer, names)


def test_every_checker_is_in_the_table_and_every_exercise_in_the_book_has_one() -> None:
    assert set(ROWS) == CHECKERS
    assert {name for _, name in IN_BOOK} | set(TRANSFER) == CHECKERS
    assert set(TRANSFER) == set(IN_PACK)
    assert not {name for _, name in IN_BOOK} & set(TRANSFER)


@pytest.mark.parametrize("name", ROWS)
def test_the_solution_passes(name: str) -> None:
    verdict = getattr(exercises, name)(ROWS[name][0])
    assert verdict, verdict
    assert len(verdict.message.split()) >= 5, "the praise says why it is right"


@pytest.mark.parametrize(("name", "answer"), ALSO_RIGHT)
def test_a_right_answer_passes_however_it_is_written(name: str, answer: Any) -> None:
    verdict = getattr(exercises, name)(answer)
    assert verdict, verdict


@pytest.mark.parametrize("name", ROWS)
def test_the_stub_is_recognised(name: str) -> None:
    verdict = getattr(exercises, name)(ROWS[name][1])
    assert (verdict.passed, verdict.message) == (False, STUB)


@pytest.mark.parametrize(
    ("name", "answer", "words"), [(name, answer, words) for name, row in ROWS.items() for answer, words in row[2]]
)
def test_a_wrong_answer_fails_with_words_that_help(name: str, answer: Any, words: str) -> None:
    verdict = getattr(exercises, name)(answer)
    assert not verdict
    assert words in verdict.message


@pytest.mark.parametrize("name", ROWS)
def test_every_checker_has_a_plausible_wrong_answer(name: str) -> None:
    assert ROWS[name][2]


@pytest.mark.parametrize("exercise", IN_BOOK.values(), ids=["-".join(key) for key in IN_BOOK])
def test_the_solution_in_the_notebook_passes_and_its_stub_does_not(exercise: Exercise) -> None:
    check = getattr(exercises, exercise.checker)
    verdict = check(answer_in(exercise.solution, exercise.answer))
    assert verdict, verdict
    stub = exercise.stub[: exercise.stub.rindex(f"exercises.{exercise.checker}(")]
    assert check(answer_in(stub, exercise.answer)).message == STUB


@pytest.mark.parametrize("name", IN_PACK)
def test_the_solution_in_the_pack_passes_and_is_on_no_page(name: str) -> None:
    task, check = TRANSFER[name], getattr(exercises, name)
    verdict = check(answer_in(IN_PACK[name], task.answer))
    assert verdict, verdict
    stub = task.stub[: task.stub.rindex(f"exercises.{name}(")]
    assert check(answer_in(stub, task.answer)).message == STUB
    heart = max((line.strip() for line in IN_PACK[name].splitlines() if not line.startswith("def ")), key=len)
    assert heart not in "\n".join(cell.source for notebook in NOTEBOOKS.values() for cell in notebook.cells)


def test_the_readers_own_error_keeps_its_traceback() -> None:
    def inner(number: int) -> int:
        return [1, 2][number]

    def outer(number: int) -> int:
        return inner(number)

    @checker
    def tripled(answer: Any) -> str:
        answer(3)
        return "Good."

    verdict = tripled(outer)
    assert isinstance(verdict.error, IndexError)
    shown = repr(verdict)
    assert shown.startswith("Not yet. Your function raised IndexError: list index out of range.\n\nTraceback")
    assert "in outer" in shown
    assert "return [1, 2][number]" in shown
    assert "checker.py" not in shown, "the frames are those of the reader's code"
    assert tripled(lambda number: number).error is None


def test_a_checker_leaves_random_numbers_and_gradients_as_they_were() -> None:
    @checker
    def draws(answer: object) -> str:
        assert torch.is_grad_enabled()
        return f"{torch.rand(1).item()}"

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with torch.no_grad():
        first, second = draws(1), draws(2)
        assert not torch.is_grad_enabled()
    assert first.message == second.message
    assert torch.rand(1).equal(expected)


def test_an_array_of_numpy_reaches_the_check_as_a_tensor() -> None:
    @checker
    def doubled(answer: Any) -> str:
        first, second = answer(torch.arange(3))
        return f"{type(first).__name__}, {type(second).__name__}"

    assert doubled(lambda numbers: (numbers.numpy()[::-1] * 2, "two")).message == "Tensor, str"


def test_errors_become_words() -> None:
    @checker
    def double(answer: Any) -> str:
        if answer(3) + 0 != 6:
            raise NotYet("Twice 3 is 6.")
        return "Good."

    def raises(number: int) -> int:
        raise ValueError("told you\nand more")

    def half_done(number: int) -> object:
        return number + ...  # type: ignore[operator]

    assert double(raises).message == "Your function raised ValueError: told you."
    assert double(half_done).message == double(...).message == double(None).message == STUB
    assert double(lambda number: [number, None]).message == STUB
    assert double(lambda number: "six").message.startswith("What your function returned is not of the kind")
    assert double(6).message.startswith("Your answer is not of the kind that was asked for: TypeError")
    assert double(lambda: 6).message.startswith("Your function raised TypeError")
    assert repr(double(lambda number: 0)) == "Not yet. Twice 3 is 6."
    assert repr(double(lambda number: 2 * number)) == "Right. Good."
