"""Arguments of the public functions that are none: refused in one line that restates them, or the result is finite."""

import math
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from inspect import isfunction, signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from public_api import public_names
from torch import Tensor, nn

import tsynd
from tests.bad.calls import CALLS as PLAIN
from tests.bad.calls import IMAGES, LABELS, classifier
from tests.bad.mutations import no_longer_than
from tests.bad.objects import AUTOATTACK, OBJECTS, STUDY, synthesis
from tests.bad.restated import restated
from tsynd import robustness
from tsynd.errors import TsyndError
from tsynd.study import read_study, run_study, write_report
from tsynd.study.records import read_records
from tsynd.synthetic.decisions import read_review
from tsynd.synthetic.sets import read_set
from tsynd.training.checkpoint import load_checkpoint
from tsynd.utils.rules import rules
from tsynd.utils.validation import check_number, check_seed, check_tensors, check_whole

pytestmark = pytest.mark.deep
CALLS = PLAIN | OBJECTS

NUMBERS: tuple[Any, ...] = (
    -1, 0, 0.5, math.nan, math.inf, -1e300, 2**63, 10**30, True, "two\nlines", None, [0.5], torch.tensor(1.0), np.float64(0.5),
)  # fmt: skip
"""What stands where a number belongs."""
TENSORS: dict[str, Callable[[Tensor], Any]] = {
    "None": lambda given: None,
    "a text": lambda given: "x",
    "a number": lambda given: 1,
    "a list": lambda given: given.tolist(),
    "an array": lambda given: given.numpy(),
    "empty": lambda given: given[:0],
    "one dimension less": lambda given: given[0],
    "one dimension more": lambda given: given[None],
    "one row less": lambda given: given[:-1],
    "no dimension": lambda given: torch.tensor(1.0),
    "whole numbers": lambda given: given.to(torch.int32),
    "bool": lambda given: given.bool(),
    "complex": lambda given: given.to(torch.complex64),
    "NaN": lambda given: given.float() * math.nan,
    "infinite": lambda given: (given.float() + 1) * math.inf,
    "negative": lambda given: -given.float() - 1,
    "huge": lambda given: given.float() * 1e9,
    "double": lambda given: given.double(),
}
"""What stands where a tensor belongs."""
NAMES: tuple[Any, ...] = ("no such", "", "two\nlines", 3, True, None, ["a"])
"""What stands where one of several names belongs."""
THINGS: tuple[Any, ...] = ("x", 3, True, [3], {"a": 1}, object(), nn.ReLU())
"""What stands where a network, a run or another whole object belongs. (None is often right.)"""
FREE = {"label", "reviewer", "data"}
"""Texts that may say anything."""


