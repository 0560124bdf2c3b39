"""What in data may not be what their owner means: told by `load`, by `run` and by `data check`, a line each, never refused."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations

from tsynd.data.dataset import Split
from tsynd.data.duplicates import exactly
from tsynd.data.image_folder.image_file import is_image
from tsynd.data.image_folder.listing import Listing, Problem
from tsynd.data.labels import class_key

# Files that stand beside images and are none.
TEXTS = (".txt", ".md", ".csv", ".tsv", ".json", ".yaml", ".yml", ".xml", ".html", ".pdf", ".xls", ".xlsx", ".npz", ".py", ".sh")
MISSING = ("nan", "na", "n/a", "none", "null", "nil", "missing", "unknown", "?", "-", "#n/a", "<na>")
PATIENT = re.compile(r"(patient|subject|case|participant|person|pat)[\W_]*(id|name|nr|no|number|code|key)?|pid|mrn|study[\W_]*id")
# Names of what is drawn of an image: alone as a folder, or at the end of a file's name.
DRAWN = r"masks?|seg|segmentations?|ground[ _-]?truth|gt|annotations?|overlays?|thumbs?|thumbnails?|previews?"
# More bytes than these are not looked at once more while they are loaded.
MOST = 2**30


def array_remarks(splits: Mapping[str, Split]) -> Iterator[tuple[str, str]]:
    """Remarks on a train, a val and a test split: a kind in a word or two, and a sentence."""
    labels = [split.labels for split in splits.values()]
    if labels[0].ndim == 2 and labels[0].shape[1] > 1 and all(bool((each.sum(dim=-1) == 1).all()) for each in labels):
        text = "every image has exactly one of several labels: if they are one-hot classes, write labels (N,), by argmax"
        yield "one label each", text
    for one, other in combinations([name for name, split in splits.items() if split.groups is not None], 2):
        found, others = (splits[name].groups for name in (one, other))
        assert found is not None and others is not None
        if common := set(found[found >= 0].tolist()) & set(others[others >= 0].tolist()):
            yield "group in several splits", f"{len(common)} group(s) have images in {one} and in {other}, such as {min(common)}"
    if sum(split.images.numel() for split in splits.values()) > MOST:
        return
    if (largest := max(int(split.images.max()) for split in splits.values())) <= 1:
        yield "dark", f"no image is brighter than {largest} of 255: were they in [0, 1] before they became whole numbers?"
    hashes = {name: set(map(exactly, split.images.numpy())) for name, split in splits.items()}
    for one, other in combinations(splits, 2):
        if count := len(hashes[one] & hashes[other]):
            text = f"{count} image(s) of {other} are in {one} too, pixel for pixel: a leak; tsynd data check names them"
            yield "copies", text


def remarks(listing: Listing) -> list[Problem]:
    """What `load` says in a note and `data check` as a finding, and nothing is refused for."""
    found = [*passed_over(listing), *_spellings(listing), *_drawn(listing)]
    if not listing.grouped and (named := [name for name in listing.columns if PATIENT.fullmatch(name)]):
        text = f"column {named[0]!r} is not used: call it group, or images of one patient may be in train and in test"
        found.append(Problem("patients", text))
    return found


def passed_over(listing: Listing) -> Iterator[Problem]:
    """Files that are no texts and are not read: images without a class, other endings, and folders of network drives."""
    named = {file.relative_to(listing.root).as_posix(): file for file in listing.others}
    if loose := tuple(name for name, file in named.items() if is_image(file)):
        text = f"{len(loose)} image(s) beside the folders of the classes passed over, such as {loose[0]}"
        yield Problem("no class", text, loose)
    if others := {name: file for name, file in named.items() if file.suffix.lower() not in TEXTS and not is_image(file)}:
        kinds = Counter(file.suffix.lower() or "no ending" for file in others.values())
        listed = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(4)) + (", …" if len(kinds) > 4 else "")
        text = f"{len(others)} file(s) passed over, since their ending is not read: {listed}"
        yield Problem("passed over", text, tuple(others))
    if listing.drives:
        name = min(folder.name for folder in listing.drives)
        yield Problem("network drive", f"{len(listing.drives)} folder(s) of a network drive, such as {name!r}, passed over")


def _spellings(listing: Listing) -> Iterator[Problem]:
    alike: dict[str, list[str]] = {}
    for text in listing.spellings:
        alike.setdefault(re.sub(r"[\W_]+", "", class_key(text).casefold()) or text, []).append(text)
    for texts in (sorted(each) for each in alike.values() if len(each) > 1):
        one = len({class_key(text) for text in texts}) == 1
        found = " and ".join(f"{ascii(text) if not text.isprintable() else repr(text)}" for text in texts)
        meant = "are taken for one class" if one else "are classes of their own: write them alike if they mean one"
        yield Problem("labels alike", f"labels {found} differ in case, spaces, signs or form only, and {meant}")
    for text, count in listing.spellings.items():
        if class_key(text).casefold() in MISSING:
            yield Problem("missing label", f"label {text!r} of {count} image(s) looks like a missing value, and is a class")


def _drawn(listing: Listing) -> Iterator[Problem]:
    ending, folder = re.compile(rf"(.+[ _.-])?({DRAWN})[ _-]?[0-9]*", re.I), re.compile(DRAWN, re.I)
    names = []
    for item in listing.items:
        *above, name = item.key.split("/")
        if ending.fullmatch(name.rpartition(".")[0]) or any(folder.fullmatch(part) for part in above):
            names.append(item.name)
    if names:
        text = f"{len(names)} image(s) are called as masks or thumbnails of others, such as {names[0]}, and count as images"
        yield Problem("masks", text, tuple(names))
