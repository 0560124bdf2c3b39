"""MedMNIST sets: found on disk, downloaded from a local server, refused when the bytes are not the published ones."""

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.servers import QUICK, Server
from tsynd.data import load
from tsynd.data.medmnist import download, memory_map
from tsynd.data.medmnist.registry import REGISTRY, SIZES
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.utils import downloads
from tsynd.utils.progress import Step


@pytest.fixture
def server(server: Server, six: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A small set stands in for BreastMNIST; no folder but `tmp_path` is looked in, no server but this one is asked."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **six)
    server.content = buffer.getvalue()
    md5 = {28: hashlib.md5(server.content).hexdigest(), 64: "0" * 32}
    monkeypatch.setitem(REGISTRY, "breastmnist", replace(REGISTRY["breastmnist"], counts=(8, 4, 6), md5=md5))
    publish(monkeypatch, server, "ok")
    monkeypatch.setattr(downloads, "PATIENCE", QUICK)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for name in ("TSYND_DATA", "TSYND_MIRROR", "TSYND_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return server


def publish(monkeypatch: pytest.MonkeyPatch, server: Server, *ways: str) -> None:
    monkeypatch.setattr(download, "ADDRESSES", tuple(server.address(way) + "/{file}" for way in ways))


def unavailable(folder: Path, download: bool = True) -> str:
    with pytest.raises(DataUnavailable) as caught:
        load("breastmnist", root=folder, download=download)
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []
    return str(caught.value)


def test_downloaded_once(server: Server, tmp_path: Path) -> None:
    calls: list[Step] = []
    made = load("breastmnist", progress=calls.append)
    assert (made.name, made.classes, len(made.train)) == ("breastmnist", ("malignant", "normal, benign"), 8)
    assert [path.name for path in (tmp_path / "home" / ".medmnist").glob("[!.]*")] == ["breastmnist.npz"]
    assert {step.text for step in calls} == {f"downloading {server.address('ok')}/breastmnist.npz (0.0 MB)"}
    assert calls[0].done == 0
    assert calls[-1].done == calls[-1].total > 0
    again: list[Step] = []
    load("breastmnist", progress=again.append)
    assert again == []


def test_the_mirror_comes_first_then_the_published_record(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setenv("TSYND_MIRROR", server.address("missing") + "/")
    load("breastmnist", root=tmp_path / "one", progress=lambda step: lines.append(step.text))
    assert lines[0] == f"{server.address('missing')}/breastmnist.npz: HTTP 404"
    assert lines[1].startswith(f"downloading {server.address('ok')}")
    monkeypatch.setenv("TSYND_MIRROR", server.address("ok"))
    publish(monkeypatch, server, "missing")
    assert len(load("breastmnist", root=tmp_path / "two").train) == 8


@pytest.mark.parametrize(("way", "reason"), [("missing", "HTTP 404"), ("wrong", "has MD5"), ("cut", "the connection was cut")])
def test_a_failed_download_leaves_nothing_and_says_what_to_do(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, reason: str
) -> None:
    publish(monkeypatch, server, way)
    message = unavailable(tmp_path / "data")
    assert reason in message
    assert "\n" not in message
    assert f"put {server.address(way)}/breastmnist.npz into {tmp_path / 'data'}, or use --data phantom" in message


def test_no_server_and_no_download(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ADDRESSES", ("http://127.0.0.1:9/files/{file}",))
    assert "no connection" in unavailable(tmp_path)
    message = unavailable(tmp_path, download=False)
    assert f"is not in {tmp_path}, and download is off" in message
    assert "--data phantom" in message


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataUnavailable, match=r"cannot be written into .*(File exists|Not a directory): put"):
        load("breastmnist", root=tmp_path / "file")


def test_folders_are_looked_through_in_order(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "breastmnist.npz").write_bytes(server.content)
    monkeypatch.setenv("TSYND_DATA", os.pathsep.join(str(tmp_path / name) for name in ("first", "second")))
    assert load("breastmnist", download=False).source == str(tmp_path / "second" / "breastmnist.npz")


def test_a_damaged_file_is_not_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "breastmnist.npz").write_bytes(server.content[:-50])
    with pytest.raises(TsyndError, match=r"damaged or another file: its MD5 is .*, the published one .*delete it"):
        load("breastmnist", root=tmp_path)


def test_sizes(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"breastmnist_64\.npz is not in"):
        load("breastmnist", 64, tmp_path, download=False)
    with pytest.raises(TsyndError, match="breastmnist is published at 28, 64 px: size must be one of these, got 32"):
        load("breastmnist", size=32)
    with pytest.raises(TsyndError, match="did you mean 'retinamnist'"):
        download.load_medmnist("retinaminst")


def test_counts_are_the_published_ones(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "breastmnist", replace(REGISTRY["breastmnist"], counts=(1, 2, 3)))
    with pytest.raises(TsyndError, match=r"has \(8, 4, 6\) images in train, val and test, the published set \(1, 2, 3\)"):
        load("breastmnist")


@pytest.mark.parametrize("name", ["breastmnist", "pneumoniamnist", "retinamnist"])
def test_the_official_files(real: Path, name: str) -> None:
    made, facts = load(name, root=real, download=False), REGISTRY[name]
    assert (made.size, made.channels, made.classes) == (28, facts.channels, facts.classes)
    smallest = int(made.train.labels.bincount().min())
    assert made.subset(smallest, seed=0).train.labels.bincount().tolist() == [smallest] * len(made.classes)
    own = load(real / f"{name}.npz")
    assert (own.train.images == made.train.images).all()
    assert own.channels == facts.channels


def test_the_registry_is_that_of_medmnist() -> None:
    # The paper has 107 more: the files of 2024 lack some CT slices.
    assert sum(sum(facts.counts) for facts in REGISTRY.values()) == 707_962
    assert all(tuple(facts.md5) == SIZES for facts in REGISTRY.values())
    assert len({md5 for facts in REGISTRY.values() for md5 in facts.md5.values()}) == len(SIZES) * len(REGISTRY)
    assert [name for name, facts in REGISTRY.items() if facts.task == "multi-label"] == ["chestmnist"]
    assert [name for name, facts in REGISTRY.items() if facts.licence != "CC BY 4.0"] == ["dermamnist"]
    assert all("doi:10." in facts.citation for facts in REGISTRY.values())


def test_a_large_set_is_unpacked_once_and_then_needs_no_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load("breastmnist")
    monkeypatch.setattr(memory_map, "LARGE", 1000)
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "cache"))
    lines: list[str] = []
    made = load("breastmnist", progress=lambda step: lines.append(step.text))
    assert lines[0].startswith("unpacking")
    (tmp_path / "home" / ".medmnist" / "breastmnist.npz").unlink()
    again = load("breastmnist", download=False)
    for split in ("train", "val", "test"):
        for one in (made, again):
            assert torch.equal(getattr(one, split).images, getattr(plain, split).images)
            assert torch.equal(getattr(one, split).labels, getattr(plain, split).labels)
    assert server.asked == 1
