"""Small training sets: stratified, nested, and the same on every platform."""

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.randomness import seed_for


def shuffled(names: list[str], seed: int) -> list[int]:
    """Positions of the names in an order that depends on the names and the seed only: a hash's, not a library's.

    >>> shuffled(["a", "b", "c", "d"], seed=0)
    [2, 1, 0, 3]
    """
    return sorted(range(len(names)), key=lambda position: (seed_for(seed, names[position]), names[position]))


def stratified(labels_N: Tensor, classes: tuple[str, ...], per_class: int, seed: int) -> Tensor:
    """Choose `per_class` images of every class; for the same seed a larger choice contains every smaller one.

    The images of a class are ranked by a hash of the seed and their position in the training set, and the first
    `per_class` are taken.

    Args:
        labels_N: (N,) int64, 0 <= label < len(classes).
        classes: the names of the classes, for the error message.
        per_class: how many images of each class, at least 1.
        seed: which of the many possible choices.

    Returns:
        (per_class * C,) int64 positions, ascending.

    Raises:
        TsyndError: `per_class` is below 1 or larger than the smallest class.

    >>> stratified(torch.tensor([0, 0, 0, 1, 1, 1]), ("benign", "malignant"), per_class=2, seed=0)
    tensor([0, 1, 4, 5])
    """
    if isinstance(per_class, bool) or not isinstance(per_class, int) or per_class < 1:
        raise TsyndError(f"per_class must be a whole number >= 1 or 'all', got {per_class!r}")
    counts = torch.bincount(labels_N, minlength=len(classes))
    smallest = int(counts.argmin())
    if per_class > counts[smallest]:
        raise TsyndError(
            f"per_class must be at most {counts[smallest]}, since class {classes[smallest]!r} has "
            f"{counts[smallest]} training images, got {per_class}"
        )
    chosen = []
    for label in range(len(classes)):
        members = (labels_N == label).nonzero().flatten().tolist()
        order = shuffled([f"subset {position}" for position in members], seed)
        chosen += [members[place] for place in order[:per_class]]
    return torch.tensor(sorted(chosen))
