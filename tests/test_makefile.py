"""The Makefile's install: clear words for a missing or old Python, and no stamp after an interruption."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")

# A stand-in for Python: `-m venv` makes a folder whose own python logs what pip is asked, and fails as told.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
  --version) echo "Python 3.9.1" ;;
  *version_info*) exit ${OLD:-0} ;;
  *ensurepip*) exit ${NO_VENV:-0} ;;
  "-m venv"*) mkdir -p .venv/bin && cp pip-of-the-venv .venv/bin/python ;;
esac
"""
FAKE_PIP = """#!/bin/sh
echo "$@" >> .venv/log
case "$*" in *--editable*) exit ${BROKEN:-0} ;; esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name, script in (("python", FAKE_PYTHON), ("pip-of-the-venv", FAKE_PIP)):
        (tmp_path / name).write_text(script, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def install(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "install", "PYTHON=./python", *arguments]
    variables = {**{name: value for name, value in os.environ.items() if not name.startswith("MAKE")}, **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["PYTHON=no-such-python"], {}, "error: no 'no-such-python' on this machine"),
        ([], {"OLD": "1"}, "error: Python 3.9.1 is too old: tsynd needs Python 3.11 or newer"),
        ([], {"NO_VENV": "1"}, "error: ./python has no venv module"),
    ],
)
def test_an_unsuitable_python_is_one_clear_line(
    folder: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    result = install(folder, *arguments, **environment)
    assert result.returncode != 0
    assert result.stderr.startswith(message)
    assert not (folder / ".venv").exists()


def test_torch_comes_first_and_a_second_call_does_nothing(folder: Path) -> None:
    assert install(folder).returncode == 0
    torch, rest = (folder / ".venv" / "log").read_text(encoding="utf-8").splitlines()
    assert "torch==" in torch
    assert "--constraint constraints.txt" in rest
    install(folder)
    assert len((folder / ".venv" / "log").read_text(encoding="utf-8").splitlines()) == 2


def test_torch_index_is_used_for_torch_only(folder: Path) -> None:
    install(folder, "TORCH_INDEX=https://example.org/cpu")
    torch, rest = (folder / ".venv" / "log").read_text(encoding="utf-8").splitlines()
    assert "--index-url https://example.org/cpu torch==" in torch
    assert "example.org" not in rest


def test_an_interrupted_install_leaves_no_stamp_and_the_next_starts_afresh(folder: Path) -> None:
    assert install(folder, BROKEN="1").returncode != 0
    assert not (folder / ".venv" / "installed.stamp").exists()
    result = install(folder)
    assert result.returncode == 0
    assert "starting afresh" in result.stdout
    assert len((folder / ".venv" / "log").read_text(encoding="utf-8").splitlines()) == 2
    assert (folder / ".venv" / "installed.stamp").exists()
