"""What in a folder or a table may not be what its owner means: said by `load`, by `run` and by `data check`, a line each."""

import re
from collections import Counter
from collections.abc import Iterator

from tsynd.data.image_folder.image_file import is_image
from tsynd.data.image_folder.listing import Listing, Problem
from tsynd.data.labels import class_key

# Files that stand beside images and are none.
TEXTS = (".txt", ".md", ".csv", ".tsv", ".json", ".yaml", ".yml", ".xml", ".html", ".pdf", ".xls", ".xlsx", ".npz", ".py", ".sh")
MISSING = ("nan", "na", "n/a", "none", "null", "nil", "missing", "unknown", "?", "-", "#n/a", "<na>")
PATIENT = re.compile(r"(patient|subject|case|participant|person|pat)[\W_]*(id|name|nr|no|number|code|key)?|pid|mrn|study[\W_]*id")
# Names of what is drawn of an image: alone as a folder, or at the end of a file's name.
DRAWN = r"masks?|seg|segmentations?|ground[ _-]?truth|gt|annotations?|overlays?|thumbs?|thumbnails?|previews?"


def remarks(listing: Listing) -> list[Problem]:
    """What `load` says in a note and `data check` as a finding, and nothing is refused for."""
    return [*passed_over(listing), *_spellings(listing), *_drawn(listing), *_patients(listing)]


def passed_over(listing: Listing) -> Iterator[Problem]:
    """Files that are no texts and are not read: images without a class, other endings, and folders of network drives."""
    others, drives, root = listing.others, listing.drives, listing.root
    loose = tuple(file.relative_to(root).as_posix() for file in others if is_image(file))
    if loose:
        text = f"{len(loose)} image(s) beside the folders of the classes passed over, such as {loose[0]}"
        yield Problem("no class", text, loose)
    others = [file for file in others if file.suffix.lower() not in TEXTS and not is_image(file)]
    if others:
        kinds = Counter(file.suffix.lower() or "no ending" for file in others)
        listed = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(4)) + (", …" if len(kinds) > 4 else "")
        names = tuple(file.relative_to(root).as_posix() for file in others)
        yield Problem("passed over", f"{len(others)} file(s) passed over, since their ending is not read: {listed}", names)
    if drives:
        name = min(folder.name for folder in drives)
        yield Problem("network drive", f"{len(drives)} folder(s) of a network drive, such as {name!r}, passed over")


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


def _patients(listing: Listing) -> Iterator[Problem]:
    named = [name for name in listing.columns if PATIENT.fullmatch(name)]
    if named and not listing.grouped:
        text = f"column {named[0]!r} is not used: call it group, or images of one patient may be in train and in test"
        yield Problem("patients", text)
