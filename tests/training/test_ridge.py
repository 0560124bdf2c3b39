"""Ridge regression in closed form: leave-one-out predictions against a brute-force loop, and the arms that use it."""

import pytest
import torch

from tests.classification.nets import ResNet
from tsynd.classification import AnyClassifier, build_classifier, classification_loss
from tsynd.errors import TsyndError
from tsynd.metrics.classification import auroc
from tsynd.training import Recipe, parse_arm, ridge, train_classifier
from tsynd.training.arms import steps_of
from tsynd.training.ridge import fit_ridge

DRAW = torch.Generator().manual_seed(0)
LABELS = torch.arange(30) % 2
IMAGES = (0.3 + 0.1 * torch.rand(30, 1, 16, 16, generator=DRAW) + 0.02 * LABELS[:, None, None, None]).clamp(0, 1)


def test_it_learns_and_its_probabilities_mean_something() -> None:
    classifier = build_classifier(1, 16, 2, 0, architecture="linear")
    history, synthesis = train_classifier(classifier, IMAGES[:20], LABELS[:20], parse_arm("pixel-ridge"), Recipe())
    logits_BC = classifier(IMAGES[20:]).detach()
    assert synthesis is None and not classifier.training
    assert auroc(logits_BC.softmax(1), LABELS[20:]) == 1.0
    assert float(classification_loss(logits_BC, torch.nn.functional.one_hot(LABELS[20:], 2).float())) < 0.69
    assert history.loss[0] < 0.69 and history.seconds["training"] > 0


def test_left_out_predictions_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fixed features and one penalty, what is left out is predicted as by a fit without it."""
    seen: list[torch.Tensor] = []

    def remember(scores: torch.Tensor, *_: object, **__: object) -> float:
        seen.append(scores)
        return 0.0

    monkeypatch.setattr(ridge, "classification_loss", remember)
    monkeypatch.setattr(ridge, "PENALTIES", [1.0])
    monkeypatch.setattr(ridge, "SCALES", [1.0])
    images, labels = IMAGES[:12], LABELS[:12]
    classifier = build_classifier(1, 16, 2, 0, architecture="linear")
    fit_ridge(classifier, images, labels)
    x = ((images - classifier.mean) / classifier.std).flatten(1).double()
    x = (x - x.mean(0)) / x.std(0, correction=0)
    y = torch.nn.functional.one_hot(labels, 2).double() * 2 - 1
    penalty = torch.linalg.svdvals(x).square().mean()
    ones = torch.cat([torch.ones(len(x), 1, dtype=torch.float64), x], 1)
    shrunk = penalty * torch.eye(ones.shape[1], dtype=torch.float64)
    shrunk[0, 0] = 0  # the mean is not shrunk
    for left_out in range(len(x)):
        rest = torch.arange(len(x)) != left_out
        weights = torch.linalg.solve(ones[rest].T @ ones[rest] + shrunk, ones[rest].T @ y[rest])
        torch.testing.assert_close(seen[0][left_out], ones[left_out] @ weights, atol=1e-6, rtol=1e-5)


def test_several_labels_and_8_bit_images() -> None:
    labels = torch.stack([LABELS, 1 - LABELS, torch.ones_like(LABELS)], 1)
    classifier = build_classifier(1, 16, 3, 0, architecture="linear", multi_label=True)
    fit_ridge(classifier, (IMAGES * 255).round().to(torch.uint8), labels)
    probs = classifier(IMAGES).sigmoid()
    assert ((probs > 0.5) == labels).double().mean() > 0.9 and probs[:, 2].min() > 0.9


def test_any_network_that_ends_in_a_linear_layer_is_probed_and_its_features_stay() -> None:
    classifier = AnyClassifier(ResNet(1, 2), 1, 16, 2)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    fit_ridge(classifier, IMAGES, LABELS)
    changed = {name for name, tensor in classifier.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"network.fc.weight", "network.fc.bias"}


def test_what_it_cannot_do_is_refused() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 16), torch.nn.Flatten())
    classifier = AnyClassifier(torch.nn.Sequential(network, torch.nn.Linear(2, 2, bias=False)), 1, 16, 2)
    with pytest.raises(TsyndError, match="whose last layer is linear, with a bias"):
        fit_ridge(classifier, IMAGES, LABELS)
    for arm in ("probe+mixup", "guarded+pixel-ridge"):
        with pytest.raises(TsyndError, match="combines with nothing"):
            parse_arm(arm)
    assert steps_of(parse_arm("probe"), Recipe()) == 0
