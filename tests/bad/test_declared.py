"""Every rule that an annotation declares is held: wrong values are refused in one line that restates them."""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any

import pytest

import tsynd
from tests.bad.restated import restated
from tsynd.errors import TsyndError
from tsynd.utils.rules import Rule, check_declared, rules


def declared() -> Iterator[tuple[str, Callable[..., Any], str, Rule]]:
    """Each rule in the package: where it stands, the function or dataclass, the name of the value, and the rule."""
    for module in pkgutil.walk_packages(tsynd.__path__, "tsynd."):
        home = import_module(module.name)
        for name, value in vars(home).items():
            own = getattr(value, "__module__", "") == module.name
            if own and (hasattr(value, "validated") or (inspect.isclass(value) and is_dataclass(value))):
                for argument, (rule, _) in rules(value).items():
                    yield f"{module.name}.{name}", value, argument, rule


FOUND = list(declared())


def test_there_are_rules() -> None:
    assert len(FOUND) > 40


@pytest.mark.parametrize(("place", "value", "name", "rule"), FOUND, ids=[f"{place}, {name}" for place, _, name, _ in FOUND])
def test_a_wrong_value_is_refused_in_one_line(place: str, value: Callable[..., Any], name: str, rule: Rule) -> None:
    for wrong in rule.wrong:
        if wrong is None and rules(value)[name][1]:
            continue
        with pytest.raises(TsyndError) as caught:
            check_declared(value, {name: wrong})
        assert len(str(caught.value).splitlines()) == 1 and restated(wrong, str(caught.value)), str(caught.value)


@pytest.mark.parametrize("value", list(dict.fromkeys(each[1] for each in FOUND)), ids=lambda value: value.__qualname__)
def test_the_rules_are_asked(value: Callable[..., Any]) -> None:
    """A function asks them before it runs, a dataclass when it is made."""
    name, (rule, _) = next(iter(rules(value).items()))
    wrong = next(each for each in rule.wrong if each is not None)
    required = {
        each.name: None
        for each in inspect.signature(value).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }
    with pytest.raises(TsyndError):
        value(**{**required, name: wrong})
