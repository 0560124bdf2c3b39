"""Pack a release: the built book with its slides, the notebooks, and the instructor's pack, each as a zip, and their checksums.

    make book
    python tools/release_archive.py v1.2.3 --out dist

The same files give the same archives, byte for byte.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tsynd.utils.atomic_files import atomic_write, write_text

ROOT = Path(__file__).resolve().parent.parent
BUILT = Path("_build") / "html"
# What a zip may say of when a file was made: nothing.
EPOCH = (1980, 1, 1, 0, 0, 0)


def main() -> int:
    """Write the archives; say which, or what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("version", help="such as v1.2.3")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    arguments = parser.parse_args()
    try:
        for path in archive(ROOT, arguments.version, arguments.out):
            print(path)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def archive(root: Path, version: str, out: Path) -> list[Path]:
    """Write `tsynd-book-VERSION.zip`, `tsynd-notebooks-VERSION.zip`, `tsynd-instructor-VERSION.zip` and `SHA256SUMS`.

    Raises:
        ValueError: for what is no version, or when the book is not built.
    """
    if not re.fullmatch(r"v\d+\.\d+\.\d+[\w.-]*", version):
        raise ValueError(f"a version such as v1.2.3 is asked for, got {version!r}")
    if not (root / BUILT / "index.html").is_file():
        raise ValueError(f"{BUILT}/index.html is not there: run `make book` first")
    if not (root / BUILT / "slides").is_dir():
        raise ValueError(f"{BUILT}/slides is not there: run `make slides` first")
    command = ["git", "ls-files", "notebooks", "instructor"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    notebooks = [root / name for name in listed if name.endswith(".ipynb")]
    instructor = [root / name for name in listed if name.startswith("instructor/")]
    pages = [path for path in (root / BUILT).rglob("*") if path.is_file() and path.name != ".buildinfo"]
    out.mkdir(parents=True, exist_ok=True)
    written = [
        _zip(out / f"tsynd-book-{version}.zip", root / BUILT, pages),
        _zip(out / f"tsynd-notebooks-{version}.zip", root, notebooks),
        _zip(out / f"tsynd-instructor-{version}.zip", root, instructor),
    ]
    sums = out / "SHA256SUMS"
    write_text(sums, "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in written))
    return [*written, sums]


def _zip(path: Path, root: Path, files: list[Path]) -> Path:
    with atomic_write(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(files):
            entry = zipfile.ZipInfo(file.relative_to(root).as_posix(), EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(entry, file.read_bytes())
    return path


if __name__ == "__main__":
    sys.exit(main())
