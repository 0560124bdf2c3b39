"""Attribution: closed forms on linear models, mass inside masks, random weights, and networks as they were."""

import pytest
import torch
from torch import Tensor, nn

from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.robustness.attribution import METHODS, attribute, mass_inside, randomised

captum = pytest.importorskip("captum", reason="captum is not installed (extra explain)")


def linear() -> tuple[nn.Module, Tensor]:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 3))
    return network.eval(), torch.rand(5, 2, 4, 4, generator=torch.Generator().manual_seed(0))


def test_integrated_gradients_of_a_linear_model_are_weight_times_distance_from_the_baseline() -> None:
    network, x = linear()
    classes = torch.tensor([0, 1, 2, 1, 0])
    weights = network[1].weight.detach()[classes].view(5, 2, 4, 4)  # type: ignore[index]
    found = attribute(network, x, classes=classes, baseline=0.25)
    assert torch.allclose(found, (weights * (x - 0.25)).sum(dim=1).abs(), atol=1e-5)


def test_without_classes_the_predicted_ones_are_explained() -> None:
    network, x = linear()
    assert torch.equal(attribute(network, x), attribute(network, x, classes=network(x).argmax(dim=1)))


def test_the_baseline_is_the_mean_that_the_network_normalises_by() -> None:
    classifier = build_classifier(1, 28, 2, seed=0).eval()
    x = classifier.mean.expand(2, 1, 28, 28).clone()
    assert attribute(classifier, x).abs().max() < 1e-6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 40)])
def test_maps_have_the_size_of_the_image_and_are_not_negative(method: str, channels: int, size: int) -> None:
    classifier = build_classifier(channels, size, 3, seed=0).eval()
    maps = attribute(classifier, torch.rand(4, channels, size, size), method)
    assert maps.shape == (4, size, size)
    assert (maps >= 0).all()
    assert not maps.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_batches_do_not_change_the_maps(method: str) -> None:
    classifier = build_classifier(1, 28, 2, seed=0).eval()
    x = torch.rand(70, 1, 28, 28)
    assert torch.allclose(attribute(classifier, x, method)[66:], attribute(classifier, x[66:], method), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_and_random_numbers_are_as_before(method: str) -> None:
    classifier = build_classifier(1, 28, 2, seed=0)
    classifier.train()
    before, state = {name: value.clone() for name, value in classifier.state_dict().items()}, torch.get_rng_state()
    attribute(classifier, torch.rand(2, 1, 28, 28, generator=torch.Generator()), method)
    randomised(classifier)
    assert all(module.training for module in classifier.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in classifier.parameters())
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module._backward_hooks for module in classifier.modules())


def test_mass_inside() -> None:
    maps = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 4.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    masks = torch.tensor([[0.0, 1.0], [0.0, 0.5]]).expand(3, 2, 2)
    found = mass_inside(maps, masks)
    assert found[:2].tolist() == [masks[0].mean().item(), 1.0]
    assert found[2].isnan()


def test_randomised_weights_differ_everywhere_and_buffers_stay() -> None:
    classifier = build_classifier(1, 28, 2, seed=0).eval()
    classifier.mean.fill_(0.123)
    one, two = randomised(classifier, 1), randomised(classifier, 2)
    assert float(one.mean.flatten()) == pytest.approx(0.123)  # type: ignore[operator]
    for (name, old), first, second in zip(classifier.named_parameters(), one.parameters(), two.parameters(), strict=True):
        if old.ndim > 1:
            assert not torch.equal(first, old), name
            assert not torch.equal(first, second), name


def test_bad_input() -> None:
    network, x = linear()
    with pytest.raises(TsyndError, match="unknown method of attribution 'gradcam': did you mean 'grad_cam'"):
        attribute(network, x, "gradcam")
    with pytest.raises(TsyndError, match="grad_cam needs the layer"):
        attribute(network, x, "grad_cam")
    with pytest.raises(TsyndError, match=r"images must lie in \[0, 1\], got 1 to 2"):
        attribute(network, torch.ones(1, 2, 4, 4).repeat(2, 1, 1, 1) * torch.tensor([1.0, 2.0]).view(2, 1, 1, 1))
    with pytest.raises(TsyndError, match="images must be float"):
        attribute(network, x[:0])
    with pytest.raises(TsyndError, match=r"classes must lie in 0 .. 2, got 0 .. 3"):
        attribute(network, x, classes=torch.tensor([0, 1, 2, 3, 0]))
    with pytest.raises(TsyndError, match="maps and masks must both be"):
        mass_inside(torch.ones(2, 3, 3), torch.ones(3, 3))
    with pytest.raises(TsyndError, match="maps must be finite and >= 0, got -1 to -1"):
        mass_inside(-torch.ones(1, 2, 2), torch.ones(1, 2, 2))

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

    with pytest.raises(TsyndError, match="a Own has weights but no reset_parameters"):
        randomised(Own())
