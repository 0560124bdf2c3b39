"""Labels in words: which texts name one class, in which order classes stand, and the class or the labels of an image."""

import re
import unicodedata
from collections.abc import Iterable

from torch import Tensor

NONE = "none"


def composed(name: str) -> str:
    """A name as most systems write it: macOS takes its accents apart. Bytes that are no UTF-8 are spelled out."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def class_key(text: str) -> str:
    """What decides whether two texts name one class: accents, spaces and invisible letters do not, nor how a number is written.

    >>> class_key("01") == class_key("1.0") == class_key(" 1"), class_key("Benign") == class_key("benign")
    (True, False)
    """
    seen = "".join(letter for letter in composed(text) if unicodedata.category(letter) not in ("Cf", "Cc"))
    words = " ".join(seen.split())
    return str(int(words.partition(".")[0])) if re.fullmatch(r"[+-]?[0-9]{1,18}(\.0*)?", words) else words


def class_names(texts: Iterable[str]) -> dict[str, str]:
    """The name of the class of each text: of several that name one class the shortest."""
    names: dict[str, str] = {}
    for text in sorted({composed(text) for text in texts}, key=lambda text: (len(text), text)):
        names.setdefault(class_key(text), text)
    return {text: names[class_key(text)] for text in texts}


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes, sorted: as numbers if all are, otherwise as words.

    >>> in_order(["10.0", "9.0", "0.5"]), in_order(["b", "10", "9"])
    (('0.5', '9.0', '10.0'), ('10', '9', 'b'))
    """
    listed = sorted(set(names))
    numbers = all(re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", name.strip()) for name in listed)
    return tuple(sorted(listed, key=float) if numbers else listed)


def same_classes(names: Iterable[str], known: Iterable[str]) -> list[int] | None:
    """The number that each class has among those that are known; None where one is not among them."""
    numbers = {class_key(name): number for number, name in enumerate(known)}
    found = [numbers.get(class_key(name)) for name in names]
    return None if None in found else [number for number in found if number is not None]


def numbers_of(label: Tensor) -> str:
    """The number of a class; of several labels, (L,) of 0 and 1, those that are present, by spaces, or `none`."""
    if label.ndim == 0:
        return str(int(label))
    return " ".join(str(number) for number in label.nonzero().flatten().tolist()) or NONE


def names_of(label: Tensor, classes: tuple[str, ...]) -> str:
    """The name of a class; of several labels the names of those that are present, by semicolons, or `none`."""
    if label.ndim == 0:
        return classes[int(label)]
    return "; ".join(classes[number] for number in label.nonzero().flatten().tolist()) or NONE
