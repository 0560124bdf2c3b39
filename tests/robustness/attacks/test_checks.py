"""Each check passes on an honest network and fails, alone or with what follows from it, on the fault that it is for."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.robustness.toys import images_and_labels, small_network, trained
from tsynd.errors import TsyndError
from tsynd.robustness.attacks import Check, checks_after, checks_before
from tsynd.robustness.attacks.gradient import apgd, fgsm, pgd
from tsynd.robustness.attacks.square import random_squares

EPS = 0.09
Toy = tuple[nn.Module, Tensor, Tensor]


@pytest.fixture(scope="module")
def toy() -> Toy:
    images, labels = images_and_labels(100, classes=3)
    return trained(small_network(1, 12, 3), images, labels), images, labels


def failed(checks: list[Check]) -> set[str]:
    assert all(str(check).endswith("(see chapter 6)") != check.passed for check in checks)
    assert all(len(check.message) > 60 for check in checks if not check.passed), "a failure explains itself"
    return {check.name for check in checks if not check.passed}


def test_an_honest_network_passes_all(toy: Toy) -> None:
    before = torch.get_rng_state()
    flags = [parameter.requires_grad for parameter in toy[0].parameters()]
    checks = checks_before(*toy)
    assert [check.name for check in checks] == ["deterministic", "logits", "gradients", "uphill", "classes"]
    assert failed(checks) == set()
    for attack in (pgd, apgd):
        after = checks_after(*toy, attack, eps=EPS, steps=40)
        assert [check.name for check in after] == ["ball", "eps 0", "monotone", "steps", "huge eps", "black box"]
        assert failed(after) == set(), [str(check) for check in after]
    assert torch.equal(torch.get_rng_state(), before)
    assert flags == [parameter.requires_grad for parameter in toy[0].parameters()]
    assert not any(module.training for module in toy[0].modules())


class Shaky(nn.Module):
    """Draws new noise in every call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits + 0.05 * torch.randn_like(logits)


class Backwards(torch.autograd.Function):
    """The identity, with a gradient that points the wrong way."""

    @staticmethod
    def forward(ctx: object, images: Tensor) -> Tensor:
        return images.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return -gradient


FAULTS: list[tuple[str, Callable[[nn.Module], Callable[[Tensor], Tensor]], set[str]]] = [
    ("randomised", lambda network: Shaky(network).eval(), {"deterministic"}),
    ("probabilities", lambda network: lambda x: network(x).softmax(dim=1), {"logits"}),
    ("huge logits", lambda network: lambda x: 1e4 * network(x), {"gradients"}),
    ("rounded images", lambda network: lambda x: network((8 * x).round() / 8), {"gradients", "uphill"}),
    ("no gradient", lambda network: lambda x: network(x.detach()), {"gradients", "uphill"}),
    ("wrong way", lambda network: lambda x: network(Backwards.apply(x)), {"uphill"}),
]


