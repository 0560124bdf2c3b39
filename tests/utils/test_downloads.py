"""Downloads against a server that fails in every way that a real one does, and a disk that is full."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.servers import QUICK, Server
from tsynd.errors import DataUnavailable
from tsynd.utils import downloads, locks
from tsynd.utils.downloads import RetryPolicy, download
from tsynd.utils.progress import Step

CONTENT = os.urandom(200_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def content(server: Server) -> None:
    server.content = CONTENT


def visible(folder: Path) -> list[str]:
    """What a user sees: lock files stay, hidden."""
    return sorted(path.name for path in folder.glob("[!.]*"))


def get(server: Server, folder: Path, *ways: str, patience: RetryPolicy = QUICK) -> list[str]:
    """Download in these ways; what was said meanwhile."""
    said: list[str] = []
    addresses = [f"{server.address(way)}/file.npz" for way in ways]
    download(addresses, folder / "file.npz", MD5, lambda step: said.append(step.text), patience)
    assert visible(folder) == ["file.npz"]
    assert (folder / "file.npz").read_bytes() == CONTENT
    return said


def refused(server: Server, folder: Path, *ways: str) -> str:
    """Fail to download in these ways; the message. Nothing is left behind."""
    with pytest.raises(DataUnavailable) as caught:
        get(server, folder, *ways)
    assert visible(folder) == []
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(server.address(""), "")


def test_size_first_then_bytes_as_they_come(server: Server, tmp_path: Path) -> None:
    calls: list[Step] = []
    address = f"{server.address('ok')}/file.npz"
    download([address], tmp_path / "file.npz", MD5, calls.append)
    assert calls[0] == Step("load", 0, len(CONTENT), f"downloading {address} (0.2 MB)")
    assert [call.done for call in calls] == sorted(call.done for call in calls)
    assert calls[-1].done == len(CONTENT)


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    said = get(server, tmp_path, "busy-twice")
    assert server.asked == 3
    assert [text for text in said if "HTTP 503" in text] == [f"{server.address('busy-twice')}/file.npz: HTTP 503"] * 2


def test_waits_are_bounded_and_double(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(downloads, "time", SimpleNamespace(sleep=waits.append))
    message = refused(server, tmp_path, "busy")
    assert message == "file.npz could not be downloaded (busy/file.npz: HTTP 503)"
    assert waits == [0.01, 0.02]
    assert server.asked == 3


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("missing", "HTTP 404"),
        ("wrong", "the file that came has MD5 "),
        ("cut", "the connection was cut"),
        ("stall", "no byte for 0.2 s"),
    ],
)
def test_the_second_address_has_it(server: Server, tmp_path: Path, way: str, reason: str) -> None:
    said = get(server, tmp_path, way, "ok")
    assert any(reason in text for text in said)
    assert server.asked == 2
    (tmp_path / "file.npz").unlink()
    assert reason in refused(server, tmp_path, way)


def test_an_address_without_the_file_is_asked_once(server: Server, tmp_path: Path) -> None:
    refused(server, tmp_path, "missing", "missing")
    assert server.asked == 2


def test_a_server_that_does_not_state_the_size(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path, "unsized")[0].endswith("(size not stated)")


def test_two_that_want_one_file_download_it_once(server: Server, tmp_path: Path) -> None:
    failures: list[Exception] = []
    said: list[str] = []

    def want() -> None:
        try:
            address = f"{server.address('slow')}/file.npz"
            download([address], tmp_path / "file.npz", MD5, lambda step: said.append(step.text), QUICK)
        except Exception as error:
            failures.append(error)

    wanting = [threading.Thread(target=want) for _ in range(3)]
    for thread in wanting:
        thread.start()
    for thread in wanting:
        thread.join()
    assert failures == []
    assert server.asked == 1
    assert said.count("waiting for another process that downloads file.npz") == 2
    assert visible(tmp_path) == ["file.npz"]


def test_the_lock_that_a_killed_process_left_is_not_waited_for(server: Server, tmp_path: Path) -> None:
    lock = str(tmp_path / ".file.npz.lock")
    hold = f"import time, filelock; lock = filelock.FileLock({lock!r}); lock.acquire(); print(flush=True); time.sleep(20)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with locks.at_once(tmp_path / ".file.npz.lock") as held:
            assert not held
        other.kill()
    get(server, tmp_path, "ok")


def test_a_lock_that_is_held_is_waited_for(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locks.alone(tmp_path / "lock", lambda: order.append("waits")):
            order.append("second")

    with locks.alone(tmp_path / "lock"):
        waiting = threading.Thread(target=second)
        waiting.start()
        while not order:
            time.sleep(0.01)
        order.append("first")
    waiting.join()
    assert order == ["waits", "first", "second"]


def test_a_full_disk_is_said_before_the_first_byte(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    message = refused(server, tmp_path, "ok", "ok")
    assert message == f"file.npz cannot be written into {tmp_path}: No space left on device, 0.2 MB are needed"
    assert server.asked == 1


def test_a_folder_that_cannot_be_written_to(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*arguments: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", read_only)
    assert refused(server, tmp_path, "ok") == f"file.npz cannot be written into {tmp_path}: Read-only file system"
    assert server.asked == 0
