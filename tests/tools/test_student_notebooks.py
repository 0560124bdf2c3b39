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
from book_exercises import exercises, transfer_tasks
from lesson_paths import lessons
from set_repository import set_repository
from student_notebooks import FOLDER, lesson_notebooks, student_notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
# What opens a file of the repository: Colab's and GitHub's addresses.
ADDRESS = re.compile(r"https://[\w.]+/(?:github/)?([\w.-]+/[\w.-]+)/blob/([\w.-]+)/([\w./-]+)")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_student_has_every_stub_and_hint_and_no_solution(path: Path) -> None:
    original = nbformat.read(path, as_version=4)
    student = nbformat.read(path.parent / FOLDER / path.name, as_version=4)
    text = "\n".join(cell.source for cell in student.cells)
    asked = exercises(original) + transfer_tasks(original)
    assert len(asked) >= 3
    for each in asked:
        stub, _, call = each.stub.rpartition("\n")
        assert stub.rstrip() in text
        assert call in text
        assert each.hint in text
        assert not each.solution or each.solution not in text
    assert "<summary>Solution</summary>" not in text
    assert all(not cell.outputs and cell.execution_count is None for cell in student.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*/*.ipynb")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_metadata_is_what_nbgrader_asks_for(path: Path) -> None:
    """Its schema, version 3, and the rules beyond it: ids once, points where it grades, Markdown graded and written."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if "nbgrader" in cell.metadata]
    ids = [cell.metadata.nbgrader.grade_id for cell in cells]
    assert len(ids) == len(set(ids))
    for cell in cells:
        facts = cell.metadata.nbgrader
        assert set(facts) <= {"schema_version", "grade", "locked", "solution", "task", "grade_id", "points"}
        assert (facts.schema_version, facts.task) == (3, False)
        assert re.fullmatch(r"[a-zA-Z0-9_\-]+", facts.grade_id)
        assert ("points" in facts) == facts.grade
        if cell.cell_type == "markdown":
            assert facts.grade and facts.solution and not facts.locked
    checks = [cell for cell in cells if cell.metadata.nbgrader.locked]
    answers = [cell for cell in cells if cell.cell_type == "code" and not cell.metadata.nbgrader.locked]
    assert len(checks) == len(answers) >= (path.parent.name == FOLDER)
    for cell in checks:
        points = cell.metadata.nbgrader.points
        assert cell.source.splitlines()[-1] == f"{points} * bool(verdict)  # points"


def test_nbgraders_points_follow_the_verdict() -> None:
    """Partial credit is the value of the last line of a check: 0 for a stub, all points for a solution."""
    student = nbformat.read(ROOT / "notebooks" / FOLDER / "00_quickstart.ipynb", as_version=4)
    check = next(cell for cell in student.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "judge-one-run-check")
    original = nbformat.read(ROOT / "notebooks/00_quickstart.ipynb", as_version=4)
    (task,) = (each for each in exercises(original) if each.checker == "judge_one_run")
    for code, points in ((task.stub.rpartition("\n")[0], 0), (task.solution, 2)):
        names: dict[str, object] = {}
        exec(f"from tsynd.teaching import exercises\n{code}", names)
        *first, last = check.source.splitlines()
        exec("\n".join(first), names)
        assert eval(last, names) == points


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_notebook_is_the_generated_one(path: Path) -> None:
    text = student_notebook(nbformat.read(path, as_version=4), f"notebooks/{FOLDER}/{path.name}")
    assert (path.parent / FOLDER / path.name).read_text(encoding="utf-8") == text


def test_the_notebooks_of_the_day_are_the_generated_ones() -> None:
    found = lesson_notebooks({path: nbformat.read(path, as_version=4) for path in NOTEBOOKS}, lessons(ROOT).values())
    assert set(found) == set(ROOT.glob("notebooks/day/*.ipynb"))
    for path, text in found.items():
        assert path.read_text(encoding="utf-8") == text, path.name


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
    assert len(changed) == len(list(ROOT.glob("notebooks/**/*.ipynb"))) + 1
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