@pytest.mark.parametrize(("fault", "spoil", "expected"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_planted_fault_is_found_before(
    toy: Toy, fault: str, spoil: Callable[[nn.Module], Callable[[Tensor], Tensor]], expected: set[str]
) -> None:
    network, images, labels = toy
    assert expected <= failed(checks_before(spoil(network), images, labels)) <= expected | {"uphill"}


def test_too_few_classes_for_a_loss() -> None:
    images, labels = images_and_labels(8)
    network = small_network(1, 12, 2)
    assert failed(checks_before(network, images, labels, ["pgd", "apgd-ce", "fab-t", "square"])) == set()
    for name in ("apgd-dlr", "apgd-t"):
        assert failed(checks_before(network, images, labels, [name])) == {"classes"}
    several = torch.stack([labels, 1 - labels], dim=1)
    assert failed(checks_before(network, images, several, ["pgd"])) == set()
    assert failed(checks_before(network, images, several, ["square"])) == {"classes"}


def nothing(model: nn.Module, images: Tensor, labels: Tensor, **options: object) -> Tensor:
    return images.clone()


def too_far(model: nn.Module, images: Tensor, labels: Tensor, *, eps: float, **options: object) -> Tensor:
    return pgd(model, images, labels, eps=min(0.5, 2 * eps), steps=40)


def noisy(model: nn.Module, images: Tensor, labels: Tensor, **options: object) -> Tensor:
    return (images + 4 * torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) - 2).clamp(0, 1)


def stuck(model: nn.Module, images: Tensor, labels: Tensor, *, eps: float, **options: object) -> Tensor:
    """In a large ball it finds less than in a small one."""
    return pgd(model, images, labels, eps=eps if eps <= EPS else eps / 10, steps=40)


def tired(model: nn.Module, images: Tensor, labels: Tensor, *, eps: float, steps: int, **options: object) -> Tensor:
    """More steps find less."""
    return pgd(model, images, labels, eps=eps * min(1.0, 20 / steps), steps=20)


def short(model: nn.Module, images: Tensor, labels: Tensor, *, eps: float, steps: int, **options: object) -> Tensor:
    """Steps so small that it does not reach the edge of its ball."""
    return pgd(model, images, labels, eps=eps, step_size=max(eps / 60, 1e-9), steps=steps, start=torch.zeros_like(images))


def test_planted_faults_of_attacks_are_found_after(toy: Toy) -> None:
    found = {attack: failed(checks_after(*toy, attack, eps=EPS)) for attack in (nothing, too_far, noisy, stuck, tired, short)}
    assert found[nothing] >= {"huge eps", "black box"}
    assert found[too_far] == {"ball"}
    assert found[noisy] >= {"ball", "eps 0"}
    assert found[stuck] >= {"monotone"}
    assert found[tired] >= {"steps"}
    assert found[short] >= {"steps"}


def test_masked_gradients_are_found_after(toy: Toy) -> None:
    """Images rounded to nine levels: no gradient at all, and yet random search finds the errors."""
    network, images, labels = toy

    def masked(x: Tensor) -> Tensor:
        logits: Tensor = network((8 * x).round() / 8 + 0 * x)
        return logits

    assert failed(checks_after(masked, images, labels, eps=EPS)) >= {"huge eps", "black box"}


def test_bad_input_is_refused(toy: Toy) -> None:
    network, images, labels = toy
    with pytest.raises(TsyndError, match="did you mean 'apgd-ce'"):
        checks_before(network, images, labels, ["apgd_ce"])
    for eps in (0.0, -0.1, 0.5, 2.0):
        with pytest.raises(TsyndError, match="eps must lie between 0 and"):
            checks_after(network, images, labels, eps=eps)
    for some_images, some_labels, message in (
        (images * 255, labels, "images must lie in"),
        (images[:0], labels[:0], "B >= 1"),
        (images, labels + 1, "labels must lie in 0 .. 2, got 1 .. 3"),
    ):
        with pytest.raises(TsyndError, match=message):
            checks_before(network, some_images, some_labels)
        with pytest.raises(TsyndError, match=message):
            checks_after(network, some_images, some_labels, eps=0.1)
    with pytest.raises(TsyndError, match="queries must be >= 1, got 0"):
        random_squares(network, images, labels, eps=0.1, queries=0)
    training = small_network(1, 12, 3).train()
    with pytest.raises(TsyndError, match="training mode"):
        checks_before(training, images, labels)


def test_random_search_finds_more_than_noise_and_less_than_gradients(toy: Toy) -> None:
    network, images, labels = toy

    def held(attacked: Tensor) -> float:
        assert (attacked - images).abs().max() <= EPS + 1e-6
        assert attacked.min() >= 0 and attacked.max() <= 1
        with torch.no_grad():
            return float((network(attacked).argmax(dim=1) == labels).double().mean())

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(0)

    noise = (images + EPS * (2 * torch.rand(images.shape, generator=seeded()) - 1)).clamp(0, 1)
    squares = [held(random_squares(network, images, labels, eps=EPS, queries=n, generator=seeded())) for n in (1, 50, 400)]
    assert held(noise) > squares[2] + 0.1
    assert squares == sorted(squares, reverse=True)
    assert squares[2] >= held(pgd(network, images, labels, eps=EPS, steps=40, generator=seeded()))
    assert held(fgsm(network, images, labels, eps=EPS)) < held(noise)
