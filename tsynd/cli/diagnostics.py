"""What is wrong with this machine, for tsynd? Every part looked at, and one line of advice for each problem."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from joblib import cpu_count

from tsynd.data.medmnist.download import fetch, where
from tsynd.data.medmnist.registry import REGISTRY
from tsynd.errors import TsyndError
from tsynd.runs.config import find_device
from tsynd.utils.cache import cache_folder
from tsynd.utils.downloads import megabytes
from tsynd.utils.environment import device_name, versions

__all__ = ["examine"]

EXTRAS = {
    "attacks": ("foolbox", "pyautoattack"),
    "dask": ("dask", "distributed"),
    "dicom": ("pydicom", "gdcm", "nibabel"),
    "explain": ("captum",),
    "peers": ("baal",),
}
NOTEBOOKS = ("ipykernel", "ipywidgets", "nbclient", "jupyter-book")
GIGABYTE = 10**9
LEAST_MEMORY = 1 * GIGABYTE  # for a run on 28 px images with room to spare
LEAST_DISK = 1 * GIGABYTE  # for a study's results and the decoded images of a folder


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, and, where it is a problem, what to do about it (else empty)."""

    name: str
    value: str
    advice: str = ""


def examine() -> list[Finding]:
    """Look at Python, torch, device, memory, threads, disk, data sets, extras and notebook tools, in that order.

    Nothing is downloaded or changed. Data files that are found are read whole, to verify their checksums.
    """
    software = [Finding(name, text) for name, text in versions().items()]
    return [*software, Finding("system", f"{platform.system()} {platform.machine()}"), *_machine(), *_data(), *_packages()]


def to_json(findings: list[Finding]) -> dict[str, Any]:
    """For a bug report: every finding, and how many are problems. Folders are shortened where they lie in the home folder."""
    home = str(Path.home())
    rows = [{key: text.replace(home, "~") for key, text in asdict(each).items()} for each in findings]
    return {"schema": 1, "problems": sum(bool(each.advice) for each in findings), "findings": rows}


def _machine() -> Iterator[Finding]:
    """Device, memory, threads and disk."""
    device = find_device("auto")
    yield Finding("device", device_name(device))
    free = free_memory(device)
    few = "close other programs, or use a smaller --size, fewer images or --jobs 1"
    told = "not told by this system" if free is None else megabytes(free)
    yield Finding("free memory", told, few if free is not None and free < LEAST_MEMORY else "")
    threads, cores = torch.get_num_threads(), cpu_count()
    many = f"torch would use {threads} threads on {cores} usable core(s), which is slower than one: set OMP_NUM_THREADS=1"
    yield Finding("threads", f"{threads} of {cores} usable core(s)", many if threads > cores else "")
    for name, folder, other in (("working folder", Path.cwd(), "use"), ("cache", cache_folder(), "set TSYND_CACHE to")):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        room = shutil.disk_usage(there).free
        advice = "make room: runs, studies and decoded images need about a gigabyte" if room < LEAST_DISK else ""
        if not os.access(there, os.W_OK):
            advice = f"{there} cannot be written: {other} another folder"
        yield Finding(name, f"{folder}: {megabytes(room)} free", advice)


def _data() -> Iterator[Finding]:
    """Which sets of MedMNIST are here at any size, verified; none is a problem, since each is downloaded on first use."""
    for facts in REGISTRY.values():
        for size in facts.md5:
            if where(facts, size)[1]:
                name = f"{facts.name}, {size} px"
                try:
                    yield Finding(name, f"verified: {fetch(facts, size, download=False)}")
                except (TsyndError, OSError) as error:
                    yield Finding(name, "found, and not what was published", str(error))
    if missing := [facts.name for facts in REGISTRY.values() if not any(where(facts, size)[1] for size in facts.md5)]:
        yield Finding("not here yet", f"{', '.join(missing)} (downloaded on first use)")


def _packages() -> Iterator[Finding]:
    """Extras that are installed whole, in part or not at all, and the tools of the notebooks."""
    for extra, names in EXTRAS.items():
        found = {name: installed(name) for name in names}
        value = ", ".join(f"{name} {pin or 'missing'}" for name, pin in found.items())
        partly = any(found.values()) and not all(found.values())
        yield Finding(f"extra [{extra}]", value, f"pip install 'tsynd[{extra}]' completes it" if partly else "")
    for name in NOTEBOOKS:
        pin, advice = installed(name), ""
        major = int((pin or "0").partition(".")[0])
        if name == "ipywidgets" and 0 < major < 8:
            advice = "sliders show in another form than in the book: pip install -U ipywidgets (not in Colab, which has its own)"
        if name == "jupyter-book" and major > 1:
            advice = "version 2 is another program and does not build this book: pip install 'jupyter-book<2'"
        yield Finding(name, pin or "missing", advice)


def installed(name: str) -> str | None:
    """The version of a package, None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def free_memory(device: torch.device, information: Path = Path("/proc/meminfo")) -> int | None:
    """Free bytes on the device; of a processor those that the system can give, None where it does not say."""
    if device.type != "cpu":
        module = torch.get_device_module(device)
        return int(module.mem_get_info(device)[0]) if hasattr(module, "mem_get_info") else None
    try:
        lines = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
