"""Every exercise: its solution passes, its stub and plausible wrong answers fail with words that help.

The table is in `tests/exercises/`, a file for each chapter: checker -> (solution, stub, [(wrong answer, words of the message)]).
A second one, ALSO_RIGHT, has right answers that are written otherwise: with numpy, in single precision, by another formula.
"""

import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from book_exercises import Exercise
from book_exercises import exercises as exercises_of

from tsynd.teaching import exercises
from tsynd.teaching.exercises.checker import STUB, NotYet, checker

ROOT = Path(__file__).resolve().parents[2]
TABLES = [runpy.run_path(str(path)) for path in sorted((ROOT / "tests" / "exercises").glob("rows_*.py"))]
ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {name: row for table in TABLES for name, row in table["ROWS"].items()}
ALSO_RIGHT = [(name, answer) for table in TABLES for name, row in table.get("ALSO_RIGHT", {}).items() for answer in row]
CHECKERS = set(exercises.__all__) - {"NotYet", "Verdict", "checker"}
IN_BOOK = {
    (path.stem, exercise.checker): exercise
    for path in sorted(ROOT.glob("notebooks/*.ipynb"))
    for exercise in exercises_of(nbformat.read(path, as_version=4))
}


def answer_in(code: str, answer: str) -> Any:
    """What a notebook's code would give to the checker."""
    names: dict[str, Any] = {}
    exec(code, names)
    return eval(answer, names)


def test_every_checker_is_in_the_table_and_every_exercise_in_the_book_has_one() -> None:
    assert set(ROWS) == CHECKERS
    assert {name for _, name in IN_BOOK} == CHECKERS


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
