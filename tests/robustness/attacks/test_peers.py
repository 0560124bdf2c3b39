"""Our attacks against those of others on trained networks, and AutoAttack by pyautoattack; skipped where the extra is absent."""

import sys
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tsynd
from tests.robustness.toys import images_and_labels, small_network, trained
from tsynd import pretrained
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.robustness.attacks.autoattack import aa_attacks, autoattack, autoattack_name
from tsynd.robustness.attacks.gradient import apgd, pgd
from tsynd.utils.rng import generator_for

pytestmark = pytest.mark.deep

EPS = (1 / 255, 3 / 255)


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed (extra attacks)")


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((model(images).argmax(dim=1) == labels).double().mean())


@cache
def of_example(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A network that comes with the package, and test images that it classifies rightly and wrongly."""
    example = getattr(pretrained, name)()
    try:
        test = tsynd.load("phantom", count=150).test if name == "phantom" else tsynd.load(name, download=False).test
    except DataUnavailable as reason:
        pytest.skip(str(reason))
    return example.classifier, test.images[:150].float() / 255, test.labels[:150]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["phantom", "breastmnist"])
def test_pgd_is_as_strong_as_that_of_foolbox(name: str) -> None:
    foolbox = library("foolbox")
    model, images, labels = of_example(name)
    theirs = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    found = []
    for eps in EPS:
        attack = foolbox.attacks.LinfPGD(abs_stepsize=eps / 8, steps=20, random_start=True)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            _, attacked, _ = attack(theirs, images, labels, epsilons=eps)
        ours = pgd(model, images, labels, eps=eps, step_size=eps / 8, steps=20, generator=generator_for(0, "start"))
        found.append(accuracy(model, ours, labels))
        assert found[-1] == pytest.approx(accuracy(model, attacked, labels), abs=0.01)
    assert accuracy(model, images, labels) > found[0] > found[1] + 0.2


@pytest.mark.parametrize("name", ["phantom", "breastmnist"])
def test_apgd_is_as_strong_as_that_of_pyautoattack(name: str) -> None:
    library("pyautoattack")
    from pyautoattack.autopgd_base import APGDAttack

    model, images, labels = of_example(name)
    with torch.no_grad():
        right = model(images).argmax(dim=1) == labels
    images, labels = images[right], labels[right]  # it attacks no others
    numbers = 2 * torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) - 1
    start = numbers / numbers.abs().amax(dim=(1, 2, 3), keepdim=True)  # where it starts from with seed 0
    found = []
    for eps in EPS:
        with torch.random.fork_rng():
            attacked = APGDAttack(model, n_iter=40, eps=eps, seed=0, device="cpu").perturb(images, labels)
        ours = apgd(model, images, labels, eps=eps, steps=40, start=start)
        found.append(accuracy(model, ours, labels))
        assert found[-1] == pytest.approx(accuracy(model, attacked, labels), abs=0.01)
    assert accuracy(model, images, labels) > found[0] > found[1] + 0.2


@pytest.mark.parametrize(("classes", "eps"), [(2, 0.12), (3, 0.1), (4, 0.08)])
def test_aa_beats_pgd_and_leaves_everything_as_it_was(classes: int, eps: float) -> None:
    library("pyautoattack")
    images, labels = images_and_labels(24, classes=classes)
    model = trained(small_network(1, 12, classes), images, labels)
    model.zero_grad()
    before, trace = torch.get_rng_state(), sys.gettrace()
    attacked = autoattack(model, images, labels, eps=eps, generator=generator_for(0, "aa"))
    assert torch.equal(torch.get_rng_state(), before)
    assert sys.gettrace() is trace
    assert (attacked - images).abs().max() <= eps + 1e-6
    assert attacked.min() >= 0 and attacked.max() <= 1
    weaker = accuracy(model, pgd(model, images, labels, eps=eps, steps=5, generator=generator_for(0, "pgd")), labels)
    assert accuracy(model, attacked, labels) <= weaker < 1
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(autoattack(model, images, labels, eps=0), images)


def test_aa_repeats_with_its_generator() -> None:
    library("pyautoattack")
    images, labels = images_and_labels(6)
    model = trained(small_network(1, 12, 2), images, labels)
    once, again = (autoattack(model, images, labels, eps=0.12, generator=generator_for(0, "aa")) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, images)


def test_aa_is_called_what_it_is() -> None:
    assert [autoattack_name(classes) for classes in (2, 3)] == ["APGD-CE + FAB-T + Square"] * 2
    assert [autoattack_name(classes) for classes in (4, 14)] == ["AutoAttack, standard"] * 2
    assert aa_attacks(4) == ("apgd-ce", "apgd-t", "fab-t", "square")
    with pytest.raises(TsyndError, match="classes must be >= 2, got 1"):
        autoattack_name(1)


def test_aa_asks_for_as_many_targets_as_there_are() -> None:
    library("pyautoattack")
    from tsynd.robustness.attacks.autoattack import _prepared

    for classes, targets in ((2, 1), (5, 4), (10, 9), (14, 9)):
        attack = _prepared(nn.Flatten(), classes, 0.1, 0, torch.device("cpu"))
        assert attack.fab.n_target_classes == attack.apgd_targeted.n_target_classes == targets
        assert attack.apgd.n_restarts == attack.fab.n_restarts == attack.apgd_targeted.n_restarts == 1
        assert attack.attacks_to_run == list(aa_attacks(classes))


def test_aa_refuses_bad_input() -> None:
    library("pyautoattack")
    images, labels = images_and_labels(4)
    model = small_network(1, 12, 2)
    for some_images, some_labels, eps, message in (
        (images, labels, -0.1, "eps must lie in"),
        (images * 255, labels, 0.1, "images must lie in"),
        (images[:0], labels[:0], 0.1, "B >= 1"),
        (images, labels + 1, 0.1, "below the model's 2 classes, got 2"),
        (images, labels[:, None], 0.1, "one label an image"),
    ):
        with pytest.raises(TsyndError, match=message):
            autoattack(model, some_images, some_labels, eps=eps)
    with pytest.raises(TsyndError, match="training mode"):
        autoattack(model.train(), images, labels, eps=0.1)


def test_aa_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsynd.robustness.attacks.autoattack.find_spec", lambda name: None)
    images, labels = images_and_labels(4)
    with pytest.raises(TsyndError, match=r"pip install 'tsynd\[attacks\]'"):
        autoattack(small_network(1, 12, 2), images, labels, eps=0.1)
