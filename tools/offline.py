"""Fill a folder, for a USB stick, with all that a room without a network needs; and prove that it works without one.

    make offline                                  # dist/offline, for this system
    python tools/offline.py --platform win_amd64  # wheels for Windows beside them
    python tools/offline.py --check dist/offline  # installs from it in a new environment and runs the workshop, without a network

The folder has wheels of tsynd and of what it needs, the built book with its slides, the notebooks, BreastMNIST (CC BY 4.0), and a
page that says what to do. Phantoms and trained networks come with the package.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tsynd.data.medmnist.download import fetch
from tsynd.data.medmnist.registry import REGISTRY
from tsynd.errors import DataUnavailable
from tsynd.utils.atomic_files import write_text

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "_build" / "html"
LICENCE = "CC BY 4.0"
# What a student starts notebooks with.
TOOLS = ("jupyterlab", "nbclient", "ipykernel")
FOLDERS = ("student", "day")
# What decides there which packages are needed; pip itself asks the machine on which it runs.
SYSTEMS = {
    "win": {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64"},
    "macosx": {"os_name": "posix", "sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
README = """# TSynD without a network

1. Install Python {python}, and no other: the wheels are made for it ({platforms}). Copy this whole folder to your disk: a stick
   is slow.
2. On Windows double-click `install.bat`. On macOS and Linux open a terminal in this folder and run `sh install.sh`. It makes the
   folder `env` without a network, and tells tsynd where the data are.
3. Start JupyterLab: on Windows `env\\Scripts\\jupyter lab notebooks` in a *new* terminal, on macOS and Linux
   `. env/bin/activate && jupyter lab notebooks`.
4. The book with its slides: open `book/index.html`.

Data: {data}. Phantoms are drawn by the package.
"""
SCRIPT = {
    "install.sh": 'set -e\ncd "$(dirname "$0")"\npython{python} -m venv env\n'
    "env/bin/python -m pip install --no-index --find-links wheels {names}\n"
    'echo "export TSYND_DATA=\\"$PWD/data\\"" >> env/bin/activate\n'
    'TSYND_DATA="$PWD/data" env/bin/tsynd doctor || true\n',
    "install.bat": '@echo off\r\ncd /d "%~dp0"\r\npy -{python} -m venv env || exit /b 1\r\n'
    "env\\Scripts\\python -m pip install --no-index --find-links wheels {names} || exit /b 1\r\n"
    'setx TSYND_DATA "%cd%\\data" >nul\r\n',
}
# Every connection that leaves this machine fails, whatever opens it; a kernel's own sockets are local.
GUARD = """import socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(("127.", "::1", "localhost")):
        raise OSError(f"no network in this check: {address}")
    return _connect(self, address)
