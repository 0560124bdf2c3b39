"""Images of another precision than the network are converted where it is asked, and refused where it is trained."""

import copy
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
NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(256, 2)).eval()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("images", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_an_attack_moves_in_single_precision_or_wider_whatever_the_network_is(kind: torch.dtype, images: torch.dtype) -> None:
    network, given, eps = copy.deepcopy(NETWORK).to(kind), IMAGES.to(images), 2 / 255
    for attack in (robustness.pgd, robustness.apgd, robustness.fgsm, robustness.random_squares):
        found = attack(network, given, LABELS, eps=eps)
        assert found.dtype == torch.promote_types(images, torch.float32)
        moved = (found.double() - given.double()).abs()
        assert 0.9 * eps < float(moved.max()) <= eps + 1e-7
        assert float((moved > 0.4 * eps).double().mean()) > 0.9  # nothing stands still because a step rounds away


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_narrow_network_is_as_robust_as_a_wide_one(kind: torch.dtype) -> None:
    labels = NETWORK(IMAGES).argmax(dim=1)
    options: dict[str, Any] = {"draws": 1, "corruptions": (), "eps": (0.0, 0.2 / 255, 8 / 255), "attack_steps": 40}
    reports = [robustness.evaluate(NETWORK.to(each), IMAGES, labels, "binary", **options) for each in (kind, torch.float32)]
    assert reports[0]["attacks"]["pgd"] == reports[1]["attacks"]["pgd"]


def test_training_images_wider_than_the_classifier() -> None:
    with pytest.raises(TsyndError) as caught:
        train_classifier(classifier(), IMAGES.double(), LABELS, parse_arm("none"), Recipe())
    assert str(caught.value) == DOUBLE.format("Classifier")


def test_training_images_wider_than_the_autoencoder() -> None:
    with pytest.raises(TsyndError) as caught:
        train_autoencoder(build_autoencoder(1, 16, seed=0), IMAGES.double(), steps=1)
    assert str(caught.value) == DOUBLE.format("ConvAutoencoder")


def test_images_of_any_precision_are_attributed_alike() -> None:
    pytest.importorskip("captum", reason="captum is not installed (extra explain)")
    torch.testing.assert_close(attribute(classifier(), IMAGES.double()).float(), attribute(classifier(), IMAGES))


def test_what_converts_images_takes_them_in_any_precision() -> None:
    network = classifier()
    for posterior in (HeadDropout.of(network, 3, torch.Generator()), Ensemble([network, copy.deepcopy(NETWORK)])):
        assert torch.equal(mutual_information(posterior(IMAGES.double())), mutual_information(posterior(IMAGES)))
        model = robustness.averaged_model(posterior)
        assert robustness.fgsm(model, IMAGES.double(), LABELS, eps=0.1).dtype == torch.float64


def test_images_of_another_size_than_the_network() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    with pytest.raises(TsyndError, match=r"images of shape \(B, 1, 16, 16\) do not pass through Sequential: mat1 and mat2"):
        robustness.fgsm(network, IMAGES, LABELS, eps=0.1)
