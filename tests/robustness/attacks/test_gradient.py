"""Attacks reach known optima, stay in their ball, weaken the model as eps grows, and leave everything as it was."""

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tests.robustness.toys import images_and_labels, small_network, trained
from tsynd.errors import TsyndError
from tsynd.robustness.attacks.gradient import apgd, fgsm, pgd

# Every attack, as briefly as it can be called; what must hold of all of them is asked of all of them.
ATTACKS: dict[str, Callable[..., Tensor]] = {
    "pgd": partial(pgd, steps=3),
    "apgd": partial(apgd, steps=20),
    "fgsm": fgsm,
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def toy() -> tuple[nn.Sequential, Tensor, Tensor]:
    images, labels = images_and_labels(60, classes=3)
    return trained(small_network(1, 12, 3), images, labels), images, labels


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((model(images).argmax(dim=1) == labels).double().mean())


def test_accuracy_falls_with_eps_and_a_huge_eps_leaves_nothing(toy: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    model, images, labels = toy
    sizes = (0.0, 0.03, 0.06, 0.08, 0.09, 0.1, 0.5)
    accuracies = [accuracy(model, pgd(model, images, labels, eps=eps, generator=seeded()), labels) for eps in sizes]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] == accuracy(model, images, labels) == 1
    assert accuracies[-1] < 0.05
    assert 0.05 < accuracies[4] < 0.95


def test_is_stronger_than_fgsm_and_than_its_own_last_iterate(toy: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    model, images, labels = toy
    eps, steps = 0.09, 10
    start = 2 * torch.rand(images.shape, generator=seeded()) - 1
    attacked = pgd(model, images, labels, eps=eps, steps=steps, start=start)
    last = images + eps * start
    for _ in range(steps):  # written naively
        last = last.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(last), labels), last)
        last = torch.clamp(images + (last + 0.25 * eps * gradient.sign() - images).clamp(-eps, eps), 0, 1).detach()
    weaker = (accuracy(model, last, labels), accuracy(model, fgsm(model, images, labels, eps=eps), labels))
    assert accuracy(model, attacked, labels) <= min(weaker)
    loss, last_loss = (F.cross_entropy(model(x), labels, reduction="none") for x in (attacked, last))
    wrong, last_wrong = model(attacked).argmax(dim=1) != labels, model(last).argmax(dim=1) != labels
    assert (wrong >= last_wrong).all()
    assert (loss >= last_loss - 1e-5)[wrong == last_wrong].all()


