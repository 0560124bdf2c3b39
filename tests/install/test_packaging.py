"""What is published: the wheel works where nothing else is, and neither archive holds data, notebooks or tests."""

import json
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import nbformat
import pytest

from tests.install.fresh import PINS, ROOT, add_kernel, execute, inside, new_environment, run

pytestmark = pytest.mark.install

SOURCE_TOPS = {"tsynd", "README.md", "LICENSE", "LICENSE-CONTENT", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "PKG-INFO"}
KINDS = {".py", ".typed", ".safetensors", ".html", ".css", ".js", ".md", ".json", ".toml"}  # of files inside the package
LARGEST = 5e6  # bytes: the trained networks are most of it


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with torch and nothing of ours."""
    return new_environment(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def built(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheel and sdist, built from a clone."""
    place = tmp_path_factory.mktemp("built")
    run("git", "clone", "--quiet", ROOT.as_uri(), place / "tsynd")
    tools = place / "tools"
    run(python, "-m", "pip", "install", "--quiet", "--target", tools, "hatchling")
    code = f"import sys; sys.path.insert(0, {str(tools)!r}); from hatchling.cli import hatchling; sys.exit(hatchling())"
    run(python, "-c", code, "build", "-d", place / "dist", cwd=place / "tsynd")
    return {path.suffix: path for path in (place / "dist").iterdir()}


def test_the_archives_hold_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = [PurePosixPath(name) for name in wheel.namelist()]
    assert {name.parts[0].partition("-")[0] for name in names} == {"tsynd"}
    inside_package = [name for name in names if name.parts[0] == "tsynd"]
    with tarfile.open(built[".gz"]) as source:
        sources = [PurePosixPath(*PurePosixPath(name).parts[1:]) for name in source.getnames()]
    assert {name.parts[0] for name in sources} <= SOURCE_TOPS | {".gitignore"}
    assert {name.suffix for name in inside_package} == KINDS
    assert {str(name) for name in inside_package} == {str(name) for name in sources if name.parts[0] == "tsynd"}
    assert not [name for name in (*names, *sources) if {"tests", "notebooks"} & set(name.parts)]
    assert max(path.stat().st_size for path in built.values()) < LARGEST


def test_the_wheel_runs_where_nothing_else_is(built: dict[str, Path], python: Path, tmp_path: Path) -> None:
    """The command line first, with what the wheel asks for; then the quickstart, with a kernel beside it."""
    pins = tmp_path / "pins.txt"
    pins.write_text("".join(f"{name}=={pin}\n" for name, pin in PINS.items()))
    run(python, "-m", "pip", "install", "--quiet", built[".whl"], "--constraint", pins)
    with inside(python, tmp_path):
        run(python.parent / "tsynd", "run", "--data", "phantom", "--budget", "smoke", "--out", "run", "--quiet", cwd=tmp_path)
        metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
        assert 0 <= metrics["clean"]["accuracy"] <= 1 and metrics["synthesis"]["count"] > 0
        assert "<style>" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        run(python, "-m", "pip", "install", "--quiet", "ipykernel", "--constraint", pins)
        add_kernel(python, tmp_path, "empty")
        execute(nbformat.read(ROOT / "notebooks" / "00_quickstart.ipynb", as_version=4), tmp_path, "empty")
