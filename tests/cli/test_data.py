"""`tsynd data list` and `tsynd data fetch`, against a server on this machine."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import QUICK, Server
from tsynd import cli
from tsynd.data.medmnist import download
from tsynd.data.medmnist.registry import REGISTRY
from tsynd.utils import downloads

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: Server, tmp_path: Path) -> Command:
    """The command line in this process: exit code, output, errors. Any bytes stand in for RetinaMNIST at 64 px."""
    server.content = b"any bytes" * 1000
    md5 = REGISTRY["retinamnist"].md5 | {64: hashlib.md5(server.content).hexdigest()}
    monkeypatch.setitem(REGISTRY, "retinamnist", replace(REGISTRY["retinamnist"], md5=md5))
    monkeypatch.setattr(download, "ADDRESSES", (server.address("ok") + "/{file}",))
    monkeypatch.setattr(downloads, "PATIENCE", QUICK)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for name in ("TSYND_DATA", "TSYND_MIRROR"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tsynd", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return call


def test_list_says_what_there_is_and_what_is_here(command: Command, tmp_path: Path) -> None:
    (tmp_path / "home" / ".medmnist").mkdir(parents=True)
    for file in ("chestmnist.npz", "chestmnist_224.npz"):
        (tmp_path / "home" / ".medmnist" / file).touch()
    code, out, error = command("list")
    lines = [line.split("  ") for line in out.splitlines()]
    lines = [[cell.strip() for cell in line if cell] for line in lines]
    assert (code, error, len(lines)) == (0, "", len(REGISTRY) + 2)  # a head, and the phantoms
    assert {line[0] for line in lines[1:]} == {*REGISTRY, "phantom"}
    (chest,) = [line for line in lines if line[0] == "chestmnist"]
    assert chest == [
        "chestmnist", "multi-label", "14", "grey", "78468/11219/22433", "CC BY 4.0", "28 64 128 224", "28 224"
    ]  # fmt: skip
    assert [line[-1] for line in lines if line[0] == "bloodmnist"] == ["–"]


def test_fetch_states_size_licence_and_place_first(command: Command, server: Server, tmp_path: Path) -> None:
    code, out, error = command("fetch", "retinamnist", "--size", 64, "--to", tmp_path / "there")
    file = tmp_path / "there" / "retinamnist_64.npz"
    assert (code, error) == (0, "")
    assert file.read_bytes() == server.content
    lines = out.splitlines()
    assert lines[0].startswith("RetinaMNIST: 1600 images of 64 px, CC BY 4.0. DeepDRiD")
    assert lines[1] == f"to {file}: at most 19.7 MB, what the images take in memory"
    assert lines[2] == f"fetch: downloading {server.address('ok')}/retinamnist_64.npz (0.0 MB)"
    assert lines[-1] == f"fetched, checksum verified: {file}"
    _, out, _ = command("fetch", "retinamnist", "--size", 64, "--to", tmp_path / "there")
    assert out.splitlines()[-1] == f"was here, checksum verified: {file}"
    assert server.asked == 1


def test_fetch_quietly_and_with_a_note(command: Command, tmp_path: Path) -> None:
    assert command("fetch", "retinamnist", "--size", 64, "--quiet") == (0, "", "")
    assert (tmp_path / "home" / ".medmnist" / "retinamnist_64.npz").is_file()
    code, out, error = command("fetch", "dermamnist")
    assert "note: Images of one lesion lie in several splits" in out
    assert (code, error.count("\n")) == (2, 1)
    assert "the file that came has MD5" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "retinaminst"], "error: unknown MedMNIST set 'retinaminst': did you mean 'retinamnist'?"),
        (["fetch", "retinamnist", "--size", "32"], "error: retinamnist is published at 28, 64, 128, 224 px"),
        (["fetch"], "error: Missing argument 'name'"),
        (["fech"], "error: No such command 'fech'"),
    ],
)
def test_errors_are_one_line(command: Command, arguments: list[str], message: str) -> None:
    code, out, error = command(*arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(message)
