"""Downloads against a server that fails in every way that a real one does, and a disk that is full."""

import hashlib
import os
import shutil
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.servers import QUICK, Server
from tsynd.errors import DataUnavailable
from tsynd.utils import downloads, locks
from tsynd.utils.downloads import RetryPolicy, download

CONTENT = os.urandom(200_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def content(server: Server) -> None:
    server.content = CONTENT


def get(server: Server, folder: Path, *ways: str, patience: RetryPolicy = QUICK) -> list[str]:
    """Download in these ways; what was said meanwhile."""
    said: list[str] = []
    addresses = [f"{server.address(way)}/file.npz" for way in ways]
    download(addresses, folder / "file.npz", MD5, lambda text, done, total: said.append(text), patience)
    assert [path.name for path in folder.iterdir()] == ["file.npz"]
    assert (folder / "file.npz").read_bytes() == CONTENT
    return said


def refused(server: Server, folder: Path, *ways: str) -> str:
    """Fail to download in these ways; the message. Nothing is left behind."""
    with pytest.raises(DataUnavailable) as caught:
        get(server, folder, *ways)
    assert list(folder.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(server.address(""), "")


def test_size_first_then_bytes_as_they_come(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    address = f"{server.address('ok')}/file.npz"
    download([address], tmp_path / "file.npz", MD5, lambda *call: calls.append(call))
    assert calls[0] == (f"downloading {address} (0.2 MB)", 0, len(CONTENT))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert calls[-1][1] == len(CONTENT)


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
            download([address], tmp_path / "file.npz", MD5, lambda text, done, total: said.append(text), QUICK)
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
    assert [path.name for path in tmp_path.iterdir()] == ["file.npz"]


@pytest.mark.parametrize("owner", ["0 elsewhere", "", "4194304999 {here}"])
def test_the_lock_of_a_dead_process_is_removed(
    server: Server, tmp_path: Path, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / ".file.npz.lock"
    lock.write_text(owner.format(here=socket.gethostname()))
    if owner.startswith("4"):

        def gone(number: int, signal: int) -> None:
            raise ProcessLookupError

        monkeypatch.setattr(os, "kill", gone)  # and so it is not waited for until it is stale
        get(server, tmp_path, "ok", patience=RetryPolicy(stale=1000.0))
    else:
        os.utime(lock, (time.time() - 10, time.time() - 10))
        get(server, tmp_path, "ok")


def test_the_lock_of_a_process_that_was_killed_before_it_named_itself(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    with locks.at_once(lock) as beat:
        assert beat is None, "its owner may be about to write"
    os.utime(lock, (time.time() - 10, time.time() - 10))
    with locks.at_once(lock) as beat:
        assert beat is not None


def test_a_lock_that_lives_is_waited_for(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locks.alone(tmp_path / "lock", stale=0.4, poll=0.01):
            order.append("second")

    with locks.alone(tmp_path / "lock", stale=0.4, poll=0.01) as beat:
        waiting = threading.Thread(target=second)
        waiting.start()
        for _ in range(16):  # longer than a lock without a sign of life would be kept
            time.sleep(0.05)
            beat()
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


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
