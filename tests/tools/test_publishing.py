"""What publishes the project: workflows that call what exists, templates, and the archive of a release."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from release_archive import archive

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_what_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [step["run"] for step in steps(path) if "run" in step]
    for command in commands:
        for target in re.findall(r"\bmake ([\w-]+)", command):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for script in re.findall(r"(?:tools/\w+\.py|\.ci/run)", command):
            assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_uses_only_actions_of_github_and_asks_for_no_more_than_it_needs(path: Path) -> None:
    for step in steps(path):
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v1")), step
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert written["permissions"] == {"contents": "write" if path.stem == "release" else "read"}


def test_there_is_one_for_each_purpose() -> None:
    assert [path.stem for path in WORKFLOWS] == ["book", "ci", "release", "weekly"]
    weekly = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text(encoding="utf-8"))
    assert weekly[True]["schedule"]  # YAML reads the key `on` as true


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_an_issue_template_has_what_github_asks_for(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    ids = [part["id"] for part in form["body"]]
    assert len(ids) == len(set(ids))
    assert all(part["attributes"]["label"] for part in form["body"])


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in (
        "_build/html/index.html",
        "_build/html/.buildinfo",
        "notebooks/00_first.ipynb",
        "notebooks/untracked.ipynb",
        "_build/html/slides/a.html",
        "instructor/exam.md",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "notebooks/00_first.ipynb", "instructor"], cwd=root, check=True)
    return root


def test_a_release_holds_the_book_and_the_tracked_notebooks_with_their_checksums(built: Path, tmp_path: Path) -> None:
    book, notebooks, instructor, sums = archive(built, "v1.2.3", tmp_path / "dist")
    assert (book.name, notebooks.name) == ("tsynd-book-v1.2.3.zip", "tsynd-notebooks-v1.2.3.zip")
    assert zipfile.ZipFile(book).namelist() == ["index.html", "slides/a.html"]
    assert zipfile.ZipFile(instructor).namelist() == ["instructor/exam.md"]
    assert zipfile.ZipFile(notebooks).read("notebooks/00_first.ipynb") == b"notebooks/00_first.ipynb"
    assert zipfile.ZipFile(notebooks).namelist() == ["notebooks/00_first.ipynb"]
    for line, path in zip(sums.read_text().splitlines(), (book, notebooks, instructor), strict=True):
        assert line == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"


def test_the_same_files_give_the_same_archives(built: Path, tmp_path: Path) -> None:
    first = archive(built, "v1.2.3", tmp_path / "a")
    (built / "_build/html/index.html").touch()
    second = archive(built, "v1.2.3", tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_what_cannot_be_released(built: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a version such as v1\.2\.3 is asked for, got '1\.2'"):
        archive(built, "1.2", tmp_path)
    (built / "_build/html/slides/a.html").unlink()
    (built / "_build/html/slides").rmdir()
    with pytest.raises(ValueError, match="run `make slides` first"):
        archive(built, "v1.2.3", tmp_path)
    (built / "_build/html/index.html").unlink()
    with pytest.raises(ValueError, match="run `make book` first"):
        archive(built, "v1.2.3", tmp_path)
    command = [sys.executable, str(ROOT / "tools" / "release_archive.py"), "latest", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
