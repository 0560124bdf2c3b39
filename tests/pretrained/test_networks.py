"""Classifier and autoencoder: shapes for every size and channel count, standardised codes, clear refusals, the meta device."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tsynd.autoencoding import build_autoencoder
from tsynd.autoencoding.standardised import FLOOR
from tsynd.classification import build_classifier, classification_loss, normalise_to
from tsynd.errors import TsyndError
from tsynd.posterior import FullDropout, HeadDropout
from tsynd.targeting import target


@pytest.mark.parametrize("size", [16, 28, 33, 64, 100, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_channels(size: int, channels: int) -> None:
    images = torch.rand(2, channels, size, size)
    autoencoder, classifier = build_autoencoder(channels, size, seed=0).eval(), build_classifier(channels, size, 5, seed=0)
    codes = autoencoder.encode(images)
    maps = 16 if size < 64 else {1: 32, 3: 64}[channels]
    assert codes.shape == (2, maps * autoencoder.shape[1] ** 2)
    assert 4 <= autoencoder.shape[1] <= 16 or size == 16
    assert autoencoder.decode(codes).shape == images.shape
    assert ((autoencoder(images) >= 0) & (autoencoder(images) <= 1)).all()
    assert classifier.eval()(images).shape == (2, 5)


def test_resnet_18_is_that_of_the_benchmark() -> None:
    network = build_classifier(3, 28, 9, seed=0, architecture="resnet18").eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_173_962 - 512 - 1  # as for CIFAR-10, less a class
    assert network.trunk(torch.rand(2, 3, 28, 28)).shape == (2, 512)
    posterior = HeadDropout.from_model(network, "head", 4)  # brings its own dropout
    assert posterior(torch.rand(2, 3, 28, 28)).shape == (2, 4, 9)


def test_several_labels_are_as_many_binary_questions() -> None:
    logits, labels = torch.randn(5, 3), torch.randint(2, (5, 3)).float()
    binary = [F.cross_entropy(torch.stack([torch.zeros(5), logits[:, label]], 1), labels[:, label].long()) for label in range(3)]
    torch.testing.assert_close(classification_loss(logits, labels, multi_label=True), sum(binary))
    smooth = classification_loss(logits, labels, multi_label=True, smoothing=0.2)
    torch.testing.assert_close(smooth, classification_loss(logits, 0.8 * labels + 0.1, multi_label=True))


def test_dropout_in_the_trunk_is_channel_wise_and_changes_nothing_in_eval_mode() -> None:
    plain, wide = (build_classifier(1, 28, 2, seed=0, trunk_dropout=rate).eval() for rate in (0.0, 0.3))
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(plain(images), wide(images), atol=0, rtol=0)
    assert FullDropout(wide, 4)(images).shape == (2, 4, 2)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"architecture": "resnet19"}, "unknown classifier 'resnet19': did you mean 'resnet18'"),
        ({"trunk_dropout": 1.0}, r"trunk_dropout must be in \[0, 1\), got 1\.0"),
        ({"architecture": "resnet18", "trunk_dropout": 0.1}, r"trunk_dropout must be 0 for resnet18, got 0\.1"),
        ({"classes": 0, "multi_label": True}, "at least 1 label, got size=28, classes=0"),
    ],
)
def test_impossible_classifiers_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        build_classifier(**{"channels": 1, "size": 28, "classes": 2, "seed": 0, **setting})


def test_codes_are_standardised_with_a_floor() -> None:
    images = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    autoencoder = build_autoencoder(1, 28, seed=0)
    autoencoder.standardise(images)
    with torch.no_grad():
        codes = autoencoder.encode(images)
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(256), atol=1e-4, rtol=0)
    deviations = codes.std(dim=0, correction=0)
    assert (deviations < 1 + 1e-3).all()
    free = autoencoder.std > autoencoder.std.min() * 1.001
    torch.testing.assert_close(deviations[free], torch.ones(int(free.sum())), atol=1e-3, rtol=0)
    assert autoencoder.std.min() >= FLOOR * (deviations * autoencoder.std).square().mean().sqrt() * 0.999


def test_one_image_or_equal_images_do_not_divide_by_zero() -> None:
    autoencoder = build_autoencoder(1, 28, seed=0)
    autoencoder.standardise(torch.zeros(1, 1, 28, 28))
    assert autoencoder.encode(torch.rand(2, 1, 28, 28)).isfinite().all()
    classifier = build_classifier(1, 28, 2, seed=0).eval()
    normalise_to(classifier, torch.zeros(3, 1, 28, 28))
    assert classifier(torch.zeros(2, 1, 28, 28)).isfinite().all()


def test_initialisation_depends_on_the_seed_only() -> None:
    torch.manual_seed(5)
    first = build_classifier(1, 28, 2, seed=3).state_dict()
    before = torch.get_rng_state()
    second = build_classifier(1, 28, 2, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.1.weight"], build_classifier(1, 28, 2, seed=4).state_dict()["head.1.weight"])


def test_a_whole_search_runs_on_the_meta_device() -> None:
    """Finds tensors that are made on the wrong device, on a machine without a GPU."""
    device = torch.device("meta")
    autoencoder, classifier = build_autoencoder(3, 28, seed=0).to(device), build_classifier(3, 28, 4, seed=0).to(device)
    images, labels = torch.rand(2, 3, 28, 28, device=device), torch.zeros(2, dtype=torch.int64, device=device)
    found = target(images, labels, autoencoder, HeadDropout.of(classifier, 8), generator=torch.Generator().manual_seed(0))
    assert found.images.device == device
    assert found.mutual_information_after.shape == (2,)


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 32, 32), (1, 28, 28)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    for network in (build_classifier(1, 28, 2, seed=0), build_autoencoder(1, 28, seed=0)):
        with pytest.raises(TsyndError, match=r"images must have shape \(B, 1, 28, 28\), got"):
            network(torch.zeros(shape))


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(TsyndError, match=r"size (must be )?>= 16"):
        build_classifier(1, 8, 2, seed=0)
    with pytest.raises(TsyndError, match="at least 2 classes"):
        build_classifier(1, 28, 1, seed=0)
    with pytest.raises(TsyndError, match=r"size (must be )?>= 16"):
        build_autoencoder(1, 8, seed=0)
