"""Plain values from texts: JSON and YAML that somebody else may have written, of a depth and an extent that can be handled."""

import json
from typing import Any

import yaml

# Nothing that is read here is nested half as deeply, or is half as long.
DEEPEST, MOST = 100, 10**5


def from_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: when it is no JSON, or is nested too deeply.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    _check_extent(found, aliases=False)
    return found


def from_yaml(text: str) -> Any:
    """What a YAML text says: mappings, lists, texts, dates, truth values and numbers of at most 64 bits.

    Raises:
        ValueError: when it is no YAML, names objects of a program, is nested too deeply, or is short only because parts of it
            stand for others many times over.

    >>> from_yaml("{seeds: 0-9, arms: [none]}")
    {'seeds': '0-9', 'arms': ['none']}
    """
    try:
        found = yaml.safe_load(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    except Exception as error:  # PyYAML fails in many ways on values that are not of the type that they name
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    _check_extent(found, aliases=True)
    return found


def _check_extent(found: Any, *, aliases: bool) -> None:
    """Refuse what is too deep and, with aliases, what is too long when they are written out, or has too long numbers."""
    waiting, count = [(found, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        if aliases and (count := count + 1) > MOST:
            raise ValueError(f"it has more than {MOST} values, with those that aliases stand for")
        if aliases and isinstance(value, int) and value.bit_length() > 64:
            raise ValueError("it has a number of more than 64 bits")
        children = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(child, depth + 1) for child in children]
