"""Images of another precision or size than the network: refused in one line where they are multiplied, taken where converted."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.bad.calls import IMAGES, LABELS, classifier
from tsynd import robustness
from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.errors import TsyndError
from tsynd.posterior import Ensemble, HeadDropout
from tsynd.robustness.attribution import attribute
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.uncertainty import mutual_information

DOUBLE = "images are float64 and {} is float32: call .float() on the images, or .double() on the network"
REFUSING: dict[str, Callable[[], Any]] = {
    "pgd": lambda: robustness.pgd(classifier(), IMAGES.double(), LABELS, eps=0.1),
    "random_squares": lambda: robustness.random_squares(classifier(), IMAGES.double(), LABELS, eps=0.1),
    "checks_before": lambda: robustness.checks_before(classifier(), IMAGES.double(), LABELS),
    "expected": lambda: robustness.eot_model(classifier(), draws=2)(IMAGES.double()),
    "evaluate": lambda: robustness.evaluate(classifier(), IMAGES.double(), LABELS, "binary"),
    "train_classifier": lambda: train_classifier(classifier(), IMAGES.double(), LABELS, parse_arm("none"), Recipe()),
}


@pytest.mark.parametrize("name", REFUSING)
def test_images_wider_than_the_network_that_multiplies_them(name: str) -> None:
    with pytest.raises(TsyndError) as caught:
        REFUSING[name]()
    assert str(caught.value) == DOUBLE.format("Classifier")


def test_training_images_wider_than_the_autoencoder() -> None:
    with pytest.raises(TsyndError) as caught:
        train_autoencoder(build_autoencoder(1, 16, seed=0), IMAGES.double(), steps=1)
    assert str(caught.value) == DOUBLE.format("ConvAutoencoder")


def test_attributed_images_wider_than_the_network() -> None:
    pytest.importorskip("captum", reason="captum is not installed (extra explain)")
    with pytest.raises(TsyndError) as caught:
        attribute(classifier(), IMAGES.double())
    assert str(caught.value) == DOUBLE.format("Classifier")


def test_what_converts_images_takes_them_in_any_precision() -> None:
    network = classifier()
    for posterior in (HeadDropout.of(network, 3, torch.Generator()), Ensemble([network, nn.Sequential(network).eval()])):
        assert torch.equal(mutual_information(posterior(IMAGES.double())), mutual_information(posterior(IMAGES)))
        model = robustness.averaged_model(posterior)
        assert robustness.fgsm(model, IMAGES.double(), LABELS, eps=0.1).dtype == torch.float64


def test_a_network_in_double_takes_images_in_double_and_says_so_of_others() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2)).double().eval()
    assert robustness.pgd(network, IMAGES.double(), LABELS, eps=0.1, steps=1).dtype == torch.float64
    robustness.evaluate(network, IMAGES.double(), LABELS, "binary", draws=1, corruptions=(), eps=(0.0, 0.1), attack_steps=1)
    with pytest.raises(TsyndError, match=r"images are float32 and Sequential is float64: call \.double\(\) on the images"):
        robustness.pgd(network, IMAGES, LABELS, eps=0.1)


def test_images_of_another_size_than_the_network() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    with pytest.raises(TsyndError, match=r"images of shape \(4, 1, 16, 16\) do not pass through Sequential: mat1 and mat2"):
        robustness.fgsm(network, IMAGES, LABELS, eps=0.1)