def numbers_in(value: Any) -> Iterator[Any]:
    """Every number of a result."""
    if isinstance(value, Tensor):
        yield value.detach()
    elif isinstance(value, np.ndarray | float | int):
        yield torch.from_numpy(np.asarray(value, np.float64))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from numbers_in(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from numbers_in(each)
    elif is_dataclass(value):
        for each in fields(value):
            if each.name != "freedom":  # without end, for a bootstrap
                yield from numbers_in(getattr(value, each.name))


def refused_or_finite(name: str, argument: str, value: Any, *, checked: bool) -> None:
    call, right = CALLS[name]
    try:
        with no_longer_than(20):
            made = call(**{**right, argument: value})
    except TsyndError as error:
        said = str(error)
        assert len(said.splitlines()) == 1 and said.strip()
        assert restated(value, said), said
        return
    assert not checked or all(bool(found.isfinite().all()) for found in numbers_in(made) if found.is_floating_point())


def arguments(kind: type | tuple[type, ...]) -> list[Any]:
    found = [(name, each) for name, (_, right) in CALLS.items() for each in right if isinstance(right[each], kind)]
    return [pytest.param(*each, id=f"{each[0]}, {each[1]}") for each in found]


READERS: dict[str, Callable[[Any], Any]] = {
    "load_run": tsynd.load_run,
    "load_weights": lambda path: tsynd.load_weights(nn.Linear(1, 1), path),
    "decisions.read_review": lambda path: read_review(path, synthesis()),
    "sets.read_set": read_set,
    "study.read_records": read_records,
    "study.read_study": read_study,
    "study.write_report": write_report,
    "training.load_checkpoint": lambda path: load_checkpoint(path, {}),
}
"""What is given a path, and has its own tests of what lies there (`test_bad_files.py`)."""
TESTED_ELSEWHERE = {"run_study", "autoattack", "from_arrays"}


def test_every_public_function_is_here_or_declares_its_rules() -> None:
    """So that none is without these tests: a new one wants a row in `calls.py` or `objects.py`, or `@validated`."""
    functions = [(name, value) for _, name, value in public_names() if isfunction(value) and signature(value).parameters]
    undeclared = {name for name, value in functions if not hasattr(value, "validated")}
    rows = {re.split(" of | with ", name)[0].rpartition(".")[2] for name in (*CALLS, *READERS)}
    assert not undeclared - rows - TESTED_ELSEWHERE


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("value", [3, True, None, ["a"], object()])
def test_what_is_no_path(name: str, value: object) -> None:
    with pytest.raises(TsyndError, match="must be a path, got") as caught:
        READERS[name](value)
    assert type(value).__name__ in str(caught.value)


@pytest.mark.parametrize("name", CALLS)
def test_the_call_is_right(name: str) -> None:
    call, right = CALLS[name]
    assert all(bool(found.isfinite().all()) for found in numbers_in(call(**right)) if found.is_floating_point())


def undeclared(kind: type | tuple[type, ...], *among: str) -> list[Any]:
    """Arguments of such a kind that no rule is declared for: of the others `test_declared.py` asks."""
    rows = [each for each in arguments(kind) if not among or each.id.partition(", ")[0] in among]
    return [each for each in rows if each.values[1] not in rules_of(CALLS[str(each.values[0])][0])]


def rules_of(call: Callable[..., Any]) -> Container[str]:
    declared = hasattr(call, "validated") or (isinstance(call, type) and is_dataclass(call))
    return rules(call) if declared else ()


@pytest.mark.parametrize(("name", "argument"), undeclared((int, float)))
def test_a_number(name: str, argument: str) -> None:
    for value in NUMBERS:
        refused_or_finite(name, argument, value, checked=True)


@pytest.mark.parametrize(("name", "argument"), undeclared(str))
def test_a_name(name: str, argument: str) -> None:
    for value in NAMES:
        if not ((argument in FREE and isinstance(value, str)) or (name == "posterior.HeadDropout of objects" and value is None)):
            refused(name, argument, value)


@pytest.mark.parametrize(("name", "argument"), undeclared(object, *OBJECTS))
def test_a_whole_object(name: str, argument: str) -> None:
    right = CALLS[name][1][argument]
    for value in THINGS:
        if isinstance(right, Tensor | int | float | str) or isinstance(value, type(right)):
            continue  # the tests above
        if not (isinstance(right, nn.Module) and isinstance(value, nn.Module) and argument != "classifier"):
            refused(name, argument, value)


def refused(name: str, argument: str, value: Any) -> None:
    call, right = CALLS[name]
    with pytest.raises(TsyndError) as caught:
        call(**{**right, argument: value})
    assert len(str(caught.value).splitlines()) == 1
    assert restated(value, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(("name", "argument"), arguments(Tensor))
def test_a_tensor(name: str, argument: str) -> None:
    for change in TENSORS.values():
        refused_or_finite(name, argument, change(CALLS[name][1][argument]), checked=False)


def test_the_checks_take_what_is_right() -> None:
    check_whole(a=3, b=np.int64(3), c=-1)
    check_number(a=3, b=0.5, c=np.float32(0.5), d=math.inf)
    check_seed(2**63 - 1)
    check_tensors(a=torch.zeros(0))


@pytest.mark.parametrize("check", [check_whole, check_number, lambda seed: check_seed(seed)])
def test_a_number_of_very_many_digits(check: Callable[..., None]) -> None:
    with pytest.raises(TsyndError, match="got one of 16610 bits"):
        check(seed=10**5000)


@pytest.mark.parametrize("value", [True, 2.0, "1", None, torch.tensor(1)])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(TsyndError, match="steps must be a whole number, got"):
        check_whole(steps=value)


@pytest.mark.parametrize("argument", ["corruptions", "eps"])
@pytest.mark.parametrize("value", [0.1, "jpeg", None])
def test_one_value_where_a_list_belongs(argument: str, value: Any) -> None:
    with pytest.raises(TsyndError, match=f"{argument} must be a list of values, got {value!r}|got NoneType"):
        robustness.evaluate(classifier(), IMAGES, LABELS, "binary", **{argument: value})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"jobs": 0}, "jobs must be >= 1, got 0"),
        ({"jobs": -1}, "jobs must be >= 1, got -1"),
        ({"jobs": 1.5}, "jobs must be a whole number, got 1.5"),
        ({"jobs": True}, "jobs must be a whole number, got True"),
        ({"jobs": "2"}, "jobs must be a whole number, got '2'"),
        ({"jobs": None}, "jobs must be a whole number, got None"),
        ({"jobs": math.nan}, "jobs must be a whole number, got nan"),
        ({"backend": "losky"}, "unknown backend 'losky': did you mean 'loky'? (known: loky, dask)"),
        ({"backend": None}, "unknown backend None: (known: loky, dask)"),
        ({"scheduler": 8786}, "scheduler must be a str or None, got 8786"),
        ({"study": "study.yaml"}, "study must be a Study, got 'study.yaml'"),
        ({"folder": 3}, "folder must be a path, got int"),
    ],
)
def test_how_a_study_is_run(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError) as caught:
        run_study(**{"study": STUDY, "folder": tmp_path / "new", **changed})
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())  # before anything is written


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": IMAGES[0]}, "images must be float of shape"),
        ({"images": IMAGES * 2}, "images must lie in"),
        ({"labels": LABELS + 1}, "labels must lie in 0 .. 1, got 1 .. 2"),
        ({"labels": [0, 1]}, "labels must be a tensor, got list"),
        ({"eps": "0.1"}, "eps must be a number, got '0.1'"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number, got 2.5"),
    ],
)
def test_autoattack_looks_at_its_arguments_before_it_needs_its_package(changed: dict[str, Any], message: str) -> None:
    call, right = AUTOATTACK
    with pytest.raises(TsyndError, match=message):
        call(**{**right, **changed})


@pytest.mark.skipif(find_spec("pyautoattack") is not None, reason="pyautoattack is installed")
def test_autoattack_names_the_package_that_it_needs() -> None:
    call, right = AUTOATTACK
    with pytest.raises(TsyndError, match=r"aa needs the package pyautoattack, .*: pip install 'tsynd\[attacks\]'"):
        call(**right)
