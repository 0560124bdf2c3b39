"""The errors that tsynd raises on purpose: each is one line that restates the input and says what would have been right."""

import difflib
from collections.abc import Iterable, Mapping

__all__ = ["DataUnavailable", "TsyndError"]


class TsyndError(ValueError):
    r"""Bad input: the message restates it and says what would have been right, in one line whatever the input.

    >>> str(TsyndError("no such file: two\nlines.png"))
    'no such file: two lines.png'
    """

    def __str__(self) -> str:
        return " ".join(super().__str__().splitlines())


class DataUnavailable(TsyndError):
    """A data set could not be found or downloaded: the message names the address, the folder and what works offline."""


def unknown(kind: str, name: object, known: Iterable[str]) -> TsyndError:
    """An error for a name that is not in a list, with the nearest known name.

    >>> str(unknown("arm", "gaurded", ["none", "guarded"]))
    "unknown arm 'gaurded': did you mean 'guarded'? (known: none, guarded)"
    """
    names = list(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return TsyndError(f"unknown {kind} {name!r}: {hint}(known: {', '.join(names)})")


def differences(found: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """The first three settings that differ, as `name: found, not wanted`; empty when none does.

    >>> differences({"seed": 0, "arm": "tsynd"}, {"seed": 1, "arm": "tsynd"})
    'seed: 0, not 1'
    """
    keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    return "; ".join(f"{key}: {found.get(key)!r}, not {wanted.get(key)!r}" for key in keys[:3])
