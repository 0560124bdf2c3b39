"""Any network as a classifier: where dropout begins, normalisation, what is frozen, what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.classification.nets import DenseNet, ResNet
from tsynd.classification import AnyClassifier, normalise_to
from tsynd.classification.any_network import Network
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.rng import seeded

IMAGES = torch.rand(24, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(24) % 2
RECIPE = Recipe(steps=3, batch_size=8)


def adopt(network: nn.Module | Network, channels: int = 1, classes: int = 2, **settings: Any) -> AnyClassifier:
    return AnyClassifier(network, channels, 28, classes, **settings)


@pytest.mark.parametrize(
    ("network", "split"),
    [
        (DenseNet(1, 2), "classifier"),  # no dropout: some is brought to the last linear layer
        (ResNet(1, 2), "head_drop"),  # its own
        (ResNet(1, 2, dropout=0.0), "fc"),  # one that is off is none
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.Dropout(), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)), "2"),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 2), nn.Identity()), "3"),
        (Network(ResNet(1, 2), head="layer1"), "layer1"),
    ],
)
def test_where_dropout_begins_is_found_or_named(network: nn.Module, split: str) -> None:
    with seeded(0):
        classifier = adopt(network).eval()
        assert classifier.split == f"network.{split}"
        posterior = HeadDropout.of(classifier, 8, torch.Generator().manual_seed(0))
        probs_BKC = posterior(IMAGES[:2]).exp()
    assert probs_BKC.shape == (2, 8, 2) and probs_BKC.std(dim=1).min() > 0


def test_what_the_network_sees_is_what_was_asked_for() -> None:
    class Seen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(1, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.seen = x
            logits: Tensor = self.fc(x.mean(dim=(1, 2, 3))[:, None])
            return logits

    wanted = {"none": IMAGES, "training": (IMAGES - IMAGES.mean()) / IMAGES.std(), ((0.4,), (0.5,)): (IMAGES - 0.4) / 0.5}
    for normalise, images in wanted.items():
        classifier = adopt(Network(Seen(), normalise=normalise))  # type: ignore[arg-type]
        normalise_to(classifier, IMAGES)
        classifier(IMAGES)
        torch.testing.assert_close(classifier.network.seen, images)


@pytest.mark.parametrize("network", [DenseNet(1, 2), Network(ResNet(1, 2), normalise="training")])
@pytest.mark.parametrize("arm", ["none", "mixup+pgd"])
def test_any_network_trains(network: nn.Module, arm: str) -> None:
    classifier = adopt(network)
    before = [parameter.clone() for parameter in classifier.parameters()]
    train_classifier(classifier, IMAGES, LABELS, parse_arm(arm), RECIPE)
    assert not classifier.training
    assert all(not torch.equal(new, old) for new, old in zip(classifier.parameters(), before, strict=True))


def test_frozen_layers_stay_as_they_are_and_slow_ones_learn_slowly() -> None:
    rates = {"conv1": 0, "bn1": 0, "layer1": 0.01}
    classifier = adopt(Network(ResNet(1, 2), learning_rates=rates))
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    train_classifier(classifier, IMAGES, LABELS, parse_arm("none"), RECIPE)
    after = classifier.network.state_dict()
    change = {name: float((after[name] - before[name]).abs().double().max()) for name in before}
    assert all(change[name] == 0 for name in before if name.startswith(("conv1", "bn1")))  # running statistics too
    assert change["layer1.1.running_mean"] > 0
    assert 0 < change["layer1.0.weight"] < 0.1 * change["fc.weight"]


def test_parameters_that_need_no_gradient_are_frozen() -> None:
    network = ResNet(1, 2)
    network.layer1.requires_grad_(False)
    classifier = adopt(network).train()
    assert network.bn1.training and not network.layer1[1].training and network.layer1[2].training
    learnt = [id(parameter) for group in classifier.parameter_groups(0.1) for parameter in group["params"]]
    assert id(network.fc.weight) in learnt and id(network.layer1[0].weight) not in learnt


def test_weights_are_drawn_anew_as_the_factory_draws_them() -> None:
    def rebuild(seed: int) -> Network:
        with seeded(seed):
            fresh = ResNet(1, 2)
        fresh.conv1.weight.data.fill_(1.0)  # pretrained, say
        return Network(fresh)

    classifier: Any = AnyClassifier(rebuild(0), 1, 28, 2, rebuild=rebuild)
    first = classifier.network.fc.weight.clone()
    classifier.reinitialise(1)
    assert (classifier.network.conv1.weight == 1).all() and not torch.equal(classifier.network.fc.weight, first)


class Wrong(nn.Module):
    def __init__(self, give: Any) -> None:
        super().__init__()
        self.fc, self.give = nn.Linear(784, 2), give

    def forward(self, x: Tensor) -> Any:
        return self.give(self.fc(x.flatten(1)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Wrong(lambda logits: (logits, None)), r"Wrong must give a tensor of logits \(B, 2\), got tuple"),
        (
            Wrong(lambda logits: logits[:, :1]),
            r"Wrong must give logits \(2, 2\) for 2 images, as many .* got shape \(2, 1\)",
        ),
        (Wrong(lambda logits: logits[:, :, None]), "features or maps: end in a linear layer"),
        (DenseNet(3, 2), r"images of shape \(2, 1, 28, 28\) do not pass through DenseNet"),
        (nn.Sequential(nn.Conv2d(1, 2, 28), nn.Flatten()), "Sequential has no linear layer where dropout could begin"),
        (Network(ResNet(1, 2), head="fcc"), "unknown layer of ResNet 'fcc': did you mean 'fc'"),
        (Network(ResNet(1, 2), learning_rates={"layer2": 0}), "unknown part of ResNet 'layer2': did you mean 'layer1'"),
        (Network(ResNet(1, 2), learning_rates={"layer1": -1}), "learning rate of 'layer1' must be a factor >= 0, got -1"),
        (Network(ResNet(1, 2).requires_grad_(False)), "ResNet has nothing to train"),
        (Network(ResNet(1, 2), normalise="imagenet"), "normalise must be 'none', 'training' or"),
        (Network(ResNet(1, 2), normalise=((0.5, 0.5), (1, 1))), "normalise needs 1 means and positive deviations"),
        ("resnet18", "network must be a Module, got 'resnet18'"),
    ],
)
def test_what_is_no_such_classifier_is_refused(network: Any, message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        adopt(network)


def test_what_training_refuses_is_called_by_the_network_s_own_name() -> None:
    classifier = adopt(nn.Sequential(ResNet(1, 2), nn.Softmax(1)))
    with pytest.raises(TsyndError, match="Sequential gives probabilities"):
        train_classifier(classifier, IMAGES, LABELS, parse_arm("none"), RECIPE)
