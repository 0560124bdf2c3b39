"""A posterior leaves everything as it was: modes, grad flags, buffers, hooks and the global random state."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from tests.posterior.toys import ALWAYS, FUNCTIONAL, IMAGES, Own, generator, own, plain
from tsynd.errors import TsyndError
from tsynd.posterior import Ensemble, FullDropout, HeadDropout, Posterior
from tsynd.uncertainty import mutual_information
from tsynd.utils.rng import seeded


def half_frozen(seed: int = 0) -> Own:
    """In training mode but for one layer, with one weight that needs no gradient."""
    network = own(seed=seed).train()
    network.drop.eval()
    network.first.weight.requires_grad_(False)
    return network


POSTERIORS: dict[str, Callable[[int | None], Posterior]] = {
    "full": lambda chunk: FullDropout(half_frozen(), 4, generator(), chunk),
    "head": lambda chunk: HeadDropout.from_model(half_frozen(), "drop", 4, generator=generator(), max_chunk=chunk),
    "ensemble": lambda chunk: Ensemble([half_frozen(), half_frozen(seed=1)], max_chunk=chunk),
}


@contextmanager
def untouched(posterior: Posterior) -> Iterator[None]:
    def state() -> list[object]:
        modules = [module for network in posterior.networks for module in network.modules()]
        flags = [p.requires_grad for network in posterior.networks for p in network.parameters()]
        hooks = [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in modules]
        return [[module.training for module in modules], flags, hooks]

    tensors = [tensor for network in posterior.networks for tensor in network.state_dict(keep_vars=True).values()]
    values, before, random = [tensor.detach().clone() for tensor in tensors], state(), torch.get_rng_state()
    yield
    assert state() == before
    assert torch.get_rng_state().equal(random)
    after = [tensor for network in posterior.networks for tensor in network.state_dict(keep_vars=True).values()]
    assert all(now is then for now, then in zip(after, tensors, strict=True))
    assert all(tensor.detach().equal(value) for tensor, value in zip(tensors, values, strict=True))


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("kind", POSTERIORS)
def test_after_values_and_gradients(kind: str, chunk: int | None) -> None:
    posterior = POSTERIORS[kind](chunk)
    with untouched(posterior):
        for _ in range(2):
            images = IMAGES.clone().requires_grad_()
            torch.autograd.grad(mutual_information(posterior(images)).sum(), images)
            posterior.resample(generator(1))


@pytest.mark.parametrize("kind", POSTERIORS)
def test_the_mode_that_a_network_is_in_does_not_matter(kind: str) -> None:
    posterior = POSTERIORS[kind](None)
    found = posterior(IMAGES)
    for network in posterior.networks:
        network.eval()
    torch.testing.assert_close(posterior(IMAGES), found, atol=0, rtol=0)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_after_an_exception_in_the_network(kind: str) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    for asked_before in (False, True):
        posterior = POSTERIORS[kind](None)
        if asked_before:
            posterior(IMAGES)
        layer = posterior.networks[-1].get_submodule("last")
        handle = layer.register_forward_hook(broken)
        with untouched(posterior), pytest.raises(KeyboardInterrupt):
            posterior(IMAGES)
        handle.remove()
        assert posterior(IMAGES).isfinite().all()


def test_after_an_exception_in_the_backward_pass() -> None:
    posterior = POSTERIORS["full"](3)
    images = IMAGES.clone().requires_grad_()
    value = mutual_information(posterior(images)).sum()

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    handle = posterior.networks[0].get_submodule("second").register_forward_hook(broken)
    with untouched(posterior), pytest.raises(KeyboardInterrupt):
        torch.autograd.grad(value, images)
    handle.remove()


@pytest.mark.parametrize("layer", [FUNCTIONAL, ALWAYS])
def test_after_a_refusal(layer: nn.Module) -> None:
    posterior = FullDropout(plain(nn.Dropout(0.5), nn.BatchNorm1d(8), layer).train(), 4, generator())
    with untouched(posterior), pytest.raises(TsyndError):
        posterior(IMAGES)


def test_buffers_that_change_in_training_mode_come_back() -> None:
    """The trial in training mode is the one pass that could change them: here in place, and by a new tensor."""

    class Counting(nn.Module):
        seen: Tensor
        last: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))
            self.register_buffer("last", torch.zeros(8))

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                self.seen += len(x)
                self.last = x.mean(dim=0)
            return x

    posterior = FullDropout(plain(nn.Dropout(0.5), Counting()), 4, generator())
    with untouched(posterior):
        posterior(IMAGES)


def test_weights_get_no_gradient() -> None:
    posterior = POSTERIORS["full"](None)
    images = IMAGES.clone().requires_grad_()
    mutual_information(posterior(images)).sum().backward()
    assert images.grad is not None
    assert all(parameter.grad is None for parameter in posterior.networks[0].parameters())


def test_masks_first_used_in_inference_mode_serve_gradients_later() -> None:
    posterior, images = POSTERIORS["full"](None), IMAGES.clone().requires_grad_()
    with torch.inference_mode():
        expected = posterior(IMAGES).clone()
    found = posterior(images)
    torch.testing.assert_close(found.detach(), expected)
    assert torch.autograd.grad(found.exp().square().sum(), images)[0].isfinite().all()


def test_without_a_generator_masks_come_from_the_global_state() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = FullDropout(own(), 4)(IMAGES)
        second = FullDropout(own(), 4)(IMAGES)
        torch.manual_seed(3)
        again = FullDropout(own(), 4)(IMAGES)
    assert first.equal(again) and not first.equal(second)


class InPlace(nn.Module):
    """A network that normalises what it is given in place."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with seeded(seed):
            self.rest = nn.Sequential(nn.Flatten(), nn.Linear(144, 8), nn.Dropout(0.5), nn.Linear(8, 3))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.rest(images.sub_(0.5).div_(0.25))
        return logits


@pytest.mark.parametrize(
    "of",
    [
        lambda net: FullDropout(net, 4, max_chunk=1),
        lambda net: HeadDropout.from_model(net, "rest.3", 4),
        lambda net: Ensemble([net, InPlace(seed=1).eval()]),
    ],
)
def test_a_network_that_works_in_place_leaves_the_images_as_they_were(of: Callable[[nn.Module], Posterior]) -> None:
    images = IMAGES.clone()
    posterior = of(InPlace().eval())
    first = posterior(images)
    assert torch.equal(images, IMAGES)
    torch.testing.assert_close(posterior(images), first)
