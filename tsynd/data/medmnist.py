"""MedMNIST v2 sets: one table of facts, files found on disk or downloaded once, and their checksums verified.

Yang, Shi, Wei, Liu, Zhao, Ke, Pfister, Ni: MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical
image classification. Scientific Data 10, 41 (2023). The files: https://doi.org/10.5281/zenodo.10519652
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tsynd.data.dataset import Dataset
from tsynd.data.npz import read_splits
from tsynd.errors import DataUnavailable, TsyndError, unknown
from tsynd.files import whole

Progress = Callable[[str, int, int], None]

PUBLISHED = "https://zenodo.org/records/10519652/files"
# Seconds to connect, and seconds without a byte: without a network the answer comes soon.
TIMEOUT = (10, 30)
MEDMNIST_V2 = "MedMNIST v2: Yang and others, Scientific Data 10, 41 (2023)"


@dataclass(frozen=True)
class Facts:
    """What is published about one set: `md5` by image size in pixels, `counts` are images in train, val and test.

    megabytes: of the file of 28 px.
    """

    name: str
    title: str
    task: str
    classes: tuple[str, ...]
    channels: int
    counts: tuple[int, int, int]
    licence: str
    citation: str
    megabytes: float
    md5: dict[int, str]

    def file(self, size: int) -> str:
        """The published file's name: `breastmnist.npz` at 28 px, `breastmnist_64.npz` at 64."""
        return f"{self.name}.npz" if size == 28 else f"{self.name}_{size}.npz"


REGISTRY = {
    facts.name: facts
    for facts in (
        Facts(
            name="breastmnist",
            title="BreastMNIST",
            task="binary",
            classes=("malignant", "normal, benign"),
            channels=1,
            counts=(546, 78, 156),
            licence="CC BY 4.0",
            citation=f"Al-Dhabyani and others, Data in Brief 28, 104863 (2020); {MEDMNIST_V2}",
            megabytes=0.6,
            md5={
                28: "750601b1f35ba3300ea97c75c52ff8f6",
                64: "742edef2a1fd1524b2efff4bd7ba9364",
                128: "363e4b3f8d712e9b5de15470a2aaadf1",
                224: "b56378a6eefa9fed602bb16d192d4c8b",
            },
        ),
        Facts(
            name="pneumoniamnist",
            title="PneumoniaMNIST",
            task="binary",
            classes=("normal", "pneumonia"),
            channels=1,
            counts=(4708, 524, 624),
            licence="CC BY 4.0",
            citation=f"Kermany and others, Cell 172, 1122-1131 (2018); {MEDMNIST_V2}",
            megabytes=4.2,
            md5={
                28: "28209eda62fecd6e6a2d98b1501bb15f",
                64: "8f4eceb4ccffa70c672198ea285246c6",
                128: "05b46931834c231683c68f40c47b2971",
                224: "d6a3c71de1b945ea11211b03746c1fe1",
            },
        ),
        Facts(
            name="retinamnist",
            title="RetinaMNIST",
            task="ordinal",
            classes=("0", "1", "2", "3", "4"),
            channels=3,
            counts=(1080, 120, 400),
            licence="CC BY 4.0",
            citation=f"DeepDRiD: Liu and others, Patterns 3, 100512 (2022); {MEDMNIST_V2}",
            megabytes=3.3,
            md5={
                28: "bd4c0672f1bba3e3a89f0e4e876791e4",
                64: "afda852cc34dcda56f86ad2b2457dbcc",
                128: "e48e916a24454daf90583d4e6efb1a18",
                224: "eae7e3b6f3fcbda4ae613ebdcbe35348",
            },
        ),
    )
}


