"""Change the repository that the book, its launch buttons and its set-up cells name: fork the project, and run

    python tools/set_repository.py OWNER/NAME [--branch BRANCH] [--release TAG]

The repository's address and branch, the release that Colab installs and the address of the published book (that of GitHub Pages)
stand in `_config.yml`; all else in the project is written from there.
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
    parser.add_argument("--release", default="", help="the tag that Colab installs; without one, the branch")
    arguments = parser.parse_args()
    try:
        changed = set_repository(ROOT, arguments.repository, arguments.branch, arguments.release)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(f"written: {path.relative_to(ROOT)}" for path in changed) or "nothing to change")
    return 0


def set_repository(root: Path, name: str, branch: str | None = None, release: str = "") -> list[Path]:
    """Name another repository in `_config.yml` and in the notebooks, the students' too.

    Returns:
        The files that were changed.

    Raises:
        ValueError: for what is no OWNER/NAME, or no name of a branch or tag.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"OWNER/NAME is asked for, such as tsynd/tsynd, got {name!r}")
    if branch is not None and not BRANCH.fullmatch(branch):
        raise ValueError(f"a branch such as main is asked for, got {branch!r}")
    if release and not BRANCH.fullmatch(release):
        raise ValueError(f"a tag such as v0.2.0 is asked for, got {release!r}")
    config = root / "_config.yml"
    found = yaml.safe_load(config.read_text(encoding="utf-8"))
    old, book, tag = found["repository"], found["html"]["baseurl"], found["sphinx"]["config"]["html_context"]["tsynd_release"]
    before, branch = old["url"].removeprefix("https://github.com/"), branch or old["branch"]
    owner, _, project = name.partition("/")
    pages = f"https://{owner.lower()}.github.io/{project}/"
    changes = [(f"{before}@{tag or old['branch']}", f"{name}@{release or branch}"), (book, pages)]
    changes += [(f"{before}/blob/{old['branch']}", f"{name}/blob/{branch}")]
    texts = {path: _replaced(path, changes) for path in sorted(root.glob("notebooks/**/*.ipynb"))}
    lines = [
        (f"  url: https://github.com/{before}\n", f"  url: https://github.com/{name}\n"),
        (f"baseurl: {book}", f"baseurl: {pages}"),
    ]
    lines += [
        (f"  branch: {old['branch']}\n", f"  branch: {branch}\n"),
        (f'tsynd_release: "{tag}"', f'tsynd_release: "{release}"'),
    ]
    texts[config] = _replaced(config, lines)
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
