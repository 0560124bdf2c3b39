"""The networks that come with the package do what they are there for, and a damaged file is named."""

from pathlib import Path

import pytest
import torch

import tsynd
from tsynd import examples, store
from tsynd.data.phantom import classify
from tsynd.data.phantom.oracle import Oracle
from tsynd.errors import TsyndError


def test_the_oracle_tells_the_class_of_phantoms_it_has_not_seen() -> None:
    test = tsynd.load("phantom", seed=123, count=1).test
    network = examples.oracle()
    assert not network.training
    with torch.no_grad():
        found = classify(network.recover(test.images.float() / 255))
    assert (found == test.labels).double().mean() > 0.85


def test_what_must_be_known_of_the_oracle_is_in_its_file() -> None:
    notes = store.load_notes(examples.ORACLE)
    assert notes is not None
    assert {"config", "hash", "command", "versions"} <= set(notes)
    assert notes["hash"] == examples.fingerprint(examples.oracle())
    assert notes["command"] == "make artefacts"


def test_the_networks_are_small() -> None:
    sizes = [path.stat().st_size for path in examples.FOLDER.glob("*.safetensors")]
    assert examples.ORACLE.stat().st_size <= 1_000_000
    assert 0 < sum(sizes) <= 3_000_000


def test_a_damaged_oracle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "ORACLE", tmp_path / "oracle.safetensors")
    with pytest.raises(TsyndError, match=r"oracle\.safetensors is missing"):
        examples.oracle()
    network = Oracle()
    store.save_network(examples.ORACLE, network, {"hash": "0123456789abcdef"})
    with pytest.raises(TsyndError, match=r"oracle\.safetensors is damaged: .*make artefacts"):
        examples.oracle()
