"""The networks that come with the package do what they are there for, and a damaged file is named."""

from pathlib import Path

import make_artefacts
import pytest
import torch

import tsynd
from tsynd import pretrained
from tsynd.data import Dataset
from tsynd.data.phantom import classify, subgroup
from tsynd.data.phantom import oracle as oracle_module
from tsynd.data.phantom.oracle import ORACLE, oracle
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.robustness import pgd
from tsynd.training import Recipe
from tsynd.utils.tensor_files import load_notes, read_tensors, weights_hash, write_tensors

NAMES = tuple(pretrained.DATA)
OTHERS = [(name, arm) for name, (_, whole) in pretrained.DATA.items() if whole for arm in pretrained.ARMS[1:]]


def data_of(example: pretrained.Example) -> Dataset:
    try:
        return example.load()
    except DataUnavailable as error:
        pytest.skip(str(error))


def test_the_oracle_tells_the_class_of_phantoms_it_has_not_seen() -> None:
    test = tsynd.load("phantom", seed=123, count=1).test
    network = oracle()
    assert not network.training
    with torch.no_grad():
        found = classify(network.recover(test.images.float() / 255))
    assert (found == test.labels).double().mean() > 0.85


@pytest.mark.parametrize("name", ["oracle", *NAMES])
def test_what_must_be_known_of_a_network_is_in_its_file(name: str) -> None:
    notes = load_notes(ORACLE if name == "oracle" else pretrained.FOLDER / f"{name}.safetensors")
    assert notes is not None
    assert {"config", "hash", "command", "versions"} <= set(notes)
    assert notes["command"] == "make artefacts"
    assert notes["hash"].split()[0] == weights_hash(oracle() if name == "oracle" else pretrained.read(name).classifier)


@pytest.mark.parametrize(("name", "arm"), OTHERS)
def test_another_method_s_classifier_comes_with_the_same_autoencoder_and_from_a_run_of_full_length(name: str, arm: str) -> None:
    example, plain = pretrained.read(name, arm), pretrained.read(name)
    assert example.arm == arm
    assert example.autoencoder is not None and plain.autoencoder is not None
    assert weights_hash(example.autoencoder) == weights_hash(plain.autoencoder)
    assert weights_hash(example.classifier) != weights_hash(plain.classifier)
    notes = load_notes(pretrained.path_of(name, arm))
    assert notes is not None
    assert notes["config"]["arm"] == arm
    assert notes["config"]["recipe"]["steps"] == Recipe().steps


@pytest.mark.parametrize("name", ["phantom", "breastmnist"])
def test_targeted_training_resists_an_attack_better_and_adversarial_training_best(name: str) -> None:
    test = data_of(pretrained.read(name)).test[slice(0, 150)]
    images, held = test.images.float() / 255, {}
    for arm in pretrained.ARMS:
        network = pretrained.read(name, arm).classifier.requires_grad_(False)
        attacked = pgd(network, images, test.labels, eps=2 / 255, steps=10, generator=torch.Generator().manual_seed(0))
        held[arm] = (network(attacked).argmax(dim=1) == test.labels).double().mean().item()
    assert held["pgd"] > held["tsynd"] > max(held["none"], held["random"])


def test_an_unknown_arm_is_named() -> None:
    with pytest.raises(TsyndError, match="unknown arm of an example 'mixup'"):
        pretrained.phantom("mixup")
    with pytest.raises(TsyndError, match="unknown arm of an example 'tsynd'"):
        pretrained.read("phantom_withheld", "tsynd")


def test_the_networks_are_small() -> None:
    sizes = [path.stat().st_size for path in (ORACLE, *pretrained.FOLDER.glob("*.safetensors"))]
    assert len(sizes) == 1 + len(NAMES) + len(OTHERS)
    assert sum(sizes) <= 4_000_000


@pytest.mark.parametrize("name", NAMES)
def test_an_example_classifies_and_copies_images_that_it_has_not_seen(name: str) -> None:
    example = pretrained.read(name)
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
    example = pretrained.phantom_withheld()
    data = example.load()
    assert isinstance(data.train, PhantomSplit) and isinstance(data.test, PhantomSplit)
    assert not subgroup(data.train.factors, "irregular-enhancing").any()
    assert subgroup(data.test.factors, "irregular-enhancing").any()
    assert example.autoencoder is None


def test_an_example_is_trained_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    recipe = Recipe(steps=2, autoencoder_steps=2)
    stages: set[str] = set()
    example = make_artefacts.train("phantom", recipe, progress=lambda step: stages.add(step.stage))
    assert stages == {"autoencoder", "training"}
    make_artefacts.write("phantom", example, recipe)
    again = pretrained.phantom()
    assert again.autoencoder is not None and example.autoencoder is not None
    assert weights_hash(again.classifier) == weights_hash(example.classifier)
    assert weights_hash(again.autoencoder) == weights_hash(example.autoencoder)
    assert all(tensor.dtype != torch.float16 for tensor in again.classifier.state_dict().values())


def test_damage_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pretrained.FOLDER / "breastmnist.safetensors"
    weights, notes = read_tensors(path, "example")
    weights_of_oracle, about = read_tensors(ORACLE, "network")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    monkeypatch.setattr(oracle_module, "ORACLE", tmp_path / "oracle.safetensors")
    for read in (oracle, pretrained.breastmnist):
        with pytest.raises(TsyndError, match=r"\.safetensors is missing"):
            read()
    next(iter(weights_of_oracle.values())).add_(1)
    write_tensors(oracle_module.ORACLE, weights_of_oracle, about)
    with pytest.raises(TsyndError, match=r"oracle\.safetensors is damaged: .*make artefacts"):
        oracle()
    first = next(key for key in weights if key.endswith("weight"))
    write_tensors(tmp_path / path.name, weights | {first: weights[first] + 1}, notes)
    with pytest.raises(TsyndError, match=r"breastmnist\.safetensors is damaged: its weights are not"):
        pretrained.breastmnist()
    write_tensors(tmp_path / path.name, {key: tensor for key, tensor in weights.items() if key != first}, notes)
    with pytest.raises(TsyndError, match=r"breastmnist\.safetensors is damaged: .*make artefacts"):
        pretrained.breastmnist()


def test_an_unknown_example_is_named() -> None:
    with pytest.raises(TsyndError, match="unknown example 'retina'"):
        make_artefacts.train("retina")
