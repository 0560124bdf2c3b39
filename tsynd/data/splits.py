"""Splits where the user made none, and small training sets: stratified, group-safe, and the same on every platform."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.utils.rng import seed_for

Done = Callable[[list[int], int], bool]
"""Is a choice large enough? Asked with the number of images of each class that it holds, and of images in all."""


def shuffled(names: list[str], seed: int) -> list[int]:
    """Positions of the names in an order that depends on the names and the seed only: a hash's, not a library's.

    >>> shuffled(["a", "b", "c", "d"], seed=0)
    [2, 1, 0, 3]
    """
    return sorted(range(len(names)), key=lambda position: (seed_for(seed, names[position]), names[position]))


def stratified(labels: Tensor, classes: tuple[str, ...], per_class: int, seed: int, groups_N: Tensor | None = None) -> Tensor:
    """Choose `per_class` images of every class; for the same seed a larger choice contains every smaller one.

    Images are ranked by a hash of the seed and their position, and taken one by one, always for the class that has the
    fewest so far. Where an image has several labels, or groups stay together, a class can get more than `per_class`.

    Args:
        labels: (N,) int64, 0 <= label < C; or (N, C) of 0 and 1, multi-label, where an image counts for each of its
            labels and images without any are a class of their own.
        classes: the names of the C classes, for the error message.
        per_class: how many images of each class, at least 1.
        seed: which of the many possible choices.
        groups_N: (N,) int64, such as a patient's number: images of one group are taken together or not at all.

    Returns:
        int64 positions, ascending: (per_class * C,) of them for one label an image without groups.

    Raises:
        TsyndError: `per_class` is below 1 or larger than the smallest class.

    >>> stratified(torch.tensor([0, 0, 0, 1, 1, 1]), ("benign", "malignant"), per_class=2, seed=0)
    tensor([0, 1, 4, 5])
    """
    if isinstance(per_class, bool) or not isinstance(per_class, int) or per_class < 1:
        raise TsyndError(f"per_class must be a whole number >= 1 or 'all', got {per_class!r}")
    members_NC = members(labels, len(classes))
    counts = members_NC.sum(0).tolist()
    smallest = counts.index(min(counts[: len(classes)]))
    if per_class > counts[smallest]:
        raise TsyndError(
            f"per_class must be at most {counts[smallest]}, since class {classes[smallest]!r} has "
            f"{counts[smallest]} training images, got {per_class}"
        )
    wanted = [min(per_class, count) for count in counts]
    return _choose(members_NC, [1] * len(counts), seed, groups_N, lambda held, _: all(map(int.__ge__, held, wanted)))


def proportional(labels: Tensor, classes: tuple[str, ...], fraction: float, seed: int, groups_N: Tensor | None = None) -> Tensor:
    """Choose a fraction of the images in which every class keeps its share, and has at least one if there is any.

    Images are ranked as in `stratified`, and taken for the class of which the smallest part is taken so far (the greedy
    idea of iterative stratification: Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011). Larger fractions contain smaller
    ones. Arguments as in `stratified`; `fraction` is above 0 and at most 1.

    Returns:
        int64 positions, ascending: fraction * N of them, rounded, more where a group or a rare class needs it.

    Raises:
        TsyndError: the fraction is not in that range.

    >>> proportional(torch.tensor([0, 0, 0, 0, 0, 0, 1, 1]), ("benign", "malignant"), fraction=0.5, seed=0)
    tensor([0, 1, 5, 7])
    """
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction <= 1:
        raise TsyndError(f"fraction must be above 0 and at most 1, got {fraction!r}")
    members_NC = members(labels, len(classes))
    counts = members_NC.sum(0).tolist()
    total = round(fraction * len(labels))

    def enough(held: list[int], size: int) -> bool:
        return size >= total and all(one > 0 for one, count in zip(held, counts, strict=True) if count)

    return _choose(members_NC, counts, seed, groups_N, enough)


def members(labels: Tensor, count: int) -> Tensor:
    """Which image counts for which class, (N, C) or (N, C + 1) of 0 and 1: the last column holds images without a label."""
    if labels.ndim == 1:
        return torch.nn.functional.one_hot(labels, count)
    return torch.cat([labels, (labels.sum(1, keepdim=True) == 0).long()], 1)


def _choose(members_NC: Tensor, weights: list[int], seed: int, groups_N: Tensor | None, done: Done) -> Tensor:
    """Take images, or whole groups, in the order of `_ordered` until there are enough."""
    if groups_N is None:
        units = [[position] for position in range(len(members_NC))]
        order, counts_UC = shuffled([f"subset {position}" for position in range(len(units))], seed), members_NC
    else:
        names, unit_N = groups_N.unique(return_inverse=True)
        units = [[] for _ in names]
        for position, unit in enumerate(unit_N.tolist()):
            units[unit].append(position)
        order = shuffled([f"subset group {name}" for name in names.tolist()], seed)
        counts_UC = torch.zeros(len(units), members_NC.shape[1], dtype=torch.int64).index_add_(0, unit_N, members_NC)
    chosen: list[int] = []
    held = [0] * members_NC.shape[1]
    for unit, counts in _ordered(counts_UC[order].tolist(), weights):
        if done(held, len(chosen)):
            break
        chosen += units[order[unit]]
        held = [one + more for one, more in zip(held, counts, strict=True)]
    return torch.tensor(sorted(chosen))


def _ordered(counts_UC: list[list[int]], weights: list[int]) -> Iterator[tuple[int, list[int]]]:
    """All units, with their images of each class: always the first one left of the class with the lowest held / weight.

    Of classes that are equally low the rarest comes first. The order does not depend on where the caller stops: so
    larger choices contain smaller ones.
    """
    queues = [[unit for unit, counts in enumerate(counts_UC) if counts[label]] for label in range(len(weights))]
    totals = [sum(counts[label] for counts in counts_UC) for label in range(len(weights))]
    places, held, taken = [0] * len(weights), [0] * len(weights), [False] * len(counts_UC)
    for _ in counts_UC:
        for label, queue in enumerate(queues):
            while places[label] < len(queue) and taken[queue[places[label]]]:
                places[label] += 1
        left = [label for label, queue in enumerate(queues) if places[label] < len(queue)]
        label = min(left, key=lambda label: (held[label] / weights[label], totals[label], label))
        unit = queues[label][places[label]]
        taken[unit] = True
        held = [one + more for one, more in zip(held, counts_UC[unit], strict=True)]
        yield unit, counts_UC[unit]


def divided(labels: Sequence[str], names: Sequence[str], groups: Sequence[str | None], shares: Mapping[str, float]) -> list[str]:
    """Divide images into "train" and the splits named: the split of each image.

    A hash of the names, which all differ, decides, and no seed of a run: the same images come into the same split on every
    machine. Without groups (None each) every split has its share of each class, at least one image. Images of one group stay
    together: groups are taken class by class, the class with the fewest first, each for the split that has least of its share so
    far. Shares are then met roughly. `shares` are of the splits beside "train", such as {"test": 0.2, "val": 0.1}.

    Raises:
        TsyndError: a class has too few images or groups for one in each split.

    >>> divided(["a"] * 5, ["1", "2", "3", "4", "5"], ["p", "p", "q", "r", None], {"test": 0.2, "val": 0.1})
    ['val', 'val', 'test', 'train', 'train']
    """
    units: dict[str, list[int]] = {}
    for position, (name, group) in enumerate(zip(names, groups, strict=True)):
        units.setdefault(name if group is None else f"group {group}", []).append(position)
    grouped = len(units) < len(names)
    inside = {label: [name for name, held in units.items() if any(labels[i] == label for i in held)] for label in set(labels)}
    for label, members in sorted(inside.items()):
        if len(members) <= len(shares):
            found = f"{len(members)} {'group' if grouped else 'image'}(s)"
            wanted = " and ".join(("train", *shares))
            raise TsyndError(f"class {label!r} has {found}, too few for {wanted}: at least one each")
    chosen = [""] * len(labels)
    for label in sorted(inside, key=lambda label: (len(inside[label]), label)):
        ordered = [units[inside[label][place]] for place in shuffled(inside[label], seed=0)]
        if not grouped:
            counts = [max(1, round(share * len(ordered))) for share in shares.values()]
            where = [split for split, count in zip(shares, counts, strict=True) for _ in range(count)]
            for (position,), split in zip(ordered, [*where, *["train"] * len(ordered)], strict=False):
                chosen[position] = split
            continue
        parts = {"train": 1 - sum(shares.values()), **shares}
        sizes = [sum(labels[position] == label for position in unit) for unit in ordered]
        held = dict.fromkeys(["", *parts], 0)
        for unit, size in zip(ordered, sizes, strict=True):  # those that came with a rarer class are placed already
            held[chosen[unit[0]]] += size
        for unit, size in zip(ordered, sizes, strict=True):
            if not chosen[unit[0]]:
                split = min(parts, key=lambda split: held[split] / parts[split])
                held[split] += size
                for position in unit:
                    chosen[position] = split
    for label in sorted(inside):
        has = {split for split, one in zip(chosen, labels, strict=True) if one == label}
        if lacking := [split for split in ("train", *shares) if split not in has]:
            text = f"no image of class {label!r} is left for {lacking[0]}, since groups with other classes stay together"
            raise TsyndError(f"{text}: say yourself what is in which split")
    return chosen
