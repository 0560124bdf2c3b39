"""Labels in words: the class of an image, or the labels that it has."""

from torch import Tensor

NONE = "none"


def numbers_of(label: Tensor) -> str:
    """The number of a class; of several labels, () or (L,) of 0 and 1, those that are present, by spaces.

    >>> import torch
    >>> numbers_of(torch.tensor(3)), numbers_of(torch.tensor([1, 0, 1])), numbers_of(torch.tensor([0, 0]))
    ('3', '0 2', 'none')
    """
    if label.ndim == 0:
        return str(int(label))
    return " ".join(map(str, _present(label))) or NONE


def names_of(label: Tensor, classes: tuple[str, ...]) -> str:
    """The name of a class; of several labels the names of those that are present, by semicolons.

    >>> import torch
    >>> names_of(torch.tensor([1, 0, 1]), ("effusion", "mass", "hernia"))
    'effusion; hernia'
    """
    if label.ndim == 0:
        return classes[int(label)]
    return "; ".join(classes[number] for number in _present(label)) or NONE


def _present(label_L: Tensor) -> list[int]:
    return [int(number) for number in label_L.nonzero().flatten().tolist()]
