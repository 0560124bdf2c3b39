"""Folded copies: equal outputs and gradients, and an original that stays as it was."""

import pytest
import torch
from torch import nn

from tsynd.classification import build_classifier
from tsynd.utils.folding import folded


@pytest.mark.parametrize("architecture", ["compact", "resnet18"])
def test_a_folded_classifier_gives_the_same_logits_and_gradients(architecture: str) -> None:
    classifier = build_classifier(1, 28, 3, seed=0, architecture=architecture).train()
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        classifier(images)  # running statistics away from 0 and 1
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    fast = folded(classifier)
    classifier.eval()
    images.requires_grad_()
    plain, same = classifier(images), fast(images)
    torch.testing.assert_close(same, plain, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad(logits.square().sum(), images)[0] for logits in (plain, same)]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fast.modules())
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())


def test_a_norm_without_statistics_stays() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    assert isinstance(folded(network)[1], nn.BatchNorm2d)


class Summed(nn.Sequential):
    """A Sequential whose forward adds its first output once more."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self[0](images)
        return self[1](maps) + maps


def test_layers_that_are_not_used_in_order_stay() -> None:
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)]
    hooked = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    hooked[0].register_forward_hook(lambda layer, images, maps: 2 * maps)
    reused = nn.ModuleList([nn.Sequential(*layers), layers[0]])
    replaced = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    replaced[0].forward = lambda images: images.expand(-1, 2, -1, -1)
    for network in (Summed(*layers), reused, hooked, replaced):
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in folded(network).modules())
