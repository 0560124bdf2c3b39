"""Arguments of the public functions that are none: refused in one line that restates them, or the result is finite."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.bad.calls import CALLS
from tests.bad.mutations import no_longer_than, quick
from tsynd.arguments import check_number, check_seed, check_tensors, check_whole
from tsynd.errors import TsyndError

NUMBERS: tuple[Any, ...] = (
    -1, 0, -0.5, 0.5, math.nan, math.inf, -math.inf, 1e300, -1e300, 2**63, 10**30, -(10**30), True, "x", "1", "two\nlines", None,
    (), (1, 2), [0.5], {}, torch.tensor([]), torch.tensor(1.0), 1j, np.float64(0.5), np.array([1, 2]), object,
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
}
"""What stands where a tensor belongs. (Of the type of the model's weights: another precision is the model's own affair.)"""
# Options that nobody can run with a value that is out of the ordinary, but in range: they take as long as they say.
SLOW = {"steps", "draws", "attack_steps", "queries", "samples", "count", "per_class", "resamples"}


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


def restated(value: Any, said: str) -> bool:
    """Whether a message shows a value, or what it is of."""
    if isinstance(value, Tensor):
        return any(word in said for word in ("got", "found", "NaN", "no images", "off by"))
    forms = [format(value, form) for form in ("g", ".3g")] if type(value) in (int, float) else []
    return any(" ".join(text.splitlines()) in said for text in (str(value), repr(value), type(value).__name__, *forms))


def arguments(kind: type | tuple[type, ...]) -> list[Any]:
    found = [(name, each) for name, (_, right) in CALLS.items() for each in right if isinstance(right[each], kind)]
    return [pytest.param(*each, id=f"{each[0]}, {each[1]}") for each in found]


@pytest.mark.parametrize("name", CALLS)
def test_the_call_is_right(name: str) -> None:
    call, right = CALLS[name]
    assert all(bool(found.isfinite().all()) for found in numbers_in(call(**right)) if found.is_floating_point())


@pytest.mark.parametrize(("name", "argument"), arguments((int, float)))
@settings(quick, max_examples=12)
@given(value=st.sampled_from(NUMBERS) | st.floats(-2, 2) | st.integers(-9, -1))
def test_a_number(name: str, argument: str, value: Any) -> None:
    if argument in SLOW and type(value) is int and 10**4 < value <= 10**9:
        return
    refused_or_finite(name, argument, value, checked=True)


@pytest.mark.parametrize(("name", "argument"), arguments(Tensor))
@settings(quick, max_examples=len(TENSORS))
@given(kind=st.sampled_from(sorted(TENSORS)))
def test_a_tensor(name: str, argument: str, kind: str) -> None:
    refused_or_finite(name, argument, TENSORS[kind](CALLS[name][1][argument]), checked=False)


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