socket.socket.connect = connect
"""
RUN = """import sys, nbformat
from nbclient import NotebookClient
for path in sys.argv[1:]:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    print(path.rsplit("/", 1)[-1], "ran from its first cell to its last")
"""


def fill(out: Path, platforms: list[str], data: list[str]) -> None:
    """Write the folder.

    Raises:
        ValueError: when the book is not built, or a set may not be passed on.
        DataUnavailable: when a set can be neither found nor downloaded.
        subprocess.CalledProcessError: when pip cannot get a wheel.
    """
    if not (BUILT / "index.html").is_file():
        raise ValueError("the book is not built: run `make book` first")
    for name in data:
        if REGISTRY[name].licence != LICENCE:
            raise ValueError(f"{name} is under {REGISTRY[name].licence}: it may not be passed on here, {LICENCE} may")
    out.mkdir(parents=True, exist_ok=True)
    wheels(out / "wheels", platforms)
    copy(BUILT, out / "book")
    for source in [ROOT / "notebooks", *(ROOT / "notebooks" / each for each in FOLDERS)]:
        for notebook in sorted(source.glob("*.ipynb")):
            target = out / "notebooks" / notebook.relative_to(ROOT / "notebooks")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(notebook, target)
    (out / "data").mkdir(exist_ok=True)
    cited = []
    for name in data:
        path = fetch(REGISTRY[name])
        shutil.copyfile(path, out / "data" / path.name)
        cited.append(f"{REGISTRY[name].title} ({REGISTRY[name].citation}; {LICENCE})")
    names = " ".join(("tsynd", *TOOLS))
    for script, text in SCRIPT.items():
        (out / script).write_bytes(text.format(names=names, python=PYTHON).encode())
    systems = ", ".join(["this system", *platforms])
    write_text(out / "README.md", README.format(python=PYTHON, platforms=systems, data="; ".join(cited) or "none"))
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    print(f"{out}: {total:.0f} MB. Prove it: {Path(sys.executable).name} tools/offline.py --check {out}")


def wheels(folder: Path, platforms: list[str]) -> None:
    """Get the wheels of tsynd, its dependencies at the tested versions, and JupyterLab; for each platform that is asked for."""
    pip = [sys.executable, "-m", "pip"]
    pinned = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    own = next(folder.glob("tsynd-*.whl"))
    wanted = ["download", "--quiet", "--dest", str(folder), *pinned, str(own), *TOOLS]
    subprocess.run([*pip, *wanted], check=True)
    for platform in platforms:
        there = ["--platform", platform, "--only-binary", ":all:"]
        subprocess.run([*pip, *wanted, *there], check=True)
        while more := missing(folder, platform):
            subprocess.run([*pip, "download", "--quiet", "--dest", str(folder), *pinned, *more, *there], check=True)


def missing(folder: Path, platform: str) -> list[str]:
    """Return what the wheels in a folder need on a platform (`win_amd64`) and the folder lacks, such as colorama on Windows."""
    system = next((facts for name, facts in SYSTEMS.items() if platform.startswith(name)), {})
    paths = list(folder.glob("*.whl"))
    have, found = {canonicalize_name(path.name.partition("-")[0]) for path in paths}, {}
    for path in paths:
        with zipfile.ZipFile(path) as wheel:
            name = next(each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
            lines = Parser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist") or []
        for needed in map(Requirement, lines):
            asked = needed.marker is None or needed.marker.evaluate({**system, "extra": ""})
            if asked and canonicalize_name(needed.name) not in have:
                found[needed.name] = f"{needed.name}{needed.specifier}"
    return sorted(found.values())


def copy(source: Path, target: Path) -> None:
    """Copy a folder anew."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def check(folder: Path, notebooks: list[str]) -> None:
    """Install from the folder into a new environment, and run notebooks there: no package index, no network, an empty home.

    Raises:
        subprocess.CalledProcessError: when something of it fails.
    """
    with tempfile.TemporaryDirectory(prefix="tsynd-offline-") as place:
        home, env = Path(place) / "home", Path(place) / "env"
        home.mkdir()
        (Path(place) / "guard").mkdir()
        (Path(place) / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
        venv.create(env, with_pip=True)
        python = env / ("Scripts" if os.name == "nt" else "bin") / "python"
        nothing = {
            "HOME": str(home),
            "USERPROFILE": str(home),
            "PYTHONPATH": str(Path(place) / "guard"),
            "TSYND_DATA": str((folder / "data").resolve()),
        }
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "SYSTEMROOT", "TEMP", "TMPDIR", "LANG")}
        environment = kept | nothing | {"OMP_NUM_THREADS": "1", "PIP_CONFIG_FILE": os.devnull}
        install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--find-links",
            str((folder / "wheels").resolve()),
            "tsynd",
            *TOOLS,
        ]
        subprocess.run([python, *install], check=True, env=environment, cwd=place)
        paths = [str((folder / "notebooks" / name).resolve()) for name in notebooks]
        subprocess.run([python, "-c", RUN, *paths], check=True, env=environment, cwd=place)
    print(f"{folder}: installed and ran without a network")


def main(arguments: list[str] | None = None) -> int:
    """Fill or check the folder; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "offline")
    parser.add_argument("--platform", action="append", default=[], help="another system's wheels too, such as win_amd64")
    parser.add_argument("--data", action="append", help="a MedMNIST set that may be passed on (default: breastmnist)")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="prove that a folder works")
    parser.add_argument("--notebook", action="append", help="what the check runs (default: workshop.ipynb)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.data or [] if name not in REGISTRY]
    if unknown:
        print(f"error: no set {unknown[0]!r} (there: {', '.join(REGISTRY)})", file=sys.stderr)
        return 2
    try:
        if options.check:
            check(options.check, options.notebook or ["workshop.ipynb"])
        else:
            fill(options.out, options.platform, options.data or ["breastmnist"])
    except (ValueError, DataUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"error: {' '.join(map(str, error.cmd))[:200]} failed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
