"""tools/check_mutants.py: the table fits the package, and a mutant that is caught is told from one that survives."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import check_mutants
import pytest
from check_mutants import ROOT, SURVIVED, TABLE, Mutant, broken, main, misplaced, read_table, row, summary, verdict

from tsynd.errors import TsyndError

pytestmark = pytest.mark.deep

MUTANTS = read_table(TABLE)
RESULTS = ROOT / "results" / "mutants"

MODULE = """def mean(values):
    return sum(values) / len(values)


def largest(values):
    return max(values)
"""
TESTS = """from tsynd.sums import largest, mean


def test_the_mean():
    assert mean([1, 3]) == 2


def test_the_largest_of_one():
    assert largest([1]) == 1
"""
CAUGHT = Mutant("tsynd/sums.py", " / len(values)", "", "the sum, not the mean", ("tests/test_sums.py",))
UNNOTICED = Mutant("tsynd/sums.py", "max(values)", "min(values)", "the smallest", ("tests/test_sums.py",))


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A package of the same name with one module, and tests that look at half of it."""
    texts = {"tsynd/__init__.py": "", "tsynd/sums.py": MODULE, "tests/test_sums.py": TESTS, "pyproject.toml": ""}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_every_text_of_the_table_stands_once_in_its_module() -> None:
    assert misplaced(ROOT, MUTANTS) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.module}: {mutant.why}")
def test_a_mutant_is_python_and_means_something_else(mutant: Mutant) -> None:
    assert mutant.broken in broken(ROOT, mutant)
    assert all((ROOT / name).is_file() for name in mutant.tests)


def test_there_are_a_dozen_for_each_part_and_none_twice() -> None:
    for part in ("tsynd/uncertainty.py", "tsynd/targeting/", "tsynd/study/"):
        assert sum(mutant.module.startswith(part) for mutant in MUTANTS) >= 12
    assert len({(mutant.module, mutant.text, mutant.broken) for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.module, mutant.why) for mutant in MUTANTS}) == len(MUTANTS)


def test_what_is_caught_and_what_survives_are_told_apart_and_the_original_is_left_alone(toy: Path) -> None:
    assert verdict(toy, CAUGHT) == "caught by tests/test_sums.py::test_the_mean"
    assert verdict(toy, UNNOTICED) == SURVIVED
    assert (toy / "tsynd/sums.py").read_text(encoding="utf-8") == MODULE


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("def test_of_something_else():\n    assert False\n", "not judged: the tests did not import the copy"),
        ("import tsynd.sums\n", "not judged: pytest exited with 5"),  # no tests
        ("import tsynd.sums\nimport no_such_module\n", "not judged: pytest exited with 2"),
    ],
)
def test_tests_that_say_nothing_are_not_taken_for_a_verdict(toy: Path, test: str, said: str) -> None:
    (toy / "tests/test_sums.py").write_text(test, encoding="utf-8")
    assert verdict(toy, CAUGHT) == said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "median(values)"}, "the sum, not the mean: its text stands there 0 times, not once: 'median"),
        ({"text": "values"}, "its text stands there 5 times, not once: 'values'"),
        ({"broken": " / ("}, "what it becomes is not Python"),
        ({"broken": "  /  len(values)"}, "nothing is broken, the module means the same as before"),
    ],
)
def test_a_mutant_that_is_none_is_refused(toy: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError) as caught:
        broken(toy, replace(CAUGHT, **change))
    assert message in str(caught.value)


def run_main(monkeypatch: pytest.MonkeyPatch, root: Path, *arguments: str) -> int:
    """The tool on another package, whose table has two mutants."""
    table = root / "mutants.yaml"
    each = [{"why": mutant.why, "text": mutant.text, "broken": mutant.broken} for mutant in (CAUGHT, UNNOTICED)]
    table.write_text(json.dumps([{"module": "tsynd/sums.py", "tests": ["tests/test_sums.py"], "mutants": each}]))
    monkeypatch.setattr(check_mutants, "ROOT", root)
    monkeypatch.setattr(check_mutants, "TABLE", table)
    monkeypatch.setattr(sys, "argv", ["check_mutants.py", *arguments])
    return main()


def test_a_survivor_is_an_error_and_is_in_the_summary(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, toy, "--out", str(toy / "out")) == 1
    assert capsys.readouterr().out.splitlines()[1:] == ["tsynd/sums.py: the smallest: SURVIVED", "1 of 2 mutants were caught"]
    found = json.loads((toy / "out/summary.json").read_text(encoding="utf-8"))
    assert [each["caught"] for each in found["mutants"]] == [True, False]
    assert "| `tsynd/sums.py` | 2 | 1 |" in (toy / "out/summary.md").read_text(encoding="utf-8")
    (toy / "tests/test_sums.py").write_text(TESTS.replace("largest([1]) == 1", "largest([1, 2]) == 2"), encoding="utf-8")
    assert run_main(monkeypatch, toy, "--out", str(toy / "out"), "--resume") == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "tsynd/sums.py: the smallest: caught by tests/test_sums.py::test_the_largest_of_one",
        "2 of 2 mutants were caught",
    ]
    assert [each["caught"] for each in json.loads((toy / "out/summary.json").read_text(encoding="utf-8"))["mutants"]] == [
        True,
        True,
    ]


def test_a_text_that_has_changed_is_an_error_and_nothing_is_run(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (toy / "tsynd/sums.py").write_text(MODULE.replace("max(values)", "sorted(values)[-1]"), encoding="utf-8")
    assert run_main(monkeypatch, toy) == 1
    assert capsys.readouterr().out.startswith("tsynd/sums.py: the smallest: its text stands there 0 times")


def test_options(toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(monkeypatch, toy, "--list", "--only", "tsynd/sums.py") == 0
    assert "  - max(values)\n  + min(values)" in capsys.readouterr().out
    assert run_main(monkeypatch, toy, "--only", "tsynd/products.py") == 2
    assert "no mutant of tsynd/products.py" in capsys.readouterr().err


def test_the_committed_summary_is_of_this_table_and_none_survived() -> None:
    rows = json.loads((RESULTS / "summary.json").read_text(encoding="utf-8"))["mutants"]
    assert (RESULTS / "summary.md").read_text(encoding="utf-8") == summary(rows)
    assert rows == [row(mutant, each["verdict"]) for mutant, each in zip(MUTANTS, rows, strict=True)]
    assert all(each["caught"] for each in rows)
