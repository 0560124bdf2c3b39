"""Targeted sets: new images from a finished run, written in MedMNIST layout with a card that says what they are."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tsynd import store
from tsynd.arguments import check_count, check_kind, check_path, check_seed
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset, load
from tsynd.data.labels import names_of, numbers_of
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.files import check_new, whole, write_json
from tsynd.posterior import HeadDropout
from tsynd.randomness import generator_for, seed_for
from tsynd.runs import Run, fingerprint
from tsynd.targeting import Synthesis, concatenate, on_cpu
from tsynd.training import ARMS, Bank, parse_arm

__all__ = ["read_set", "synthesize", "write_set"]

# What `_png_name` gives.
_PNG = re.compile(r"\d{5,}_class-(\d+|none)(-[a-z0-9-]+)?_source-\d{5,}\.png")


def synthesize(run: Run, count: int, *, seed: int | None = None, progress: Callable[[int], None] | None = None) -> Synthesis:
    """Make targeted images from a finished run, as its arm made them in training, but with its final classifier.

    Sources are the run's training images, drawn as its recipe says and lightly augmented; objective, guard and pixel step are the
    arm's. Images are made in the recipe's batches, which bounds the memory; with one seed, a larger set begins with the
    smaller one.

    Args:
        run: a finished run whose arm has an autoencoder.
        count: how many images, at least 1.
        seed: of all that is drawn; the run's own by default.
        progress: called with the number of images made so far.

    Returns:
        A `Synthesis` of `count` images on the CPU; `source_B` counts in `run.data.train`.

    Raises:
        TsyndError: when the count is below 1, the seed negative or no whole number, or the run's arm searches for no images.
    """
    check_kind(Run, run=run)
    arm, recipe, autoencoder = parse_arm(run.config["arm"]), run.recipe, run.autoencoder
    seed = run.config["seed"] if seed is None else seed
    check_count(1, count=count)
    check_seed(seed)
    check_count(0, seed=seed)
    if not arm.objective or autoencoder is None:
        searching = ", ".join(name for name, each in ARMS.items() if each.objective)
        raise TsyndError(f"arm {run.config['arm']!r} has no autoencoder to synthesize with: arms with one are {searching}")
    images_BCHW, labels_B = run.training_images()
    searched = _untrained(run) if arm.sham else run.classifier
    posterior = HeadDropout.of(searched, recipe.samples, generator_for(seed, "synthesize, posterior"))
    bank = Bank(arm, replace(recipe, capacity=recipe.refresh_count), seed_for(seed, "synthesize"))  # forgets at once
    parts: list[Synthesis] = []
    while (done := sum(map(len, parts))) < count:
        if progress:
            progress(done)
        parts.append(on_cpu(bank.refresh(images_BCHW, labels_B, autoencoder, posterior, run.classifier), run.chosen))
    return concatenate(parts)[torch.arange(count)]


def identity(synthesis: Synthesis) -> str:
    """What tells this set of images from every other: a hash of its 8-bit images, labels and sources.

    It is the same before the set is written and after it is read.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update((synthesis.images_BCHW * 255).round().to(torch.uint8).cpu().contiguous().numpy().tobytes())
    for column in (synthesis.labels_B, synthesis.source_B):
        digest.update(column.long().cpu().numpy().tobytes())
    return f"tsynd-{digest.hexdigest()}"  # a word: a spreadsheet would turn digits into a number


def write_set(
    path: str | Path, synthesis: Synthesis, card: dict[str, Any], *, png: str | Path | None = None, force: bool = False
) -> None:
    """Write a targeted set, its card beside it (`FILE.json`), and one PNG an image where a folder is given.

    What an earlier set left under these names is removed first, so that an interruption leaves no set beside the card or the
    pictures of another; other files in the folder of pictures stay.

    Raises:
        TsyndError: as `check_targets`; for a card that does not say what the images were made from.
    """
    check_path(path=path)
    if png is not None:
        check_path(png=png)
    check_kind(Synthesis, synthesis=synthesis)
    check_kind(dict, card=card)
    if not {"classes", "data"} <= card.keys():
        raise TsyndError(f"card must have classes and data, as `tsynd.card.describe` makes it, got {', '.join(map(repr, card))}")
    path, png = Path(path), None if png is None else Path(png)
    check_targets(path, png, force=force)
    path.unlink(missing_ok=True)
    if png is not None:
        for old in png.glob("*.png"):
            if _PNG.fullmatch(old.name):
                old.unlink()
        for position in range(len(synthesis)):
            _write_png(png / _png_name(synthesis, position, list(card["classes"])), synthesis.images_BCHW[position])
    write_json(card_path(path), card)
    store.save_synthesis(path, synthesis, (card["data"]["name"], card["data"]["fingerprint"]))


