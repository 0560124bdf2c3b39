"""What the page of the architecture says holds: the order of the modules, the folders, the size of files."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "architecture.md"
LONGEST = 300  # lines of a module


def rows(heading: str) -> list[str]:
    """The code spans in the first column of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = (line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@cache
def units() -> list[str]:
    return rows("From bottom to top")


def unit_of(module: str) -> str:
    """The longest unit that a module such as tsynd.robustness.augmentation belongs to."""
    parts = module.split(".")[1:]
    found = ["/".join(parts[:count]) for count in range(len(parts), 0, -1) if "/".join(parts[:count]) in units()]
    return found[0] if found else ""


def imports(path: Path) -> Iterator[str]:
    """Modules of tsynd that are imported when this one is: those inside functions are not."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "tsynd":
            yield from ([f"tsynd.{alias.name}" for alias in node.names] if node.module == "tsynd" else [node.module])
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tsynd."))


def modules() -> list[Path]:
    return sorted(path for path in (ROOT / "tsynd").rglob("*.py") if path != ROOT / "tsynd" / "__init__.py")


def test_every_module_has_its_row() -> None:
    assert len(set(units())) == len(units()) > 20
    for unit in units():
        assert (ROOT / "tsynd" / unit).is_dir() or (ROOT / "tsynd" / f"{unit}.py").is_file(), unit
    for path in modules():
        assert unit_of(".".join(path.relative_to(ROOT).with_suffix("").parts)), f"{path} has no row in {PAGE.name}"


def test_a_module_imports_what_stands_above_it_and_nothing_below() -> None:
    order = {unit: number for number, unit in enumerate(units())}
    wrong = []
    for path in modules():
        own = unit_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for module in imports(path):
            other = unit_of(module)
            if other and order[other] > order[own]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


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
