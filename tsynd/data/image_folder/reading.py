"""Images of your own, in folders or listed in a CSV: found, divided, decoded, and made a data set."""

from collections import Counter
from pathlib import Path
from typing import Any

import torch

from tsynd.data.dataset import SMALLEST, SPLITS, Dataset, Split
from tsynd.data.image_folder.decode_cache import Decoded, decode
from tsynd.data.image_folder.listing import Item, Listing, find_images
from tsynd.data.image_folder.table import BETWEEN
from tsynd.data.medmnist.npz import UNKNOWN_LICENCE
from tsynd.data.remarks import array_remarks, remarks
from tsynd.data.splits import divided
from tsynd.errors import TsyndError
from tsynd.utils.progress import Progress

# Where the user made no splits: a tenth of each class for validation, a fifth for test.
SHARES = {"test": 0.2, "val": 0.1}
# Grey of 16 bits that stays below this share of its range has 14 bits or fewer in it, and comes out dark.
DARK = 0.25


def read_folder(
    path: Path,
    size: int = 28,
    *,
    skip_unreadable: bool = False,
    crop: bool = False,
    ignore: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Dataset:
    """Read a data set of image files; arguments as in `tsynd.load`.

    For the layouts see `tsynd.data.image_folder.listing.find_images`, for the kinds of images
    `tsynd.data.image_folder.image_file.read_picture`.
    Images are made square by repeating their edge and resized without distortion; if one has colour, all become RGB.
    Without splits of the user's, 70/10/20 of each class are for training, validation and test, by a hash of the names, the
    same on every platform; groups stay whole. With `train` and `test` only, `val` is a tenth of `train`. Decoded images are
    kept in the cache; nothing is written where they are. What a user should know is in the data set's `notes`.

    Raises:
        TsyndError: the layout is not one of these, a class or a split is empty, or an image cannot be read.
    """
    if size < SMALLEST:
        raise TsyndError(f"size must be at least {SMALLEST} px, got {size}")
    listing = find_images(path, ignore)
    if listing.problems:
        raise TsyndError(listing.problems[0].text + _more(len(listing.problems) - 1, "problem(s)", path))
    split_of = assign_splits(listing)
    labels = {name: label for label, name in enumerate(listing.classes)}
    both = zip(listing.items, split_of, strict=True)
    pairs = sorted(both, key=lambda pair: (SPLITS.index(pair[1]), labels.get(pair[0].label, 0)))
    decoded = decode([item.file for item, _ in pairs], size, progress, crop=crop)
    if decoded.failures and not skip_unreadable:
        first = decoded.failures[min(decoded.failures)]
        raise TsyndError(first + _more(len(decoded.failures) - 1, "unreadable image(s)", path))
    kept = [position for position in range(len(pairs)) if position not in decoded.failures]
    for new, old in enumerate(kept):
        if new != old:
            decoded.images[new] = decoded.images[old]
    lost = [pairs[position][0].name for position in sorted(decoded.failures)]
    pairs = [pairs[position] for position in kept]
    group_names = sorted({item.group for item, _ in pairs if item.group is not None})
    splits = _splits(pairs, group_names, listing, torch.from_numpy(decoded.images))
    task = "multi-label" if listing.several else "binary" if len(listing.classes) == 2 else "multi-class"
    name = path.stem if path.is_file() else path.resolve().name
    notes = (*_notes(listing, decoded, lost, crop), *(text for kind, text in array_remarks(splits) if kind in ("dark", "copies")))
    made: dict[str, Any] = {**splits, "classes": listing.classes, "task": task, "licence": UNKNOWN_LICENCE, "notes": notes}
    return Dataset(name, source=str(path), group_names=tuple(group_names), **made)


def assign_splits(listing: Listing) -> list[str]:
    """The split of each image: the user's, or one by a hash of the names; `val` is taken from `train` where it is missing."""
    given = [item.split or "" for item in listing.items]
    if "val" in given:
        return given
    shares = {"val": SHARES["val"]} if "train" in given else SHARES
    places = [position for position, split in enumerate(given) if split in ("", "train")]
    items = [listing.items[position] for position in places]
    strata = [item.label for item in items]
    if listing.several:  # the label that fewest images have
        counts = Counter(part for label in strata for part in label.split(BETWEEN))
        strata = [min(label.split(BETWEEN), key=lambda part: counts[part]) for label in strata]
    for position, split in zip(
        places, divided(strata, [item.key for item in items], [item.group for item in items], shares), strict=True
    ):
        given[position] = split
    return given


def crossing_groups(items: list[Item], split_of: list[str]) -> dict[str, list[str]]:
    """Groups that have images in several splits, with these splits."""
    found: dict[str, set[str]] = {}
    for item, split in zip(items, split_of, strict=True):
        if item.group is not None:
            found.setdefault(item.group, set()).add(split)
    return {group: sorted(splits, key=SPLITS.index) for group, splits in sorted(found.items()) if len(splits) > 1}


def _splits(pairs: list[tuple[Item, str]], names: list[str], listing: Listing, images: torch.Tensor) -> dict[str, Split]:
    """The three splits, which lie one after the other in `images`: nothing is copied. `names` are those of the groups."""
    numbers = {name: number for number, name in enumerate(names)}
    groups = torch.tensor(
        [numbers[item.group] if item.group is not None else len(names) + place for place, (item, _) in enumerate(pairs)]
    )
    own = [item.label.split(BETWEEN) if listing.several else [item.label] for item, _ in pairs]
    classes = torch.tensor([[name in each for name in listing.classes] for each in own], dtype=torch.int64)
    classes = classes if listing.several else classes.argmax(1)
    made, start = {}, 0
    for split in SPLITS:
        part = slice(start, start := start + sum(one == split for _, one in pairs))
        files = tuple(item.name for item, _ in pairs[part])
        made[split] = Split(images[part], classes[part], groups[part] if names else None, names=files)
    return made


def _notes(listing: Listing, decoded: Decoded, lost: list[str], crop: bool) -> list[str]:
    """What a user should know of images that can be trained on."""
    notes = [remark.text for remark in remarks(listing)]
    if crossing := crossing_groups(listing.items, [item.split or "train" for item in listing.items]) if listing.given else {}:
        group, splits = next(iter(crossing.items()))
        notes.append(f"{len(crossing)} group(s) have images in several splits, such as {group!r} in {' and '.join(splits)}")
    if not listing.grouped and "val" not in listing.given:
        made = "val" if listing.given else "test"
        notes.append(
            f"split by image, since there are no groups: images of one patient may be in train and in {made}; "
            "a CSV with a column group, or a folder for each patient below the class, keeps them together"
        )
    if lost:
        names = ", ".join(lost[:3]) + (", …" if len(lost) > 3 else "")
        notes.append(f"{len(lost)} image(s) left out, since they cannot be read: {names}")
    if decoded.oblong:
        how = "cut to the square in their middle" if crop else "padded by repeating the edge"
        notes.append(f"{decoded.oblong} image(s) are not square: resized in proportion, and {how}")
    if (reached := decoded.reached) and max(reached) < DARK:
        notes.append(
            f"{len(reached)} image(s) of 16 bits reach {max(reached):.1%} of the range at most, and come out dark: "
            "stretch them all by one factor first"
        )
    return notes


def _more(count: int, what: str, path: Path) -> str:
    return f"; and {count} more {what}: tsynd data check {path} lists them" if count else ""
