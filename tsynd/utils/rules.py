"""Rules that stand in annotations: a bound is declared with the parameter or the field that it binds.

`validated` checks the arguments of each call, `check_fields` the fields of a dataclass. Of a function's parameter without a rule
of its own, the type is the rule: a tensor, a path, a text, a number, an object of a class. Tests read the same rules: `wrong`
holds values that a rule refuses.
"""

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache, wraps
from inspect import isfunction, signature
from pathlib import Path
from types import UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.utils.validation import (
    MOST,
    check_count,
    check_kind,
    check_name,
    check_number,
    check_path,
    check_seed,
    check_tensors,
    check_whole,
)  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Rule:
    """What is right for a value. check: raises TsyndError with the value's name. wrong: values that it refuses."""

    check: Callable[[str, Any], None] = field(repr=False)
    wrong: tuple[Any, ...] = field(repr=False)


def whole(least: int, most: int = MOST) -> Rule:
    """A whole number from `least` to `most`."""

    def check(name: str, value: Any) -> None:
        check_count(least, **{name: value})
        if value > most:
            raise TsyndError(f"{name} must be <= {most}, got {value}")

    return Rule(check, (0.5, math.nan, True, "1", None, [1], 10**30, least - 1, most + 1))


def number(low: float = 0.0, high: float = math.inf, *, above: bool = False) -> Rule:
    """A finite number in [low, high], ends included; with `above`, low itself is refused too."""
    wanted = f"{'>' if above else '>='} {low:g}" if high == math.inf else f"in {'(' if above else '['}{low:g}, {high:g}]"

    def check(name: str, value: Any) -> None:
        check_number(**{name: value})
        if not (low <= value <= high and value < math.inf) or (above and value == low):
            raise TsyndError(f"{name} must be {wanted}, got {value}")

    beyond = (low - 0.5, *([high + 0.5] if high < math.inf else []), *([low] if above else []))
    return Rule(check, (math.nan, math.inf, -math.inf, True, "1", None, [0.5], 1j, *beyond))


def choice(kind: str, known: Collection[str]) -> Rule:
    """One of several names; `kind` is what they are names of."""
    return Rule(lambda name, value: check_name(kind, value, known), ("no such", "", "two\nlines", 3, True, None, ["a"]))


@cache
def instance(kind: type, *, optional: bool = False) -> Rule:
    """An object of a class, or of one of its subclasses; with `optional`, the message says that None is right too."""
    return Rule(lambda name, value: check_kind(kind, optional=optional, **{name: value}), (object(), 3j))


def _check_tensor(name: str, value: Any) -> None:
    check_tensors(**{re.sub(r"_[A-Z]+$", "", name): value})


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TsyndError(f"{name} must be true or false, got {value!r}")


SEED = Rule(lambda name, value: check_seed(value), (0.5, math.nan, True, "1", [1], 2**63))
FLAG = Rule(_check_flag, (0, 1, "true", None, []))
PATH = Rule(lambda name, value: check_path(**{name: value}), (3, True, ["a"], object()))
TENSOR = Rule(_check_tensor, ([0.5], 0.5, "x", object()))
WHOLE = Rule(lambda name, value: check_whole(**{name: value}), (0.5, math.nan, True, "1", [1], 10**30))
NUMBER = Rule(lambda name, value: check_number(**{name: value}), (True, "1", [0.5], 1j))
BY_TYPE = {Tensor: TENSOR, Path: PATH, os.PathLike: PATH, int: WHOLE, float: NUMBER}
# Of these a type says too little, or they are checked by what they are good for.
UNCHECKED = (Any, bool, object, list, tuple)


@cache
def rules(declared: Callable[..., Any]) -> Mapping[str, tuple[Rule, bool]]:
    """Return the rule of each parameter or field that has one, and whether None is right too."""
    found = {}
    for name, hint in get_type_hints(declared, include_extras=True).items():
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        optional = type(None) in kinds
        kinds = tuple(kind for kind in kinds if kind is not type(None))
        stated = [note for kind in kinds for note in getattr(kind, "__metadata__", ()) if isinstance(note, Rule)]
        rule = stated[0] if stated else None
        if rule is None and isfunction(declared) and name != "return":
            rule = _by_type(name, kinds, optional)
        if rule:
            found[name] = rule, optional
    return found


def _by_type(name: str, kinds: tuple[Any, ...], optional: bool) -> Rule | None:
    """The rule that follows from the types of a parameter; of several classes, of protocols and of series there is none."""
    if name == "seed":
        return SEED
    kind, *others = (get_origin(each) or each for each in kinds)
    if others:
        return PATH if {Path, os.PathLike} & {kind, *others} else None
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    abstract = getattr(kind, "_is_protocol", False) or (kind.__module__ == "collections.abc" and kind is not Mapping)
    return instance(kind, optional=optional) if isinstance(kind, type) and kind not in UNCHECKED and not abstract else None


def check_declared(declared: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Refuse, in one line, values that break the rules that `declared`, a function or a dataclass, states in its annotations."""
    for name, (rule, optional) in rules(declared).items():
        if name in values and not (optional and values[name] is None):
            rule.check(name, values[name])


def check_fields(instance: Any) -> None:
    """Refuse a dataclass whose fields break their rules: the first line of its `__post_init__`."""
    check_declared(type(instance), vars(instance))


def validated(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a function by the rules in its annotations, before it runs.

    >>> from typing import Annotated
    >>> @validated
    ... def climb(steps: Annotated[int, whole(0)], radius: Annotated[float, number()] = 0.25) -> int: return steps
    >>> climb(3, radius=-0.5)
    Traceback (most recent call last):
    tsynd.errors.TsyndError: radius must be >= 0, got -0.5
    """
    parameters = signature(function)

    @wraps(function)
    def checked(*given: P.args, **named: P.kwargs) -> R:
        check_declared(function, parameters.bind(*given, **named).arguments)
        return function(*given, **named)

    checked.__dict__["validated"] = True
    return checked
