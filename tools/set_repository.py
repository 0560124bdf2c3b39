"""Change the repository that the book, its launch buttons and its set-up cells name: fork the project, and run

    python tools/set_repository.py OWNER/NAME [--branch BRANCH]

Owner, name and branch stand in `_config.yml`; all else in the project is written from there.
"""

import argparse
import re
import sys
from pathlib import Path

import yaml

from tsynd.utils.atomic_files import write_text

ROOT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def main() -> int:
    """Write every file that names the repository anew; say which."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("repository", metavar="OWNER/NAME")
    parser.add_argument("--branch", default=None, help="that readers see; as it is by default")
    arguments = parser.parse_args()
    try:
        changed = set_repository(ROOT, arguments.repository, arguments.branch)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(f"written: {path.relative_to(ROOT)}" for path in changed) or "nothing to change")
    return 0


def set_repository(root: Path, name: str, branch: str | None = None) -> list[Path]:
    """Name another repository in `_config.yml` and in the notebooks, the students' too.

    Returns:
        The files that were changed.

    Raises:
        ValueError: for what is no OWNER/NAME, or no branch.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"OWNER/NAME is asked for, such as tsynd/tsynd, got {name!r}")
    if branch is not None and not BRANCH.fullmatch(branch):
        raise ValueError(f"a branch such as main is asked for, got {branch!r}")
    config = root / "_config.yml"
    old = yaml.safe_load(config.read_text(encoding="utf-8"))["repository"]
    before, after = (old["url"].removeprefix("https://github.com/"), old["branch"]), (name, branch or old["branch"])
    changes = [(f"{before[0]}{join}{before[1]}", f"{after[0]}{join}{after[1]}") for join in ("@", "/blob/")]
    texts = {path: _replaced(path, changes) for path in sorted(root.glob("notebooks/**/*.ipynb"))}
    lines = [(f"  url: https://github.com/{before[0]}\n", f"  url: https://github.com/{after[0]}\n")]
    texts[config] = _replaced(config, [*lines, (f"  branch: {before[1]}\n", f"  branch: {after[1]}\n")])
    changed = [path for path, text in texts.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:  # the configuration last: an interrupted call can be made again
        write_text(path, texts[path])
    return changed


def _replaced(path: Path, changes: list[tuple[str, str]]) -> str:
    text = path.read_text(encoding="utf-8")
    for before, after in changes:
        text = text.replace(before, after)
    return text


if __name__ == "__main__":
    sys.exit(main())
