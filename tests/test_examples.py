"""The networks that come with the package do what they are there for, and a damaged file is named."""

from pathlib import Path

import pytest
import torch

import tsynd
from tsynd import examples, store
from tsynd.data import Dataset
from tsynd.data.phantom import classify, subgroup
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.tensors import read_tensors, weights_hash, write_tensors
from tsynd.training import Recipe

NAMES = tuple(examples.DATA)


def data_of(example: examples.Example) -> Dataset:
    try:
        return example.load()
    except DataUnavailable as error:
        pytest.skip(str(error))


def test_the_oracle_tells_the_class_of_phantoms_it_has_not_seen() -> None:
    test = tsynd.load("phantom", seed=123, count=1).test
    network = examples.oracle()
    assert not network.training
    with torch.no_grad():
        found = classify(network.recover(test.images.float() / 255))
    assert (found == test.labels).double().mean() > 0.85


@pytest.mark.parametrize("name", ["oracle", *NAMES])
def test_what_must_be_known_of_a_network_is_in_its_file(name: str) -> None:
    notes = store.load_notes(examples.FOLDER / f"{name}.safetensors")
    assert notes is not None
    assert {"config", "hash", "command", "versions"} <= set(notes)
    assert notes["command"] == "make artefacts"
    assert notes["hash"].split()[0] == weights_hash(examples.oracle() if name == "oracle" else examples.read(name).classifier)


def test_the_networks_are_small() -> None:
    sizes = [path.stat().st_size for path in examples.FOLDER.glob("*.safetensors")]
    assert len(sizes) == 1 + len(NAMES)
    assert sum(sizes) <= 3_000_000


@pytest.mark.parametrize("name", NAMES)
def test_an_example_classifies_and_copies_images_that_it_has_not_seen(name: str) -> None:
    example = examples.read(name)
    data = data_of(example)
    images = data.test.images.float() / 255
    assert not example.classifier.training
    with torch.no_grad():
        found = example.classifier(images).argmax(dim=1)
        per_class = [(found[data.test.labels == label] == label).double().mean() for label in range(len(data.classes))]
        assert torch.stack(per_class).mean() > 0.7
        assert len(example.subset(data)) == example.per_class * len(data.classes)
        if example.autoencoder is not None:
            assert not example.autoencoder.training
            error = (example.autoencoder(images) - images).square().mean()
            assert error < 0.25 * (images - images.mean(dim=0)).square().mean()


def test_the_withheld_subgroup_is_in_the_test_images_only() -> None:
    example = examples.phantom_withheld()
    data = example.load()
    assert isinstance(data.train, PhantomSplit) and isinstance(data.test, PhantomSplit)
    assert not subgroup(data.train.factors, "irregular-enhancing").any()
    assert subgroup(data.test.factors, "irregular-enhancing").any()
    assert example.autoencoder is None


def test_an_example_is_trained_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "FOLDER", tmp_path)
    recipe = Recipe(steps=2, autoencoder_steps=2)
    stages: set[str] = set()
    example = examples.train("phantom", recipe, progress=lambda stage, step, loss: stages.add(stage))
    assert stages == {"autoencoder", "classifier"}
    examples.write("phantom", example, recipe)
    again = examples.phantom()
    assert again.autoencoder is not None and example.autoencoder is not None
    assert weights_hash(again.classifier) == weights_hash(example.classifier)
    assert weights_hash(again.autoencoder) == weights_hash(example.autoencoder)
    assert all(tensor.dtype != torch.float16 for tensor in again.classifier.state_dict().values())


def test_damage_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = examples.FOLDER / "breastmnist.safetensors"
    weights, notes = read_tensors(path, "example")
    oracle, about = read_tensors(examples.ORACLE, "network")
    monkeypatch.setattr(examples, "FOLDER", tmp_path)
    monkeypatch.setattr(examples, "ORACLE", tmp_path / "oracle.safetensors")
    for read in (examples.oracle, examples.breastmnist):
        with pytest.raises(TsyndError, match=r"\.safetensors is missing"):
            read()
    next(iter(oracle.values())).add_(1)
    write_tensors(examples.ORACLE, oracle, about)
    with pytest.raises(TsyndError, match=r"oracle\.safetensors is damaged: .*make artefacts"):
        examples.oracle()
    first = next(key for key in weights if key.endswith("weight"))
    write_tensors(tmp_path / path.name, weights | {first: weights[first] + 1}, notes)
    with pytest.raises(TsyndError, match=r"breastmnist\.safetensors is damaged: its weights are not"):
        examples.breastmnist()
    write_tensors(tmp_path / path.name, {key: tensor for key, tensor in weights.items() if key != first}, notes)
    with pytest.raises(TsyndError, match=r"breastmnist\.safetensors is damaged: .*make artefacts"):
        examples.breastmnist()


def test_an_unknown_example_is_named() -> None:
    with pytest.raises(TsyndError, match="unknown example 'retina'"):
        examples.train("retina")