@given(eps=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_stays_in_the_ball_and_in_the_unit_interval(eps: float, seed: int) -> None:
    images, labels = torch.rand(3, 3, 12, 12, generator=seeded(seed)), torch.tensor([0, 1, 1])
    model = small_network(3, 12, 2)
    for attack in ATTACKS.values():
        with torch.random.fork_rng():  # their random starts
            torch.manual_seed(seed)
            attacked = attack(model, images, labels, eps=eps)
        assert (attacked - images).abs().max() <= eps + 1e-6
        assert attacked.min() >= 0
        assert attacked.max() <= 1
        assert not attacked.requires_grad
        assert attacked.dtype == images.dtype


def test_confidence_does_not_hide_from_the_attack(toy: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    """Logits a thousand times as large: the same decisions, but a cross-entropy that rounds to 0."""
    model, images, labels = toy
    attacked = [
        pgd(lambda x, factor=factor: factor * model(x), images, labels, eps=0.09, generator=seeded())  # type: ignore[misc]
        for factor in (1.0, 1000.0)
    ]
    assert accuracy(model, attacked[1], labels) <= accuracy(model, attacked[0], labels) < 0.95


@pytest.mark.parametrize("kind", ATTACKS)
def test_eps_zero_returns_the_images(kind: str, toy: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    model, images, labels = toy
    assert torch.equal(ATTACKS[kind](model, images, labels, eps=0), images)


def test_reaches_the_optimum_of_a_linear_model() -> None:
    linear = nn.Linear(36, 2, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), linear).eval()
    images, labels = torch.rand(8, 1, 6, 6, generator=seeded(), dtype=torch.float64), torch.arange(8) % 2
    weight = linear.weight.detach()
    uphill = torch.stack([weight[1 - y] - weight[y] for y in labels.tolist()]).view(8, 1, 6, 6).sign()
    optimum = (images + 0.1 * uphill).clamp(0, 1)
    assert (pgd(model, images, labels, eps=0.1, steps=20, generator=seeded()) - optimum).abs().max() < 1e-9
    assert (apgd(model, images, labels, eps=0.1, steps=20, generator=seeded()) - optimum).abs().max() < 1e-9
    assert (fgsm(model, images, labels, eps=0.1) - optimum).abs().max() < 1e-9


def test_does_not_depend_on_batches(toy: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    model, images, labels = toy
    start = 2 * torch.rand(images.shape, generator=seeded()) - 1
    generator = seeded()
    whole = pgd(model, images, labels, eps=0.05, start=start, steps=5)
    parts = list(zip(images.split(7), labels.split(7), start.split(7), strict=True))
    given = [pgd(model, x, y, eps=0.05, start=s, steps=5) for x, y, s in parts]
    drawn = [pgd(model, x, y, eps=0.05, generator=generator, steps=5) for x, y, _ in parts]
    for batched in (given, drawn):
        same = ((torch.cat(batched) - whole).abs() < 1e-6).double().mean()
        assert same > 0.99  # a gradient of 0 up to rounding may take either sign


class Failing(nn.Module):
    """A network that fails at its second call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("on purpose")
        logits: Tensor = self.network(images)
        return logits


@pytest.mark.parametrize("attack", [pgd, apgd])
@pytest.mark.parametrize("fails", [False, True])
def test_leaves_model_and_random_state_as_they_were(attack: Callable[..., Tensor], fails: bool) -> None:
    images, labels = images_and_labels(8)
    model: nn.Module = small_network(1, 12, 2)
    next(model.parameters()).requires_grad_(False)
    model = Failing(model).eval() if fails else model
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    flags = [p.requires_grad for p in model.parameters()]
    if fails:
        with pytest.raises(TsyndError, match="do not pass through Failing: on purpose"):
            attack(model, images, labels, eps=0.1, generator=seeded())
    else:
        with torch.no_grad():  # gradients are switched on inside, and off again
            attack(model, images, labels, eps=0.1, generator=seeded())
            assert not torch.is_grad_enabled()
    assert [p.requires_grad for p in model.parameters()] == flags
    assert True in flags
    assert False in flags
    assert all(p.grad is None for p in model.parameters())
    assert not any(m.training for m in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert images.grad is None
    assert not images.requires_grad


def test_attacks_any_function_of_the_images() -> None:
    images, labels = images_and_labels(8)
    members = [small_network(1, 12, 2, seed) for seed in range(3)]

    def average(batch: Tensor) -> Tensor:
        return torch.stack([member(batch).softmax(dim=1) for member in members]).mean(dim=0).log()

    attacked = pgd(average, images, labels, eps=0.1, generator=seeded())
    assert F.cross_entropy(average(attacked), labels) > F.cross_entropy(average(images), labels)


@pytest.mark.parametrize("kind", ATTACKS)
def test_bad_input_is_refused(kind: str) -> None:
    attack = ATTACKS[kind]
    images, labels = images_and_labels(4)
    model = small_network(1, 12, 2)
    cases: list[tuple[Tensor, Tensor, float, str]] = [
        (images, labels, -0.1, "eps must lie in"),
        (images, labels, 1.1, "eps must lie in"),
        (images, labels, float("nan"), "eps must lie in"),
        (images * 255, labels, 0.1, "images must lie in"),
        (images * torch.nan, labels, 0.1, "images must lie in"),
        (images[:0], labels[:0], 0.1, "B >= 1"),
        ((images * 255).byte(), labels, 0.1, "float"),
        (images, labels + 1, 0.1, "labels must lie in 0 .. 1, got 1 .. 2"),
        (images, labels - 1, 0.1, "labels must be >= 0"),
        (images, labels[:2], 0.1, "labels must be int64"),
        (images, labels.float(), 0.1, "labels must be int64"),
    ]
    for some_images, some_labels, eps, message in cases:
        with pytest.raises(TsyndError, match=message):
            attack(model, some_images, some_labels, eps=eps)
    with pytest.raises(TsyndError, match="training mode"):
        attack(model.train(), images, labels, eps=0.1)
    with pytest.raises(TsyndError, match="logits"):
        attack(lambda batch: batch.sum(dim=(1, 2, 3)), images, labels, eps=0.1)


@pytest.mark.parametrize("attack", [pgd, apgd])
def test_bad_steps_are_refused(attack: Callable[..., Tensor]) -> None:
    images, labels = images_and_labels(4)
    model = small_network(1, 12, 2)
    with pytest.raises(TsyndError, match="steps must be >= 1, got 0"):
        attack(model, images, labels, eps=0.1, steps=0)
    with pytest.raises(TsyndError, match="step_size must be > 0"):
        attack(model, images, labels, eps=0.1, step_size=-0.1)


def test_an_attack_on_several_sure_labels_still_finds_its_way() -> None:
    with torch.no_grad():
        network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
        network[1].get_parameter("weight").copy_(torch.stack([torch.ones(16), -torch.ones(16)]))
        network[1].get_parameter("bias").copy_(torch.tensor([200.0, -200.0]))  # cross-entropies and their gradients round to 0
    images, labels = torch.full((1, 1, 4, 4), 0.5), torch.tensor([[1, 0]])
    attacked = pgd(network, images, labels, eps=0.1, steps=5, start=torch.zeros_like(images))
    torch.testing.assert_close(attacked, torch.full_like(images, 0.4))
    found = apgd(network, images, labels, eps=0.1, steps=5, start=torch.zeros_like(images))
    torch.testing.assert_close(found, torch.full_like(images, 0.4))
    torch.testing.assert_close(fgsm(network, images, labels, eps=0.1), torch.full_like(images, 0.4))
    with pytest.raises(TsyndError, match=r"0 or 1 of the logits' shape \(B, 2\), got \(1, 3\)"):
        pgd(network, images, torch.zeros(1, 3, dtype=torch.int64), eps=0.1)
