"""The page of the book about MONAI's networks, run as it is printed."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from tsynd.errors import TsyndError
from tsynd.utils.rng import seeded

pytest.importorskip("monai")

IMAGES = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 0, 1])


@pytest.fixture(scope="module")
def page() -> ModuleType:
    path = Path(__file__).parents[2] / "book" / "own_networks.py"
    spec = importlib.util.spec_from_file_location("own_networks", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_weights_from_files_are_searched_with_and_trained_on(page: ModuleType, tmp_path: Path) -> None:
    with seeded(0):
        torch.save(page.DenseNet121(2, 1, 2).state_dict(), tmp_path / "densenet.pt")
        save_file(page.AutoEncoder(2, 1, 1, (8, 16), (2, 2)).state_dict(), tmp_path / "autoencoder.safetensors")
    classifier, net = page.load_networks(tmp_path)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    found = page.search(IMAGES, LABELS, classifier, net)
    assert found.images.shape == IMAGES.shape
    assert found.latent_displacement.min() > 0
    assert (found.objective_after - found.objective_before).mean() > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())
    loss = page.train_step(classifier, torch.optim.SGD(classifier.parameters(), 0.1), (IMAGES, LABELS), found)
    assert 0 < loss < 10
    assert not torch.equal(classifier.class_layers.out.weight, before["class_layers.out.weight"])


def test_weights_of_another_network_are_refused_by_name(page: ModuleType, tmp_path: Path) -> None:
    torch.save(page.AutoEncoder(2, 1, 1, (8, 16), (2, 2)).state_dict(), tmp_path / "densenet.pt")
    with pytest.raises(TsyndError, match=r"does not fit DenseNet121: missing in the file: features\.conv0\.weight"):
        page.load_networks(tmp_path)
