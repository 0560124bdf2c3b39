"""What every exercise's checker shares: it turns an answer, and whatever goes wrong with it, into a sentence that helps."""

import copy
import functools
import inspect
import json
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

VERDICTS = Path(__file__).with_name("verdicts.json")
WIDTH = 96
STUB = "Nothing was returned: replace the dots."
Mistakes = Mapping[str, Any] | Sequence[tuple[str, Any]]  # what is said, and the answer to which it is said
CHECKERS: dict[str, Callable[[Any], "Verdict"]] = {}  # of the book, by name


class NotYet(Exception):
    """What a checker raises: the message says what was got and what to think about."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a checker says about an answer; it counts as true when the answer passed.

    error: what the reader's own code raised, with its traceback; it is shown below the message.
    """

    passed: bool
    message: str
    error: BaseException | None = None

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        told = textwrap.fill(f"{'Right' if self.passed else 'Not yet'}. {self.message}", WIDTH)
        if self.error is None:
            return told
        return f"{told}\n\n{''.join(traceback.format_exception(self.error, chain=False)).rstrip()}"


def checker(check: Callable[[Any], str]) -> Callable[[Any], Verdict]:
    """Make a checker of a function that takes the reader's answer and returns praise or raises `NotYet`.

    A stub (dots or None, given or returned) and an error of the reader's code become a verdict as well. The reader's function
    is given copies. An array of numpy that it returns, also in a tuple or list, reaches the check as a tensor. Global random
    numbers are seeded for the check, and afterwards as they were; so is the mode of gradients.

    >>> @checker
    ... def double(answer):
    ...     if answer(3) != 6:
    ...         raise NotYet(f"Of 3 it makes {answer(3)}.")
    ...     return "Twice 3 is 6."
    >>> double(lambda number: 2 * number)
    Right. Twice 3 is 6.
    >>> double(lambda number: number**2)
    Not yet. Of 3 it makes 9.
    >>> double(lambda number: ...)
    Not yet. Nothing was returned: replace the dots.
    >>> double(lambda number: number / 0)
    Not yet. Your function raised ZeroDivisionError: division by zero.
    <BLANKLINE>
    Traceback (most recent call last):
      ...
    ZeroDivisionError: division by zero
    """

    @functools.wraps(check)
    def checked(answer: Any) -> Verdict:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            try:
                _refuse_stub(answer)
                return Verdict(True, check(_watched(answer) if inspect.isroutine(answer) else answer))
            except NotYet as reason:
                return Verdict(False, str(reason), reason.__cause__)
            except Exception as error:  # what came does not fit what the checker does with it
                what = "What your function returned" if inspect.isroutine(answer) else "Your answer"
                return Verdict(False, f"{what} is not of the kind that was asked for: {_in_words(error)}")

    if check.__module__.startswith(__package__):
        CHECKERS[check.__name__] = checked
    return checked


def kind_of(value: Any) -> str:
    """What a value is, in words for a reader: the shape of a tensor, else the type.

    >>> kind_of(torch.zeros(2, 3)), kind_of(0.5)
    ('shape (2, 3)', 'a float')
    """
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def shaped(found: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """Return an answer in double precision if it is a tensor of this shape; raise `NotYet` with what is asked for otherwise."""
    if not isinstance(found, Tensor) or tuple(found.shape) != shape:
        raise NotYet(f"{what} of shape {shape} are asked for, got {kind_of(found)}.")
    return found.detach().double()


def expect(found: Any, right: Any, mistakes: Mistakes, otherwise: str, close: float = 1e-5) -> None:
    """Raise `NotYet` unless an answer is the right one: with the words for the mistake that gives it, or with other words.

    `{found}` in the words becomes the answer. A mistake that gives the right answer here cannot be told, and is passed over.

    >>> expect(9, 6, {"{found} is the square.": 9}, "Twice 3 is 6.")
    Traceback (most recent call last):
    tsynd...NotYet: 9 is the square.
    """

    def same(value: Any) -> bool:
        one, other = (torch.as_tensor(each).double() for each in (found, value))
        return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=close, equal_nan=True)

    if not same(right):
        pairs = mistakes.items() if isinstance(mistakes, Mapping) else mistakes
        words = next((words for words, value in pairs if same(value)), otherwise)
        values = torch.as_tensor(found).double().flatten().tolist()
        raise NotYet(words.replace("{found}", ", ".join(f"{value:.3g}" for value in values)))


def judged(name: str, verdicts: Any, wrong: str = "{case} is not {word}.") -> None:
    """Raise `NotYet` unless a tuple has the right word for each case of an exercise; the first wrong one is told with its reason.

    `verdicts.json` has by exercise and case the word and the reason.
    """
    right = json.loads(VERDICTS.read_text(encoding="utf-8"))[name]
    if isinstance(verdicts, Mapping):
        verdicts = tuple(verdicts[case] for case in right) if set(verdicts) == set(right) else tuple(verdicts.values())
    if isinstance(verdicts, str) or len(verdicts) != len(right):
        count = {4: "Four", 5: "Five"}[len(right)]
        raise NotYet(f"{count} words are asked for, one for each of {', '.join(right)}, got {verdicts!r}.")
    for (case, (wanted, reason)), verdict in zip(right.items(), verdicts, strict=True):
        word = str(verdict).strip().lower()
        if word not in (known := [each for each, _ in right.values()]):
            raise NotYet(f"{str(verdict)!r} is none of the words: {', '.join(sorted(known))}.")
        if word != wanted:
            raise NotYet(f"{wrong.format(case=case, word=repr(word))} {reason}")


def listed(values: Tensor) -> str:
    """Numbers as a reader's message shows them; a negative zero without its sign.

    >>> listed(torch.tensor([0.125, -0.0]))
    '0.12, 0.00'
    """
    return ", ".join(f"{value:.2f}" for value in (values + 0.0).tolist())


def _watched(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The reader's function; what goes wrong in it is told apart from what goes wrong in the checker."""

    @functools.wraps(answer)
    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            given = answer(*map(_copied, arguments), **keywords)
        except Exception as error:
            if "ellipsis" in str(error):  # the dots stand inside an expression
                raise NotYet(STUB) from None
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this frame
            raise NotYet(f"Your function raised {_in_words(error)}") from error
        _refuse_stub(given)
        return tuple(map(_as_tensor, given)) if isinstance(given, tuple | list) else _as_tensor(given)

    return call


def _copied(value: Any) -> Any:
    """A copy of numbers, which the reader's function may change in place; a network as it is."""
    return copy.deepcopy(value) if isinstance(value, list | dict | np.ndarray | Tensor) else value


def _as_tensor(value: Any) -> Any:
    """A tensor in place of an array of numbers; anything else as it is."""
    return torch.tensor(value.copy()) if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" else value


def _refuse_stub(value: Any) -> None:
    """Raise `NotYet` for dots and None, also inside a tuple or list."""
    if value is None or value is ... or (isinstance(value, list | tuple) and any(each is None or each is ... for each in value)):
        raise NotYet(STUB)


def _in_words(error: Exception) -> str:
    """The kind and the first line of an error's message, with one full stop at the end."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}".rstrip(": .") + "."
