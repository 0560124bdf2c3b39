"""What the page of the architecture says holds: the order of the modules, the folders, the size of files."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "architecture.md"
LONGEST = 300  # lines of a module
MOST_ENTRIES, MOST_LEVELS = 21, 13


def rows(heading: str) -> list[str]:
    """The code spans in the first column of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = (line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@cache
def imports() -> dict[str, dict[str, str]]:
    """For each entry of the package, the entries it imports, also inside functions, and one place where it does."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((ROOT / "tsynd").rglob("*.py")):
        own = path.relative_to(ROOT / "tsynd").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"tsynd.{alias.name}" for alias in node.names] if node.module == "tsynd" else [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for other in (name.split(".")[1] for name in names if name.startswith("tsynd.")):
                if other not in (own, "__version__"):
                    found.setdefault(own, {})[other] = path.relative_to(ROOT).as_posix()
    del found["__init__"]  # the public names, imported on first use
    return found


def test_every_entry_has_its_row() -> None:
    entries = {path.stem for path in (ROOT / "tsynd").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert sorted(rows("From bottom to top")) == sorted(entries - {"__init__"})
    assert len(entries) + 1 <= MOST_ENTRIES  # and py.typed


def test_a_module_imports_what_stands_above_it_and_nothing_below() -> None:
    order = {entry: number for number, entry in enumerate(rows("From bottom to top"))}
    assert not [place for own, others in imports().items() for other, place in others.items() if order[other] > order[own]]


def test_the_house_has_few_levels() -> None:
    levels: dict[str, int] = {}
    for entry in rows("From bottom to top"):
        levels[entry] = 1 + max((levels[other] for other in imports().get(entry, {})), default=0)
    assert max(levels.values()) <= MOST_LEVELS


def tracked_folders(inside: str) -> set[str]:
    """The names of the folders in a folder, as far as git knows them."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT / inside, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    return {name.partition("/")[0] for name in tracked.stdout.splitlines() if "/" in name}


def test_every_folder_is_explained() -> None:
    listed = {name.strip("/").partition("/")[0] for name in rows("What is this, and what may I touch?")}
    assert tracked_folders(".") == listed


def test_every_result_is_explained() -> None:
    """Each folder with the command that wrote it, and no folder that is gone."""
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    heads = " ".join(re.findall(r"^`[^:\n]+:", page, re.MULTILINE))
    assert set(re.findall(r"`([\w-]+)/`", heads)) == tracked_folders("results")


def test_no_module_is_long() -> None:
    folders = ("tsynd", "tools", "studies", "benchmarks")
    long = {path: len(path.read_text(encoding="utf-8").splitlines()) for name in folders for path in (ROOT / name).rglob("*.py")}
    assert not {path: lines for path, lines in long.items() if lines > LONGEST}
