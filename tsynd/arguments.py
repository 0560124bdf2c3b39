"""Arguments of the right kind: whole numbers, real numbers, tensors. What range they lie in, each function checks itself."""

import math
from numbers import Integral, Real
from typing import Any

from torch import Tensor

from tsynd.errors import TsyndError

# No count here is larger, and no length: what is, is a slip, and would take for ever or overflow.
MOST, LONGEST = 10**9, 1e15


def check_whole(**named: Any) -> None:
    """Refuse what is no whole number, by its name; True and 2.0 are none, NumPy's integers are.

    >>> check_whole(steps=20)
    >>> check_whole(steps=0.5)
    Traceback (most recent call last):
    tsynd.errors.TsyndError: steps must be a whole number, got 0.5
    """
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TsyndError(f"{name} must be a whole number, got {value!r}")
        if not -MOST <= (number := int(value)) <= MOST:
            raise TsyndError(f"{name} must be at most {MOST}, got {_short(number)}")


def check_number(**named: Any) -> None:
    """Refuse what is no number, by its name; NaN and infinities are for the range to refuse."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TsyndError(f"{name} must be a number, got {value!r}")
        number: Any = value  # whole numbers of any length are compared as they are
        if LONGEST < abs(number) < math.inf:
            raise TsyndError(f"{name} must be at most {LONGEST:g}, got {_short(number)}")


def check_seed(seed: Any) -> None:
    """Refuse what is no whole number of at most 64 bits."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not -(2**63) <= int(seed) < 2**63:
        raise TsyndError(f"seed must be a whole number of at most 64 bits, got {_short(seed)}")


def check_tensors(**named: Any) -> None:
    """Refuse what is no tensor, by its name: a list, an array of NumPy's, None.

    >>> check_tensors(images=[0.5])
    Traceback (most recent call last):
    tsynd.errors.TsyndError: images must be a tensor, got list: torch.as_tensor makes one
    """
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise TsyndError(f"{name} must be a tensor, got {type(value).__name__}: torch.as_tensor makes one")


def _short(value: Any) -> str:
    """A value for a message; of whole numbers too long for one, how long they are."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"one of {value.bit_length()} bits"
    return f"{value:.3g}" if isinstance(value, int | float) else repr(value)
