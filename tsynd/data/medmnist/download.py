"""MedMNIST v2 sets: files found on disk or downloaded once, their checksums verified. Facts are in `registry`."""

import os
from pathlib import Path
from typing import Annotated

from tsynd.data.dataset import Dataset
from tsynd.data.medmnist.memory_map import is_unpacked, unpacked_folder
from tsynd.data.medmnist.npz import read_splits
from tsynd.data.medmnist.registry import ADDRESSES, MEDMNIST_V2, REGISTRY, Facts
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.utils import downloads
from tsynd.utils.downloads import checksum
from tsynd.utils.progress import Progress
from tsynd.utils.rules import choice, validated


def load_medmnist(
    name: str,
    size: int = 28,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """Load one of the sets in `REGISTRY` at one of its published sizes; arguments as in `tsynd.load`."""
    facts = find_facts(name, size)
    md5 = facts.md5[size]
    path = unpacked_folder(md5) if is_unpacked(md5) else fetch(facts, size, root, download, progress)
    train, val, test = read_splits(path, md5=md5, progress=progress).values()
    if (counts := (len(train), len(val), len(test))) != facts.counts:
        raise TsyndError(f"{path} has {counts} images in train, val and test, the published set {facts.counts}")
    citation, notes = f"{facts.citation}; {MEDMNIST_V2}", (facts.note,) if facts.note else ()
    return Dataset(name, train, val, test, facts.classes, facts.task, facts.licence, citation, str(path), notes)


@validated
def find_facts(name: Annotated[str, choice("MedMNIST set", REGISTRY)], size: int = 28) -> Facts:
    """The row of a set; TsyndError when there is no such set, or it is not published at this size."""
    facts = REGISTRY[name]
    if size not in facts.md5:
        raise TsyndError(f"{name} is published at {', '.join(map(str, facts.md5))} px: size must be one of these, got {size}")
    return facts


def where(facts: Facts, size: int, root: str | os.PathLike[str] | None = None) -> tuple[Path, bool]:
    """Where the set's file is, and True; or where a download would put it, and False. Nothing is read."""
    folders, file = _folders(root), facts.file(size)
    for folder in folders:
        if (folder / file).is_file():
            return folder / file, True
    return folders[-1] / file, False


def fetch(
    facts: Facts,
    size: int = 28,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Find the set's file, or download it, and verify its MD5.

    Looked through are `root` if it is given, else the folders in the environment variable TSYND_DATA, then `~/.medmnist`.
    Downloads go to `root` or `~/.medmnist`, from the address in TSYND_MIRROR, if it is set, and from both addresses of the
    published record; the file appears whole or not at all. Arguments as in `tsynd.load`.

    Raises:
        TsyndError: a file was found, but its MD5 is not the published one.
        DataUnavailable: there is no file and none could be downloaded; it says what to do by hand.
    """
    file, md5 = facts.file(size), facts.md5[size]
    path, there = where(facts, size, root)
    published = ADDRESSES[0].format(file=file)
    if there:
        found = checksum(path)
        if found != md5:
            raise TsyndError(
                f"{path} is damaged or another file: its MD5 is {found}, the published one {md5}; "
                f"delete it to have it downloaded again, or put {published} in its place"
            )
        return path
    manual = f"put {published} into {path.parent}, or use --data phantom, which works offline"
    if not download:
        folders = " or ".join(map(str, _folders(root)))
        raise DataUnavailable(f"{file} is not in {folders}, and download is off: {manual}")
    mirror = os.environ.get("TSYND_MIRROR", "").rstrip("/")
    addresses = [*([f"{mirror}/{file}"] if mirror else []), *(address.format(file=file) for address in ADDRESSES)]
    try:
        downloads.download(addresses, path, md5, progress)
    except DataUnavailable as error:
        raise DataUnavailable(f"{error}: {manual}") from error
    return path


def _folders(root: str | os.PathLike[str] | None) -> list[Path]:
    if root is not None:
        return [Path(root).expanduser()]
    named = [Path(folder).expanduser() for folder in os.environ.get("TSYND_DATA", "").split(os.pathsep) if folder]
    return [*named, Path.home() / ".medmnist"]
