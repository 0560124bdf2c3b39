"""Training, validation and test images where the user made no splits: by a hash of the names, with whole groups."""

from collections.abc import Mapping, Sequence

from tsynd.data.splits import shuffled
from tsynd.errors import TsyndError


def divided(labels: Sequence[str], names: Sequence[str], groups: Sequence[str | None], shares: Mapping[str, float]) -> list[str]:
    """Divide images into "train" and the splits named: the split of each image.

    A hash of the names decides, and no seed of a run: the same images come into the same split on every machine. Without
    groups each split has its share of each class, at least one image. With them, those of one group stay together: groups
    are taken class by class, the class with the fewest first, each for the split that has least of its share so far. Shares
    are then met roughly.

    Args:
        labels: the class of each image.
        names: of each image, all different.
        groups: of each image, such as a patient's number; None where an image stands alone.
        shares: of the splits beside "train", such as {"test": 0.2, "val": 0.1}.

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
        members = [inside[label][position] for position in shuffled(inside[label], seed=0)]
        if grouped:
            _whole_groups(label, [units[name] for name in members], labels, shares, chosen)
        else:
            _single_images([units[name][0] for name in members], shares, chosen)
    for label in sorted(inside):
        held = {split for split, one in zip(chosen, labels, strict=True) if one == label}
        if lacking := [split for split in ("train", *shares) if split not in held]:
            text = f"no image of class {label!r} is left for {lacking[0]}, since groups with other classes stay together"
            raise TsyndError(f"{text}: say yourself what is in which split")
    return chosen


def _single_images(positions: list[int], shares: Mapping[str, float], chosen: list[str]) -> None:
    """Cut one class, in its shuffled order, into its shares; what is left is "train"."""
    left = positions
    for split, share in shares.items():
        count = max(1, round(share * len(positions)))
        for position in left[:count]:
            chosen[position] = split
        left = left[count:]
    for position in left:
        chosen[position] = "train"


def _whole_groups(
    label: str, units: list[list[int]], labels: Sequence[str], shares: Mapping[str, float], chosen: list[str]
) -> None:
    """Give each group of one class, in their shuffled order, to the split that has the least of its share of that class."""
    parts = {"train": 1 - sum(shares.values()), **shares}
    held = dict.fromkeys(parts, 0)
    for unit in units:  # those that came with a rarer class are placed already
        if chosen[unit[0]]:
            held[chosen[unit[0]]] += sum(labels[position] == label for position in unit)
    for unit in units:
        if not chosen[unit[0]]:
            split = min(parts, key=lambda split: held[split] / parts[split])
            held[split] += sum(labels[position] == label for position in unit)
            for position in unit:
                chosen[position] = split
