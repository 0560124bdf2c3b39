"""The stick for a room without a network: what may be on it, what its check cuts off, and what its scripts do."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import offline
import pytest

from tsynd.data.medmnist.registry import REGISTRY


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built book, and wheels that are there at once."""
    book = tmp_path / "html"
    book.mkdir()
    (book / "index.html").write_text("book", encoding="utf-8")
    monkeypatch.setattr(offline, "BUILT", book)
    monkeypatch.setattr(offline, "wheels", lambda folder, platforms: folder.mkdir(exist_ok=True))
    data = tmp_path / "set.npz"
    data.write_bytes(b"images")
    monkeypatch.setattr(offline, "fetch", lambda facts: data)
    return tmp_path


def test_the_folder_has_book_notebooks_data_and_says_whose_it_is(built: Path) -> None:
    out = built / "stick"
    offline.fill(out, ["win_amd64"], ["breastmnist"])
    assert (out / "book" / "index.html").read_text() == "book"
    assert (out / "data" / "set.npz").read_bytes() == b"images"
    assert {"workshop.ipynb", "student", "day"} <= {path.name for path in (out / "notebooks").iterdir()}
    text = (out / "README.md").read_text(encoding="utf-8")
    assert REGISTRY["breastmnist"].citation in text
    assert "CC BY 4.0" in text
    assert "win_amd64" in text
    assert f"Python {offline.PYTHON}" in text
    assert f"py -{offline.PYTHON} -m venv env" in (out / "install.bat").read_text(encoding="utf-8")
    assert subprocess.run(["sh", "-n", out / "install.sh"], check=False).returncode == 0
    for script in ("install.sh", "install.bat"):
        assert "--no-index --find-links wheels tsynd jupyterlab" in (out / script).read_text(encoding="utf-8")
    assert b"\r\n" in (out / "install.bat").read_bytes()


def test_a_set_that_may_not_be_passed_on_is_refused(built: Path) -> None:
    name = next(name for name, facts in REGISTRY.items() if facts.licence != "CC BY 4.0")
    with pytest.raises(ValueError, match=f"{name} is under .*: it may not be passed on"):
        offline.fill(built / "stick", [], [name])
    (built / "html" / "index.html").unlink()
    with pytest.raises(ValueError, match="run `make book` first"):
        offline.fill(built / "stick", [], ["breastmnist"])


def test_the_check_cuts_off_everything_but_this_machine(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(offline.GUARD, encoding="utf-8")
    code = (
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\n"
        "try:\n    socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
        "except OSError as error:\n    print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("no network in this check")


def test_what_only_windows_needs_is_missed(tmp_path: Path) -> None:
    needs = ["colorama>=0.4; sys_platform == 'win32'", "pexpect; os_name == 'posix'", "numpy", "sphinx; extra == 'docs'"]
    with zipfile.ZipFile(tmp_path / "tool-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "tool-1.0.dist-info/METADATA", "\n".join(["Name: tool", *(f"Requires-Dist: {each}" for each in needs), "", ""])
        )
    assert offline.missing(tmp_path, "win_amd64") == ["colorama>=0.4", "numpy"]
    assert offline.missing(tmp_path, "macosx_14_0_arm64") == ["numpy", "pexpect"]


def test_an_unknown_set_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert offline.main(["--data", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("error: no set 'nothing' (there: ")
