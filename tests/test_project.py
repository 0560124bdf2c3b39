"""What several files of the project say must agree: version, dependencies, pins, chapters, commands."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_book import listed_files
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tsynd
from tsynd.training import ARMS

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"pytorch": "torch", "gdcm": "python-gdcm"}
NOT_FROM_PIP = {"python", "pip", "make"}
NOT_OURS = {".git", ".venv", "_build", "vendor", "runs", "build", "dist"}
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".cff", ".cfg", ".ipynb", ".html", ".css", ".svg", ".bib", ".json", ""}


def load_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements() -> list[Requirement]:
    """All direct requirements: to run, for the book, for development."""
    extras = project()["optional-dependencies"]
    return [Requirement(text) for text in (*project()["dependencies"], *extras["book"], *extras["dev"])]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.partition("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): number for name, _, number in parts}


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the project, by its path."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part in NOT_OURS or part.endswith("_cache") or part == ".hypothesis" for part in parts)
        if not hidden and path.is_file() and path.suffix in TEXT:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in project()
    assert project()["dynamic"] == ["version"]
    assert version("tsynd") == tsynd.__version__, "installed from another state: run `make install`"
    assert load_yaml("CITATION.cff")["version"] == tsynd.__version__


def test_environment_yml_equals_pyproject() -> None:
    *packages, pip = load_yaml("environment.yml")["dependencies"]
    assert pip == {"pip": ["-e ."]}
    conda = [Requirement(text) for text in packages]
    found = {CONDA_NAMES.get(each.name, each.name): str(each.specifier) for each in conda if each.name not in NOT_FROM_PIP}
    assert found == {each.name: str(each.specifier) for each in requirements()}
    assert [str(each.specifier) for each in conda if each.name == "python"] == [project()["requires-python"]]


def test_pins_are_exact_and_satisfy_the_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert [str(each) for each in requirements() if not each.specifier.contains(pins()[canonicalize_name(each.name)])] == []


def test_everything_that_is_installed_with_the_package_is_pinned() -> None:
    reached: set[str] = set()
    waiting = [each for each in requirements() if each.name != "torch"]  # torch pins its own CUDA packages
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in reached or name == "torch":
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed here (extras book and dev)")
        reached.add(name)
        extras = requirement.extras or {""}
        each_needed = [Requirement(text) for text in needs]
        waiting += [each for each in each_needed if not each.marker or any(each.marker.evaluate({"extra": e}) for e in extras)]
    assert reached - set(pins()) == set()


def test_no_file_names_a_place_on_this_machine() -> None:
    here = [place for place in (str(ROOT), str(Path.home())) if len(place) > 1]
    assert [name for name, text in texts() if any(re.search(rf"{re.escape(place)}\b", text) for place in here)] == []


def test_owner_and_name_stand_only_in_the_configuration() -> None:
    address = load_yaml("_config.yml")["repository"]["url"].removeprefix("https://")
    assert [name for name, text in texts() if address in text and not name.endswith(".ipynb")] == ["_config.yml"]


def test_the_contents_list_every_notebook_and_only_files_that_exist() -> None:
    contents = load_yaml("_toc.yml")
    chapters = [contents["root"], *listed_files(contents)]
    found = {path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.glob("notebooks/*.ipynb")}
    found |= {path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.glob("book/**/*.md")}
    assert sorted(chapters) == sorted(found)
    assert sum(len(part["chapters"]) for part in contents["parts"]) <= 24, "the side bar has room for 24 pages"
    following = chapters[chapters.index("notebooks/00_quickstart") + 1]
    assert following == "notebooks/01_data", "the next button leads from the quickstart to chapter 1"


@pytest.mark.parametrize("name", ["book/running.md", "book/method.md"])
def test_every_arm_is_named_on_the_pages_that_list_them(name: str) -> None:
    spans = re.findall(r"`([^`\n]+)`", (ROOT / name).read_text(encoding="utf-8"))
    assert set(ARMS) - {part for span in spans for part in span.split("+")} == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "book/recipes.md"])
def test_every_make_command_and_file_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert named
    assert named - targets == set()
    paths = set(re.findall(r"[`(]((?:[a-z0-9_.]+/)*[A-Za-z0-9_.-]+\.(?:py|md|yml|toml|txt|cff|ipynb|bib|cfg))[`)]", text))
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_the_readme_names_the_pinned_torch() -> None:
    named = re.findall(r"torch==([\d.]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(named) == {pins()["torch"]}


def test_the_package_says_that_it_is_typed() -> None:
    assert (files("tsynd") / "py.typed").is_file()