def load_medmnist(
    name: str,
    size: int = 28,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """Load one of the sets in `REGISTRY` at one of its published sizes; arguments as in `tsynd.load`."""
    if name not in REGISTRY:
        raise unknown("MedMNIST set", name, REGISTRY)
    facts = REGISTRY[name]
    if size not in facts.md5:
        raise TsyndError(f"{name} is published at {', '.join(map(str, facts.md5))} px: size must be one of these, got {size}")
    path = fetch(facts, size, root, download, progress)
    splits = read_splits(path)
    counts = tuple(map(len, splits.values()))
    if counts != facts.counts:
        raise TsyndError(f"{path} has {counts} images in train, val and test, the published set {facts.counts}")
    return Dataset(
        name,
        splits["train"],
        splits["val"],
        splits["test"],
        facts.classes,
        facts.task,
        facts.licence,
        facts.citation,
        str(path),
    )


def fetch(
    facts: Facts,
    size: int = 28,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Find the set's file, or download it, and verify its MD5.

    Looked through are `root` if it is given, else the folders in the environment variable TSYND_DATA, then `~/.medmnist`.
    Downloads go to `root` or `~/.medmnist`, from the address in TSYND_MIRROR, if it is set, and then from the published
    record; the file appears whole or not at all.

    Args:
        facts: the set's row in `REGISTRY`.
        size: in pixels, one of the published ones.
        root: the only folder to use.
        download: False never touches the network.
        progress: called with what is downloaded and its size, bytes that came (0 at first), and bytes in all.

    Raises:
        TsyndError: a file was found, but its MD5 is not the published one.
        DataUnavailable: there is no file and none could be downloaded.
    """
    file, md5 = facts.file(size), facts.md5[size]
    folders = _folders(root)
    for folder in folders:
        if (folder / file).is_file():
            found = _md5(folder / file)
            if found != md5:
                raise TsyndError(
                    f"{folder / file} is damaged or another file: its MD5 is {found}, the published one {md5}; "
                    f"delete it to have it downloaded again, or put {PUBLISHED}/{file} in its place"
                )
            return folder / file
    target = folders[-1] / file
    manual = f"put {PUBLISHED}/{file} into {target.parent}, or use --data phantom, which works offline"
    if not download:
        raise DataUnavailable(f"{file} is not in {' or '.join(map(str, folders))}, and download is off: {manual}")
    failures = []
    for base in (os.environ.get("TSYND_MIRROR", ""), PUBLISHED):
        if base:
            try:
                _download(f"{base.rstrip('/')}/{file}", target, md5, progress)
                return target
            except OSError as error:
                failures.append(f"{base.rstrip('/')}/{file}: {_reason(error)}")
    raise DataUnavailable(f"{file} could not be downloaded ({'; '.join(failures)}): {manual}")


def _folders(root: str | os.PathLike[str] | None) -> list[Path]:
    if root is not None:
        return [Path(root).expanduser()]
    named = [Path(folder).expanduser() for folder in os.environ.get("TSYND_DATA", "").split(os.pathsep) if folder]
    return [*named, Path.home() / ".medmnist"]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(address: str, target: Path, md5: str, progress: Progress | None) -> None:
    """Download to `target`, whole or not at all; every failure is an OSError (requests' own errors are too)."""
    import pooch  # only those who download need it

    with whole(target) as temporary:
        meter = _Meter(address, progress) if progress else False
        pooch.HTTPDownloader(progressbar=meter, chunk_size=1 << 16, timeout=TIMEOUT)(address, str(temporary), None)
        found = _md5(temporary)
        if found != md5:
            raise OSError(f"the file that came has MD5 {found}, the published one {md5}")


def _reason(error: OSError) -> str:
    """A few words for what requests or the file system say in many."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    if type(error).__module__.startswith("requests"):
        return type(error).__name__
    return error.strerror or str(error)


class _Meter:
    """What pooch's downloader reports to: calls back with the address and the size, bytes that came, bytes in all."""

    def __init__(self, address: str, progress: Progress) -> None:
        self.address, self.progress, self.done = address, progress, 0

    @property
    def total(self) -> int:
        """Bytes to come, as the server states them; 0 if it does not."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self.update(0)

    def update(self, count: int) -> None:
        """Count bytes that came, in chunks of which the last may be short."""
        self.done = min(self.done + count, self.total)
        size = f"{self.total / 1e6:.1f} MB" if self.total else "size not stated"
        self.progress(f"downloading {self.address} ({size})", self.done, self.total)

    def reset(self) -> None:
        """Start counting again: pooch does so once at the end, before it reports the total."""
        self.done = 0

    def close(self) -> None:
        """Nothing is held open."""
