"""Head dropout: one trunk pass, masks fixed and shared, the same however the batch is split."""

import pytest
import torch
from torch import nn

from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.modes import frozen
from tsynd.posterior import HeadDropout
from tsynd.uncertainty import mutual_information

IMAGES = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def posterior(samples: int = 8) -> HeadDropout:
    classifier = build_classifier(1, 28, 3, seed=0).eval()
    return HeadDropout.of(classifier, samples, torch.Generator().manual_seed(0))


@torch.no_grad()
def test_samples_are_held_until_resample() -> None:
    some = posterior()
    first = some(IMAGES)
    assert first.shape == (6, 8, 3)
    torch.testing.assert_close(first, some(IMAGES), atol=0, rtol=0)
    some.resample(torch.Generator().manual_seed(1))
    assert (first - some(IMAGES)).abs().max() > 1e-3
    some.resample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(first, some(IMAGES), atol=0, rtol=0)


@torch.no_grad()
def test_does_not_depend_on_how_the_batch_is_split() -> None:
    some = posterior()
    split = torch.cat([some(IMAGES[:2]), some(IMAGES[2:])])
    torch.testing.assert_close(some(IMAGES), split, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_equals_the_network_run_once_for_each_mask() -> None:
    classifier = build_classifier(1, 28, 3, seed=0).eval()
    some = HeadDropout.of(classifier, 8, torch.Generator().manual_seed(0))
    fast = some(IMAGES)
    for k in range(8):
        x = classifier.trunk(IMAGES)
        for index, layer in enumerate(classifier.head):
            x = x * some._masks[index][k] if isinstance(layer, nn.Dropout) else layer(x)
        torch.testing.assert_close(fast[:, k], x.log_softmax(-1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_masks_keep_the_mean_and_have_the_rate() -> None:
    some = posterior(samples=4096)
    some(IMAGES)
    for mask in some._masks.values():
        assert set(mask.unique().tolist()) == {0.0, 2.0}
        assert abs(float(mask.mean()) - 1) < 0.02
    assert (mutual_information(some(IMAGES)) > 0).all()


def test_gradient_reaches_the_images_and_nothing_else_changes() -> None:
    some = posterior()
    network = some.networks[0].train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = IMAGES.clone().requires_grad_()
    with frozen(network):
        (gradient,) = torch.autograd.grad(mutual_information(some(images)).sum(), images)
    assert gradient.abs().max() > 0
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], atol=0, rtol=0)


def test_a_head_without_dropout_is_refused() -> None:
    with pytest.raises(TsyndError, match="has no dropout"):
        HeadDropout(nn.Flatten(), nn.Sequential(nn.Linear(4, 2)), (), 8)


def test_fewer_than_two_samples_are_refused() -> None:
    with pytest.raises(TsyndError, match="samples must be >= 2"):
        posterior(samples=1)
