"""What would give silently wrong numbers is refused at every door, in one line; what is sound passes all of them unharmed."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tsynd import robustness
from tsynd.errors import TsyndError
from tsynd.posterior import Ensemble, FullDropout, HeadDropout
from tsynd.targeting import target
from tsynd.utils.network_trial import tried
from tsynd.utils.rng import seeded

IMAGES = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS, SEVERAL = torch.arange(12) % 3, torch.arange(36).view(12, 3) % 2
SMALL: dict[str, Any] = {"draws": 1, "corruptions": (), "eps": (0.0, 0.1), "attack_steps": 2}


class Network(nn.Module):
    """Two linear layers with dropout between them, and what a fault does to their input and output."""

    def __init__(self, first: Callable[[Tensor], Tensor] | None = None, last: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        with seeded(0):
            self.rest = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
        self.first, self.last = first or (lambda x: x), last or (lambda x: x)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.rest(self.first(images)))


def spoiled(value: float) -> Network:
    network: Any = Network()
    with torch.no_grad():
        network.rest[1].weight[0, 0] = value
    return network


def lazy() -> Network:
    network = Network()
    network.rest[1] = nn.LazyLinear(16).eval()
    return network


def other() -> Network:
    network: Any = Network()
    with torch.no_grad():
        network.rest[1].weight.mul_(2)
    return network


def attributed(network: nn.Module, labels: Tensor) -> Tensor:
    pytest.importorskip("captum", reason="captum is not installed (extra explain)")
    from tsynd.robustness.attribution import attribute

    return attribute(network, IMAGES)


def evaluated(network: nn.Module, labels: Tensor) -> Any:
    return robustness.evaluate(network, IMAGES, labels, "multi-label" if labels.ndim == 2 else "multi-class", **SMALL)["attacks"]


def asked(posterior: Callable[[nn.Module], Any]) -> Callable[[nn.Module, Tensor], Any]:
    return lambda network, labels: posterior(network)(IMAGES)


def searched(network: nn.Module, labels: Tensor) -> Any:
    return target(IMAGES, labels, None, FullDropout(network, 4, torch.Generator().manual_seed(0)), space="pixel", steps=1)


Door = Callable[[nn.Module, Tensor], Any]
ATTACKS: dict[str, Door] = {
    name: lambda network, labels, name=name: getattr(robustness, name)(network, IMAGES, labels, eps=0.1)  # type: ignore[misc]
    for name in ("pgd", "apgd", "fgsm", "random_squares")
}
POSTERIORS: dict[str, Door] = {
    "FullDropout": asked(lambda network: FullDropout(network, 4, torch.Generator().manual_seed(0))),
    "HeadDropout": asked(
        lambda network: HeadDropout.from_model(network, "rest.4", 4, generator=torch.Generator().manual_seed(0))
    ),
    "Ensemble": asked(lambda network: Ensemble([other(), network])),
    "target": searched,
}
CHECKS: dict[str, Door] = {
    "checks_before": lambda network, labels: robustness.checks_before(network, IMAGES, labels),
    "checks_after": lambda network, labels: robustness.checks_after(network, IMAGES, labels, eps=0.1, steps=2, queries=2),
}
DOORS: dict[str, Door] = ATTACKS | POSTERIORS | CHECKS | {"evaluate": evaluated, "attribute": attributed}
REPORTED = ("checks_before",)  # says it as a check, and does not raise
BLIND = ("random_squares", "FullDropout", "HeadDropout", "Ensemble")  # needs no gradient here
FLAT = (*REPORTED, *BLIND, "checks_after")  # which is made to find it

FAULTS: dict[str, tuple[Callable[[], nn.Module], str, tuple[str, ...]]] = {
    "NaN weight": (lambda: spoiled(float("nan")), "weights that are NaN or infinite: rest.1.weight", ()),
    "infinite weight": (lambda: spoiled(float("inf")), "weights that are NaN or infinite: rest.1.weight", ()),
    "NaN logits": (lambda: Network(last=lambda x: x / (x - x)), "logits that are NaN or infinite", ()),
    "softmax": (lambda: Network(last=lambda x: x.softmax(1)), "gives probabilities", REPORTED),
    "softmax by hand": (lambda: Network(last=lambda x: x.exp() / x.exp().sum(1, True)), "gives probabilities", REPORTED),
    "sigmoid": (lambda: Network(last=torch.sigmoid), "gives probabilities", REPORTED),
    "percent": (lambda: Network(last=lambda x: 100 * x.softmax(1)), "gives probabilities times a factor", REPORTED),
    "random": (lambda: Network(last=lambda x: x + 0.1 * torch.randn_like(x)), "draws random numbers in eval mode", REPORTED),
    "batch statistics": (lambda: Network(first=lambda x: x - x.mean(0)), "another output in another batch", REPORTED),
    "three dimensions": (lambda: Network(last=lambda x: x[:, :, None]), "must give logits", ()),
    "a tuple": (lambda: Network(last=lambda x: (x, x)), "must give a tensor of logits", ()),  # type: ignore[arg-type,return-value]
    "whole numbers": (lambda: Network(last=lambda x: (10 * x).long()), "must give logits", ()),
    "no gradient": (lambda: Network(first=torch.Tensor.detach), "does not reach the images|has no gradient", (*REPORTED, *BLIND)),
    "rounded images": (lambda: Network(first=lambda x: (255 * x).round() / 255), "gradient of Network is 0", FLAT),
    "signs of images": (lambda: Network(first=lambda x: (x - 0.5).sign()), "gradient of Network is 0", FLAT),
    "lazy layers": (lambda: lazy(), "has no weights yet: pass images through it once, for rest.1.weight", ()),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_at_every_door(fault: str, door: str) -> None:
    make, message, passed = FAULTS[fault]
    if door in passed:
        DOORS[door](make(), LABELS)
        return
    with pytest.raises(TsyndError, match=message) as caught:
        DOORS[door](make(), LABELS)
    assert "\n" not in str(caught.value)


ENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "sigmoid by hand": lambda x: 1 / (1 + (-x).exp()),
    "hardsigmoid": F.hardsigmoid,
    "clamp": lambda x: x.clamp(0, 1),
    "logsigmoid": F.logsigmoid,
    "sigmoid, then a shape": lambda x: x[:, :, None].sigmoid().squeeze(2).float(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("end", ENDS)
def test_several_labels_that_are_no_logits_are_refused_at_every_door(end: str, door: str) -> None:
    network: Any = Network(last=ENDS[end])
    network.multi_label = True
    if door == "checks_before" or (door == "attribute" and end == "logsigmoid"):  # the one says it, the other explains any logits
        DOORS[door](network, SEVERAL)
        return
    if door == "Ensemble":
        pytest.skip("its other member gives logits of classes")
    with pytest.raises(TsyndError, match=r"gives (logarithms of )?probabilities .*where logits are needed"):
        DOORS[door](network, SEVERAL)


def test_logits_that_lie_between_0_and_1_by_chance_are_logits() -> None:
    for last in (lambda x: 0.01 * x + 0.5, lambda x: x / 100 + 0.5, lambda x: F.relu(x).clamp_min(0.1)):
        network: Any = Network(last=last)
        network.rest[4].weight.data.mul_(0.01)
        with tried(network, IMAGES, SEVERAL, gradient=True):
            pass


@pytest.mark.parametrize("attack", ATTACKS)
def test_one_logit_is_refused_for_classes_and_taken_for_one_label(attack: str) -> None:
    network = Network(last=lambda x: x[:, :1])
    with pytest.raises(TsyndError, match=r"one logit for each image.* two logits, or labels of shape \(B, 1\)"):
        ATTACKS[attack](network, torch.zeros(12, dtype=torch.int64))
    moved = ATTACKS[attack](network, torch.zeros(12, 1, dtype=torch.int64)) - IMAGES
    assert float(moved.abs().max()) > 0.05


@pytest.mark.parametrize("door", [name for name in DOORS if name != "Ensemble"])
def test_a_network_that_works_in_place_gives_the_same_numbers_and_leaves_the_images(door: str) -> None:
    given, found = IMAGES.clone(), []
    for first in (lambda x: (x - 0.5) / 0.25, lambda x: x.sub_(0.5).div_(0.25)):
        with seeded(0):
            found.append(DOORS[door](Network(first=first), LABELS))
    assert torch.equal(IMAGES, given)
    if isinstance(found[0], Tensor):
        torch.testing.assert_close(*found)
    else:
        assert str(found[0]) == str(found[1]) or door == "target"


def test_gradients_that_overflow_on_the_way_are_no_robustness() -> None:
    class Edge(nn.Module):
        """Finite where it is tried, and without a finite gradient at an image that is black."""

        def forward(self, images: Tensor) -> Tensor:
            root = images.flatten(1).square().mean(1).sqrt()
            return torch.stack([root, 0.5 - root], dim=1)

    images = IMAGES.clone()
    images[3] = 0
    for attack in (robustness.pgd, robustness.apgd, robustness.fgsm):
        with pytest.raises(TsyndError, match="NaN or infinite"):
            attack(
                Edge().eval(), images, torch.zeros(12, dtype=torch.int64), eps=0.1, **({} if attack is robustness.fgsm else START)
            )


START = {"start": torch.zeros(12, 1, 8, 8)}


@pytest.mark.parametrize("door", DOORS)
def test_one_image_of_which_a_network_says_nothing(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = IMAGES.clone()
    images[9] = 0  # black: divided by its own deviation
    monkeypatch.setitem(globals(), "IMAGES", images)
    network = Network(first=lambda x: (x - x.mean((1, 2, 3), True)) / x.std((1, 2, 3), keepdim=True))
    with pytest.raises(TsyndError, match="NaN or infinite"):
        DOORS[door](network, LABELS)


def test_a_constant_network_has_no_gradient_and_is_not_refused_for_it() -> None:
    network = Network(last=lambda x: 0 * x)
    assert torch.equal(robustness.fgsm(network, IMAGES, LABELS, eps=0.1), IMAGES)


def test_a_network_without_values() -> None:
    with pytest.raises(TsyndError, match="is on the meta device"):
        evaluated(Network().to("meta"), LABELS)


def test_logits_whose_differences_round_away() -> None:
    with pytest.raises(TsyndError, match=r"logits near 1e\+08, where their differences round away"):
        robustness.pgd(Network(last=lambda x: x + 1e8), IMAGES, LABELS, eps=0.1)
    robustness.pgd(Network(last=lambda x: 1e8 * x), IMAGES, LABELS, eps=0.1)  # large, and far from each other


@pytest.mark.parametrize("door", [*ATTACKS, "target"])
def test_inference_mode_is_refused_where_a_gradient_is_needed(door: str) -> None:
    if door == "random_squares":
        with torch.inference_mode():
            assert DOORS[door](Network(), LABELS).shape == IMAGES.shape
        return
    network = Network()
    with torch.inference_mode(), pytest.raises(TsyndError, match=r"a gradient is needed, and inside torch\.inference_mode"):
        DOORS[door](network, LABELS)
    with torch.no_grad():
        DOORS[door](network, LABELS)  # this can be lifted
    with torch.inference_mode():
        made = Network()
    with pytest.raises(TsyndError, match=r"of weights that were made in torch\.inference_mode"):
        DOORS[door](made, LABELS)


class Checkpointed(Network):
    """It computes its activations again in the backward pass."""

    def forward(self, images: Tensor) -> Tensor:
        return checkpoint(self.rest, images, use_reentrant=self.first is None)


@pytest.mark.filterwarnings("ignore")
def test_checkpointing_is_sound_for_attacks_and_refused_by_posteriors_that_are_climbed() -> None:
    network: Any = Checkpointed()
    start: Any = {"start": torch.zeros_like(IMAGES)}
    expected = robustness.pgd(Network(), IMAGES, LABELS, eps=0.1, **start)
    torch.testing.assert_close(robustness.pgd(network, IMAGES, LABELS, eps=0.1, **start), expected)
    x = IMAGES.clone().requires_grad_(True)
    for posterior in (FullDropout(network, 4), Ensemble([network, other()])):
        posterior(IMAGES)  # without a gradient nothing is computed again
        with pytest.raises(TsyndError, match="computes activations again in the backward pass"):
            posterior(x)
    reentrant = Checkpointed()
    reentrant.first = None  # type: ignore[assignment]
    with pytest.raises(TsyndError, match="checkpoint needs use_reentrant=False"):
        robustness.pgd(reentrant, IMAGES, LABELS, eps=0.1)


@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_are_attacked_and_cannot_hold_samples() -> None:
    network, inside = Network(), Network()
    start: Any = {"start": torch.zeros_like(IMAGES)}
    compiled: Any = torch.compile(network, backend="eager")
    inside.compile(backend="eager")
    expected = robustness.pgd(network, IMAGES, LABELS, eps=0.1, **start)
    torch.testing.assert_close(robustness.pgd(compiled, IMAGES, LABELS, eps=0.1, **start), expected)
    for each in (compiled, inside):
        with pytest.raises(TsyndError, match="is compiled, and layers inside cannot hold posterior samples"):
            FullDropout(each, 4)(IMAGES)


def test_a_wrapper_does_not_hide_that_labels_are_several() -> None:
    network: Any = Network()
    network.multi_label = True
    assert FullDropout(nn.DataParallel(network), 4)(IMAGES).shape == (12, 4, 3, 2)


def test_a_posterior_that_takes_labels_for_classes_is_refused() -> None:
    with pytest.raises(TsyndError, match=r"must give log-probabilities \(B, K, 3, 2\) as the model, got \(3,\): .* multi_label"):
        robustness.evaluate(Network(), IMAGES, SEVERAL, "multi-label", posterior=FullDropout(Network(), 4), **SMALL)


def test_a_trial_is_made_once_for_a_call_and_leaves_no_trace() -> None:
    network, calls = Network(), []
    network.register_forward_pre_hook(lambda *_: calls.append(1))
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    with tried(network, IMAGES, LABELS, gradient=True):
        count = len(calls)
        for gradient in (True, False):
            with tried(network, IMAGES, LABELS, gradient=gradient):
                assert len(calls) == count > 3
    with tried(network, IMAGES, LABELS):  # another call of another function: weights may have changed in between
        assert len(calls) > count
    assert torch.equal(torch.get_rng_state(), state) and not network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(weight.requires_grad for weight in network.parameters())
