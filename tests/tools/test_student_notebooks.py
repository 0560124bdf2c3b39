"""Students' notebooks, and the repository that all notebooks name."""

import json
import re
import subprocess
import sys
from pathlib import Path

import front_matter
import nbformat
import pytest
import yaml
from book_exercises import exercises
from set_repository import set_repository
from student_notebooks import FOLDER, student_notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
# What opens a file of the repository: Colab's and GitHub's addresses.
ADDRESS = re.compile(r"https://[\w.]+/(?:github/)?([\w.-]+/[\w.-]+)/blob/([\w.-]+)/([\w./-]+)")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_student_has_every_stub_and_hint_and_no_solution(path: Path) -> None:
    original = nbformat.read(path, as_version=4)
    student = nbformat.read(path.parent / FOLDER / path.name, as_version=4)
    text = "\n".join(cell.source for cell in student.cells)
    mine = exercises(student)
    assert [(each.title, each.stub, each.hint) for each in mine] == [
        (each.title, each.stub, each.hint) for each in exercises(original)
    ]
    assert len(mine) >= 3
    assert all(not each.solution for each in mine)
    assert all(each.solution not in text for each in exercises(original))
    assert all(not cell.outputs and cell.execution_count is None for cell in student.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_the_generated_one(path: Path) -> None:
    text = student_notebook(nbformat.read(path, as_version=4), path.name)
    assert (path.parent / FOLDER / path.name).read_text(encoding="utf-8") == text


def addresses(folder: Path) -> set[tuple[str, str, str]]:
    found: set[tuple[str, str, str]] = set()
    for path in folder.glob("notebooks/**/*.ipynb"):
        found |= set(ADDRESS.findall(path.read_text(encoding="utf-8")))
    return found


def test_every_address_is_of_this_repository_and_of_a_tracked_file() -> None:
    where = front_matter.repository()
    tracked = set(subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())
    found = addresses(ROOT)
    assert {f"notebooks/{FOLDER}/{path.name}" for path in NOTEBOOKS} <= {file for _, _, file in found}
    for name, branch, file in found:
        assert (f"https://github.com/{name}", branch) == (where["url"], where["branch"])
        assert file in tracked, file


def copied(folder: Path) -> Path:
    for path in [ROOT / "_config.yml", *ROOT.glob("notebooks/**/*.ipynb")]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return folder


def test_another_repository_is_named_everywhere(tmp_path: Path) -> None:
    root = copied(tmp_path)
    changed = set_repository(root, "someone/a.fork", "course-2027")
    assert len(changed) == 2 * len(NOTEBOOKS) + 1
    assert yaml.safe_load((root / "_config.yml").read_text())["repository"] == {
        "url": "https://github.com/someone/a.fork",
        "path_to_book": "",
        "branch": "course-2027",
    }
    assert {(name, branch) for name, branch, _ in addresses(root)} == {("someone/a.fork", "course-2027")}
    for path in changed:
        text = path.read_text(encoding="utf-8")
        assert "tsynd/tsynd" not in text
        if path.suffix == ".ipynb":
            assert "someone/a.fork@course-2027" in json.dumps(json.loads(text))
    assert set_repository(root, "someone/a.fork") == []
    config = yaml.safe_load((root / "_config.yml").read_text())
    assert config["html"]["baseurl"] == "https://someone.github.io/a.fork/"


def test_colab_installs_a_release_once_there_is_one(tmp_path: Path) -> None:
    root = copied(tmp_path)
    set_repository(root, "someone/a.fork", release="v0.2.0")
    assert yaml.safe_load((root / "_config.yml").read_text())["sphinx"]["config"]["html_context"]["tsynd_release"] == "v0.2.0"
    assert all("someone/a.fork@v0.2.0" in path.read_text(encoding="utf-8") for path in root.glob("notebooks/*.ipynb"))
    set_repository(root, "someone/a.fork", "main")
    assert all("someone/a.fork@main" in path.read_text(encoding="utf-8") for path in root.glob("notebooks/*.ipynb"))
    with pytest.raises(ValueError, match=r"a tag such as v0\.2\.0 is asked for, got '-x'"):
        set_repository(root, "someone/a.fork", release="-x")


@pytest.mark.parametrize(("name", "message"), [("tsynd", "OWNER/NAME is asked for"), ("https://x/y", "got 'https://x/y'")])
def test_a_wrong_name_is_refused(tmp_path: Path, name: str, message: str) -> None:
    root = copied(tmp_path)
    before = (root / "_config.yml").read_bytes()
    with pytest.raises(ValueError, match=message):
        set_repository(root, name)
    assert (root / "_config.yml").read_bytes() == before
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "set_repository.py"), name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