def check_targets(path: Path, png: Path | None = None, *, force: bool = False) -> None:
    """Refuse a name that is no `.npz`, and files or folders that would be written over, unless `force`.

    Raises:
        TsyndError: before anything is computed.
    """
    check_new(path, ".npz", force)
    check_new(card_path(path), ".json", force)
    if png is not None and png.exists():
        if not png.is_dir():
            raise TsyndError(f"--png {png} is a file: name a folder")
        if any(png.iterdir()) and not force:
            raise TsyndError(f"--png {png} is not empty: name a new folder, or use --force to write into it")


def read_set(path: str | Path) -> Synthesis:
    """Read a targeted set, or a run's `synthetic.npz`.

    Raises:
        TsyndError: when the file is damaged or holds no synthetic images.
        DataUnavailable: when it is not there.
    """
    check_path(path=path)
    synthesis = store.load_synthesis(Path(path))
    if synthesis is None:
        raise DataUnavailable(f"no such file: {path}")
    return synthesis


def source_data(path: Path, name: str | None = None) -> Dataset | None:
    """The data that a set was made from: named here, in its card, or in the configuration of the run that it belongs to.

    Returns:
        None when nothing names them, or they are not to be found here.

    Raises:
        TsyndError: when they are other data than those the set was made from, or too few for its sources.
    """
    settings = _made_by(path)
    wanted = name or settings.get("data")
    if wanted is None:
        return None
    if not isinstance(wanted, str):
        raise TsyndError(f"the data that {path} was made from must be named by a text, got {wanted!r}")
    try:
        skip = settings.get("skip_unreadable", False)
        data = load(wanted, size=settings.get("size"), download=name is not None, skip_unreadable=skip)
    except DataUnavailable:
        if name is None:
            return None
        raise
    if settings and fingerprint(data) != settings.get("data_fingerprint"):
        raise TsyndError(f"{wanted} is not what {path} was made from: its fingerprint is {fingerprint(data)}")
    return data


def origin(path: Path) -> tuple[str, str] | None:
    """Name and fingerprint of the data that a set was made from, as the set, its card or its run's configuration says.

    Returns:
        None where nothing says it, as for a foreign set.

    Raises:
        TsyndError: when one of these files is damaged.
    """
    if (noted := store.load_origin(path)) is not None:
        return noted
    run = _made_by(path)
    return (str(run.get("data", "unnamed data")), str(run["data_fingerprint"])) if "data_fingerprint" in run else None


def shown(synthesis: Synthesis, data: Dataset | None) -> tuple[tuple[str, ...], Tensor | None]:
    """Names of the classes, and the sources (B, C, H, W) in [0, 1]; without the data, numbers as names and None."""
    if not len(synthesis):
        raise TsyndError("a set must have images to be shown, got none")
    several = synthesis.labels_B.ndim == 2
    count = synthesis.labels_B.shape[1] if several else int(synthesis.labels_B.max()) + 1
    if data is None:
        return tuple(map(str, range(max(2, count)))), None
    if several != data.multi_label or count > len(data.classes) or int(synthesis.source_B.max()) >= len(data.train):
        raise TsyndError(f"{data.name} does not have the classes and sources of these images: name the data they were made from")
    return data.classes, data.train.images[synthesis.source_B].float() / 255


def _made_by(path: Path) -> dict[str, Any]:
    """The configuration of the run that made a set: from its card, or from the run's folder; empty where neither says it.

    Raises:
        TsyndError: when one of these files is damaged.
    """
    card, config = card_path(path), path.parent / store.CONFIG
    if not card.exists():
        return store.read_json(config) if config.exists() else {}
    run = store.read_json(card).get("run", {})
    if not isinstance(run, dict):
        raise TsyndError(f"{card} is not the card of a set: run must be `key: value` pairs, got {type(run).__name__}")
    return run


def card_path(path: Path) -> Path:
    """Where the card of a set is: `set.npz` has `set.json`."""
    return path.with_suffix(".json")


def _untrained(run: Run) -> Classifier:
    """The untrained copy of the classifier that the arm `sham` searches with."""
    data, seed = run.data, seed_for(run.config["seed"], "initialise classifier")
    copied = build_classifier(data.channels, data.size, len(data.classes), seed, multi_label=data.multi_label).to(run.device)
    copied.mean.copy_(run.classifier.mean)
    copied.std.copy_(run.classifier.std)
    return copied


def _png_name(synthesis: Synthesis, position: int, classes: list[str]) -> str:
    """Number, class and source in a file's name; what a file system may refuse becomes a dash."""
    label, source = synthesis.labels_B[position], int(synthesis.source_B[position])
    number = numbers_of(label).replace(" ", "-")
    word = re.sub(r"[^a-z0-9]+", "-", names_of(label, tuple(classes)).lower()).strip("-")[:40]
    return f"{position:05d}_class-{number}{f'-{word}' if word and word != number else ''}_source-{source:05d}.png"


def _write_png(path: Path, image_CHW: Tensor) -> None:
    pixels = (image_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).squeeze(-1).numpy()
    with whole(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")
