"""The page of the book about MONAI's networks, run as it is printed."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.autoencoding.test_any_codec import Exact
from tsynd.autoencoding.any_codec import adopt_autoencoder
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.study import read_study
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


BOOK = Path(__file__).parents[2] / "book"


@pytest.mark.parametrize(("name", "channels"), [("densenet", 1), ("fine_tuned", 1), ("fine_tuned", 3)])
def test_the_factories_of_the_page_make_classifiers(name: str, channels: int) -> None:
    classifier = build_classifier(channels, 28, 3, 0, architecture=f"{BOOK}/my_networks.py:{name}")
    assert classifier.split == "network.1.class_layers.out"
    rates = [group["lr"] for group in classifier.parameter_groups(1.0)]
    assert rates == ([0.1, 1.0] if name == "fine_tuned" else [1.0])


def test_the_factory_of_the_other_page_makes_an_autoencoder() -> None:
    autoencoder, untrained = adopt_autoencoder(f"{BOOK}/my_latent_space.py:kl", IMAGES, 0)
    assert untrained and autoencoder.shape == (8, 8, 8)


def test_the_study_on_the_page_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (BOOK / "own_networks.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(BOOK)
    runs = read_study(tmp_path / "study.yaml").runs()
    assert len(runs) == 20 and {each.config.classifier for each in runs} == {"my_networks.py:densenet"}
    assert "classifier" not in runs[0].config.changes


def test_the_code_on_the_page_turns_codes_into_theirs_and_back() -> None:
    text = (BOOK / "latent_spaces.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    with seeded(0):
        network = Exact()
        names: dict[str, Any] = {"network": network, "images": IMAGES}
        exec(text, names)
    codes, autoencoder = names["codes"], names["autoencoder"]
    torch.testing.assert_close(codes, network.encode(2 * IMAGES - 1))
    torch.testing.assert_close(names["pictures"], IMAGES)
    back = autoencoder.decode((codes.flatten(1) - autoencoder.mean) / autoencoder.std)
    torch.testing.assert_close(back, names["pictures"])
