"""Targeted sets: new images from a finished run, written in MedMNIST layout with a card that says what they are."""

import re
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from tsynd.data import Dataset, load
from tsynd.data.dataset import fingerprint
from tsynd.data.labels import names_of, numbers_of
from tsynd.data.loading import reading_of
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.synthetic.decisions import blind_agreement, counts, read_review, reviewed
from tsynd.synthetic.npz import load_origin, load_synthesis, save_synthesis, to_pixels
from tsynd.synthetic.sharing import write_sharing
from tsynd.targeting import Synthesis
from tsynd.utils.atomic_files import atomic_write, check_new, write_json
from tsynd.utils.rules import validated
from tsynd.utils.safe_parsing import read_json

__all__ = ["read_set", "write_set"]

# What `_png_name` gives.
_PNG = re.compile(r"\d{5,}_class-(\d+|none)(-[a-z0-9-]+)?_source-\d{5,}(-[a-z0-9-]+)?\.png")


@validated
def write_set(
    path: str | Path, synthesis: Synthesis, card: dict[str, Any], *, png: str | Path | None = None, force: bool = False
) -> None:
    """Write a targeted set, its card beside it (`FILE.json`), and one PNG an image where a folder is given.

    That folder is then ready to be shared: see `tsynd.synthetic.sharing.write_sharing`.

    What an earlier set left under these names is removed first, so that an interruption leaves no set beside the card or the
    pictures of another; other files in the folder of pictures stay.

    Raises:
        TsyndError: as `check_targets`; for a card that does not say what the images were made from.
    """
    if not {"classes", "data"} <= card.keys():
        found = ", ".join(map(repr, card))
        raise TsyndError(f"card must have classes and data, as `tsynd.runs.card.describe` makes it, got {found}")
    path, png = Path(path), None if png is None else Path(png)
    check_targets(path, png, force=force)
    path.unlink(missing_ok=True)
    if png is not None:
        for old in png.glob("*.png"):
            if _PNG.fullmatch(old.name):
                old.unlink()
        names = [_png_name(synthesis, position, card) for position in range(len(synthesis))]
        for name, image in zip(names, to_pixels(synthesis.images), strict=True):
            with atomic_write(png / name) as temporary:
                Image.fromarray(image).save(temporary, "PNG")
        write_sharing(png, synthesis, card, names)
    write_json(card_path(path), card)
    save_synthesis(path, synthesis, (card["data"]["name"], card["data"]["fingerprint"]))


def check_targets(path: Path, png: Path | None = None, *, force: bool = False) -> None:
    """Refuse a name that is no `.npz`, and files or folders that would be written over, unless `force`."""
    check_new(path, ".npz", force)
    check_new(card_path(path), ".json", force)
    if png is not None and png.exists():
        if not png.is_dir():
            raise TsyndError(f"--png {png} is a file: name a folder")
        if any(png.iterdir()) and not force:
            raise TsyndError(f"--png {png} is not empty: name a new folder, or use --force to write into it")


@validated
def read_set(path: str | Path) -> Synthesis:
    """Read a targeted set, or a run's `synthetic.npz`.

    Raises:
        TsyndError: when the file is damaged or holds no synthetic images.
        DataUnavailable: when it is not there.
    """
    synthesis = load_synthesis(Path(path))
    if synthesis is None:
        raise DataUnavailable(f"no such file: {path}")
    return synthesis


def source_data(path: Path, name: str | None = None) -> Dataset | None:
    """The data that a set was made from: named here, in its card, or in the configuration of the run that it belongs to.

    None when nothing names them, or they are not to be found here. TsyndError when they are others, or too few for its sources.
    """
    settings = _made_by(path)
    wanted = name or settings.get("data")
    if wanted is None:
        return None
    if not isinstance(wanted, str):
        raise TsyndError(f"the data that {path} was made from must be named by a text, got {wanted!r}")
    try:
        data = load(wanted, size=settings.get("size"), download=name is not None, **reading_of(settings))
    except DataUnavailable:
        if name is None:
            return None
        raise
    if settings and fingerprint(data) != settings.get("data_fingerprint"):
        raise TsyndError(f"{wanted} is not what {path} was made from: its fingerprint is {fingerprint(data)}")
    return data


def origin(path: Path) -> tuple[str, str] | None:
    """Name and fingerprint of the data that a set was made from, as it, its card or its run's configuration says; else None."""
    if (noted := load_origin(path)) is not None:
        return noted
    run = _made_by(path)
    return (str(run.get("data", "unnamed data")), str(run["data_fingerprint"])) if "data_fingerprint" in run else None


