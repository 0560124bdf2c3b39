"""A simulated Colab: torch and numpy are there, tsynd is not; a notebook of the book is opened and run to its end.

It makes an environment of its own and installs into it from a clone of this repository: some minutes, so `make test-install`
runs it and `make test` does not.
"""

from pathlib import Path
from typing import Any

import front_matter
import nbformat
import pytest
from packaging.version import Version

from tests.install.fresh import PINS, ROOT, add_kernel, execute, inside, new_environment, run

NOTEBOOK = ROOT / "notebooks" / "00_quickstart.ipynb"
# What Colab brings and tsynd must leave alone; older than the newest, so that an upgrade would show. Torch is the tested one.
DEFAULT_RATE = {"numpy": "2.1.3", "ipywidgets": "7.7.1", "pandas": "2.2.2"}
# A stand-in for what only Colab has.
STAND_IN = "from types import SimpleNamespace\n\nfiles = SimpleNamespace(upload=dict)\n"

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def colab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with torch, numpy, Jupyter's kernel and `google.colab`, without tsynd."""
    place = tmp_path_factory.mktemp("colab")
    python = new_environment(place, f"numpy=={DEFAULT_RATE['numpy']}")
    run(python, "-m", "pip", "install", "--quiet", "ipykernel", *(f"{name}=={pin}" for name, pin in DEFAULT_RATE.items()))
    package = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()) / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN)
    add_kernel(python, place, "colab")
    return place


def versions(colab: Path) -> dict[str, str]:
    """Every package of the environment with its version."""
    return dict(line.split("==") for line in run(colab / "venv/bin/python", "-m", "pip", "freeze").splitlines() if "==" in line)


@pytest.fixture(scope="module")
def executed(colab: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The notebook, run there to its end with the set-up cell a second time; what was installed before and after."""
    repository = front_matter.repository()["url"]
    source = tmp_path_factory.mktemp("source") / "tsynd"
    run("git", "clone", "--quiet", ROOT.as_uri(), source)
    for each in ("allowFilter", "allowAnySHA1InWant"):  # as on GitHub: pip clones without old files
        run("git", "-C", source, "config", f"uploadpack.{each}", "true")
    run("git", "-C", source, "checkout", "--quiet", "-B", front_matter.repository()["branch"])
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (setup,) = (cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", []))
    again = nbformat.from_dict(setup | {"id": "again"})
    notebook.cells.append(again)
    before = versions(colab)
    redirect = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{source.as_uri()}.insteadOf", "GIT_CONFIG_VALUE_0": repository}
    with inside(colab / "venv/bin/python", colab, **redirect):
        execute(notebook, colab, "colab")
    return {"before": before, "after": versions(colab), "setup": setup, "again": again}


def test_what_colab_brings_does_not_move(executed: dict[str, Any]) -> None:
    before, after = executed["before"], executed["after"]
    assert "tsynd" not in before
    assert {name: after[name] for name in before} == before


def test_the_versions_brought_are_older_than_those_tested_so_that_an_upgrade_would_show() -> None:
    assert all(Version(version) < Version(PINS[name]) for name, version in DEFAULT_RATE.items())


def test_tsynd_comes_from_the_repository_s_branch(executed: dict[str, Any], colab: Path) -> None:
    where = run(colab / "venv/bin/python", "-P", "-c", "import tsynd; print(tsynd.__file__)").strip()
    assert Path(where).is_relative_to(colab / "venv")


def test_the_set_up_cell_does_nothing_the_second_time(executed: dict[str, Any]) -> None:
    assert executed["again"].outputs == []
