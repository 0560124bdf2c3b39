"""What is published about the two-dimensional sets of MedMNIST: facts only, a section a set in `registry.toml`."""

import tomllib
from dataclasses import dataclass
from importlib import resources

SIZES = (28, 64, 128, 224)
# Two addresses of one record: the page's, and that of the record's interface for programs.
ADDRESSES = ("https://zenodo.org/records/10519652/files/{file}", "https://zenodo.org/api/records/10519652/files/{file}/content")
MEDMNIST_V2 = "MedMNIST v2: Yang and others, Scientific Data 10, 41 (2023), doi:10.1038/s41597-022-01721-8"


@dataclass(frozen=True)
class Facts:
    """What is published about one set.

    name: as `tsynd.load` takes it. title: as papers write it. shows: what is seen, and by what. task, classes, channels: as in
    `Dataset`. counts: images in train, val and test. licence and citation: of the images' source. md5: of the file, by
    image size in pixels. note: what can spoil a result; empty if nothing is known. megabytes: of the file of 28 px, where we
    have seen it.
    """

    name: str
    title: str
    shows: str
    task: str
    classes: tuple[str, ...]
    channels: int
    counts: tuple[int, int, int]
    licence: str
    citation: str
    md5: dict[int, str]
    note: str = ""
    megabytes: float | None = None

    def file(self, size: int) -> str:
        """The published file's name: `breastmnist.npz` at 28 px, `breastmnist_64.npz` at 64."""
        return f"{self.name}.npz" if size == 28 else f"{self.name}_{size}.npz"

    def bytes(self, size: int) -> int:
        """How large the images are in memory; the file, which is compressed, is smaller."""
        return sum(self.counts) * self.channels * size**2


_ROWS = tomllib.loads((resources.files("tsynd.data.medmnist") / "registry.toml").read_text(encoding="utf-8"))
for _row in _ROWS.values():
    _row |= {"classes": tuple(_row["classes"].split("; ")), "counts": tuple(_row["counts"])}
    _row["md5"] = dict(zip(SIZES, _row["md5"], strict=True))
REGISTRY = {name: Facts(name, **row) for name, row in _ROWS.items()}