def shown(synthesis: Synthesis, data: Dataset | None) -> tuple[tuple[str, ...], Tensor | None]:
    """Names of the classes, and the sources (B, C, H, W) in [0, 1]; without the data, numbers as names and None."""
    if not len(synthesis):
        raise TsyndError("a set must have images to be shown, got none")
    several = synthesis.labels.ndim == 2
    count = synthesis.labels.shape[1] if several else int(synthesis.labels.max()) + 1
    if data is None:
        return tuple(map(str, range(max(2, count)))), None
    if several != data.multi_label or count > len(data.classes) or int(synthesis.sources.max()) >= len(data.train):
        raise TsyndError(f"{data.name} does not have the classes and sources of these images: name the data they were made from")
    return data.classes, data.train.images[synthesis.sources].float() / 255


def _made_by(path: Path) -> dict[str, Any]:
    """The configuration of the run that made a set: from its card, or from the run's folder; empty where neither says it."""
    card, config = card_path(path), path.parent / "config.json"
    if not card.exists():
        return read_json(config) if config.exists() else {}
    run = read_json(card).get("run", {})
    if not isinstance(run, dict):
        raise TsyndError(f"{card} is not the card of a set: run must be `key: value` pairs, got {type(run).__name__}")
    return run


def card_path(path: Path) -> Path:
    """Where the card of a set is: `set.npz` has `set.json`."""
    return path.with_suffix(".json")


def _png_name(synthesis: Synthesis, position: int, card: dict[str, Any]) -> str:
    """Number, class and source in a file's name, with the name of the source's file; what a system may refuse is a dash."""
    label, source = synthesis.labels[position], int(synthesis.sources[position])
    number = numbers_of(label).replace(" ", "-")
    word = re.sub(r"[^a-z0-9]+", "-", names_of(label, tuple(card["classes"])).lower()).strip("-")[:40]
    file = re.sub(r"[^a-z0-9]+", "-", Path(card["sources"][position]).stem.lower())[:40] if card.get("sources") else ""
    file = f"-{file.strip('-')}" if file.strip("-") else ""
    return f"{position:05d}_class-{number}{f'-{word}' if word and word != number else ''}_source-{source:05d}{file}.png"


def given_images(synthetic: Path, review: Path | None, data: Dataset) -> tuple[Synthesis, dict[str, Any] | None]:
    """Synthetic images to train on, from a file, as a review lets them pass; and what the review says, in numbers.

    TsyndError when a file is damaged, the review is of other images, or the images do not fit the data set: made from other data,
    other channels or size, more classes, or sources beyond its training images. A file that does not say what it was made from is
    judged by these alone.
    """
    synthesis, made = read_set(synthetic), None
    if not len(synthesis):
        raise TsyndError(f"{synthetic} holds no images")
    wanted, found = (data.channels, data.size, data.size), tuple(synthesis.images.shape[1:])
    if found != wanted:
        raise TsyndError(f"{synthetic} has images of shape {found}, {data.name} of {wanted}")
    others = f"{synthetic} was made from other data than {data.name}"
    if (made_from := origin(synthetic)) is not None and made_from[1] != fingerprint(data):
        raise TsyndError(f"{others}: from {made_from[0]}, whose fingerprint is {made_from[1]}, not {fingerprint(data)}")
    several = (len(data.classes),) if data.multi_label else ()
    if synthesis.labels.shape[1:] != several:
        of_each = tuple(synthesis.labels.shape[1:]) or "one"
        raise TsyndError(f"{others}: labels of each image {of_each}, not {several or 'one'}")
    for what, column_B, most in (
        ("label", synthesis.labels, 2 if data.multi_label else len(data.classes)),
        ("source", synthesis.sources, len(data.train)),
    ):
        if not (column_B.min() >= 0 and column_B.max() < most):
            span = f"{int(column_B.min())} to {int(column_B.max())}"
            raise TsyndError(f"{others}: {what}s {span}, not 0 to {most - 1}")
    if review is not None:
        decisions = read_review(review, synthesis, len(data.classes))
        blind = blind_agreement(review, synthesis)
        made = {**counts(synthesis, decisions), **({"blind": blind} if blind else {})}
        synthesis = reviewed(synthesis, decisions)
    return synthesis, made
