"""Checks of arguments: numbers, names, tensors, objects, images and labels. What can be declared, `utils/rules.py` declares."""

import math
import os
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from tsynd.errors import TsyndError, unknown

# No count here is larger, and no length: what is, is a slip, and would take for ever or overflow.
MOST, LONGEST = 10**9, 1e15


def check_whole(**named: Any) -> None:
    """Refuse what is no whole number of at most 10^9, by its name; True and 2.0 are none, NumPy's integers are."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TsyndError(f"{name} must be a whole number, got {value!r}")
        if not -MOST <= (number := int(value)) <= MOST:
            raise TsyndError(f"{name} must be at most {MOST}, got {_short(number)}")


def check_count(least: int, /, **named: Any) -> None:
    """Refuse what is no whole number, or one that is too small, by its name."""
    check_whole(**named)
    for name, value in named.items():
        if value < least:
            raise TsyndError(f"{name} must be >= {least}, got {value}")


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
    """Refuse what is no tensor of real numbers, by its name: a list, an array of NumPy's, None."""
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise TsyndError(f"{name} must be a tensor, got {type(value).__name__}: torch.as_tensor makes one")
        if value.is_complex():
            raise TsyndError(f"{name} must be real numbers, got {value.dtype}")


def check_range(**named: Tensor) -> None:
    """Refuse images outside [0, 1], or NaN, by their name; values are not looked at on the meta device."""
    for name, images in named.items():
        if images.is_meta or images.numel() == 0:
            continue
        low, high = (float(end) for end in images.aminmax())
        if not (low >= 0 and high <= 1):  # NaN fails too
            raise TsyndError(f"{name} must lie in [0, 1], got {low:.4g} to {high:.4g}")


def check_name(kind: str, name: Any, known: Collection[str]) -> None:
    """Refuse a name that is not among those that are known, or is no text; the nearest one is suggested."""
    if not isinstance(name, str) or name not in known:
        raise unknown(kind, name, known)


def check_kind(kind: type, /, *, optional: bool = False, **named: Any) -> None:
    """Refuse what is of another class, by its name; None is right where it is optional."""
    for name, value in named.items():
        if not isinstance(value, kind) and not (optional and value is None):
            raise TsyndError(f"{name} must be a {kind.__name__}{' or None' if optional else ''}, got {_named(value)}")


def check_several(**named: Any) -> None:
    """Refuse what is no list or other series of values, by its name; a text is one value."""
    for name, values in named.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TsyndError(f"{name} must be a list of values, got {_named(values)}")


def _named(value: Any) -> str:
    """A plain value as it is, of anything else its class."""
    return repr(value) if isinstance(value, bool | int | float | str) else type(value).__name__


def check_path(**named: Any) -> None:
    """Refuse what names no file or folder, by its name: texts and paths do."""
    for name, value in named.items():
        if not isinstance(value, str | os.PathLike):
            raise TsyndError(f"{name} must be a path, got {type(value).__name__}")


def _short(value: Any) -> str:
    """A value for a message; of whole numbers too long for one, how long they are."""
    if isinstance(value, bool):
        return repr(value)
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"one of {value.bit_length()} bits"
    return f"{value:.3g}" if isinstance(value, int | float) else repr(value)


def check_images(images: Any, *, channels: Collection[int] = (), square: bool = False, in_range: bool = True) -> None:
    """Refuse what is no float batch (B, C, H, W) in [0, 1] with B >= 1; values are not looked at on the meta device.

    channels: the numbers of channels that are right; all without any. square: H and W must agree. in_range: values are looked at
    too, for which a GPU must be waited for.
    """
    check_tensors(images=images)
    shape = tuple(images.shape)
    wanted = f"(B, {' or '.join(map(str, channels)) or 'C'}, {'S, S' if square else 'H, W'})"
    right = len(shape) == 4 and 0 not in shape and (not channels or shape[1] in channels) and (not square or shape[2] == shape[3])
    if not right or not images.is_floating_point():
        raise TsyndError(f"images must be float of shape {wanted} with B >= 1, got {images.dtype} of shape {shape}")
    if in_range:
        check_range(images=images)


def check_labels(labels: Any, shape: tuple[int, ...], classes: int | None = None, *, name: str = "labels") -> None:
    """Refuse what is no int64 tensor of a shape: class numbers, or of several labels an image, (B, L), zeros and ones.

    classes: how many there are; any number from 0 on without it.
    """
    check_tensors(**{name: labels})
    if tuple(labels.shape) != shape or labels.dtype != torch.int64:
        raise TsyndError(f"{name} must be int64 of shape {shape}, got {labels.dtype} of shape {tuple(labels.shape)}")
    if labels.is_meta or not labels.numel():
        return
    low, high = (int(end) for end in labels.aminmax())
    if len(shape) == 2 and not 0 <= low <= high <= 1:
        raise TsyndError(f"{name} must be 0 or 1, got {low} .. {high}")
    if low < 0 or (classes is not None and high >= classes):
        wanted = "be >= 0" if classes is None else f"lie in 0 .. {classes - 1}"
        raise TsyndError(f"{name} must {wanted}, got {low} .. {high}")
