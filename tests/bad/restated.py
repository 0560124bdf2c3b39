"""Whether a message restates the value that it is about."""

from typing import Any

from torch import Tensor


def restated(value: Any, said: str) -> bool:
    """Whether a message shows a value, or what it is of."""
    if isinstance(value, Tensor):
        return any(word in said for word in ("got", "found", "NaN", "no images", "off by", "images are float64"))
    if isinstance(value, list | dict) and any(restated(each, said) for each in value):
        return True
    forms = [format(value, form) for form in ("g", ".3g")] if type(value) in (int, float) else []
    return any(" ".join(text.splitlines()) in said for text in (str(value), repr(value), type(value).__name__, *forms))
