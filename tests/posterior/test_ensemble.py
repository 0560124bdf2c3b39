"""Ensembles: equal to each member alone and to vmap over stacked members, and to heads on one trunk."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from tests.posterior.toys import IMAGES, generator, own, plain
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import Ensemble
from tsynd.uncertainty import mutual_information

MEMBERS = [own(seed=seed) for seed in range(5)]


def gradient_of(posterior: Ensemble, images: Tensor) -> Tensor:
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mutual_information(posterior(images)).sum(), images)
    return gradient


def test_equals_each_member_alone_and_a_stacked_pass() -> None:
    found = Ensemble(MEMBERS)(IMAGES)
    alone = torch.stack([member(IMAGES).log_softmax(-1) for member in MEMBERS], dim=1)
    torch.testing.assert_close(found, alone.detach(), atol=1e-6, rtol=1e-5)

    parameters, buffers = torch.func.stack_module_state(MEMBERS)
    skeleton = own().to("meta")

    def member(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        logits: Tensor = torch.func.functional_call(skeleton, (parameters, buffers), (IMAGES,))
        return logits.log_softmax(-1)

    stacked = torch.func.vmap(member, out_dims=1)(parameters, buffers)
    torch.testing.assert_close(found, stacked.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 4, 6, 100])
def test_chunks_change_nothing(chunk: int) -> None:
    sizes: list[int] = []
    handle = MEMBERS[0].register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    whole, parts = Ensemble(MEMBERS), Ensemble(MEMBERS, max_chunk=chunk)
    whole(IMAGES), parts(IMAGES)  # the trials
    sizes.clear()
    found = parts(IMAGES)
    handle.remove()
    assert max(sizes) <= chunk and sum(sizes) == len(IMAGES)
    torch.testing.assert_close(found, whole(IMAGES), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(gradient_of(parts, IMAGES), gradient_of(whole, IMAGES), atol=1e-7, rtol=1e-4)


def test_heads_share_one_pass_of_the_trunk() -> None:
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(144, 8), nn.ReLU())
    heads = [nn.Linear(8, 3) for _ in range(4)]
    posterior = Ensemble.of_heads(trunk, heads)
    expected = Ensemble([nn.Sequential(trunk, head) for head in heads])(IMAGES)
    torch.testing.assert_close(posterior(IMAGES), expected)
    passes: list[int] = []
    handle = trunk.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))
    posterior(IMAGES)
    handle.remove()
    assert passes == [6]


def test_a_method_is_a_trunk_and_its_network_is_frozen_and_says_whether_labels_are_many() -> None:
    classifier = build_classifier(1, 28, 3, seed=0).train()
    classifier.multi_label = True
    posterior = Ensemble.of_heads(classifier.trunk, [nn.Linear(64, 3), nn.Linear(64, 3)])
    before = [buffer.clone() for buffer in classifier.buffers()]
    assert posterior.networks[0] is classifier
    assert posterior(torch.rand(2, 1, 28, 28, generator=generator())).shape == (2, 2, 3, 2)
    assert classifier.training and all(now.equal(then) for now, then in zip(classifier.buffers(), before, strict=True))


def test_two_opposed_members_have_ln_2_and_equal_ones_0() -> None:
    certain, opposed = plain(classes=2), plain(classes=2)
    with torch.no_grad():
        for member, bias in ((certain, 200.0), (opposed, -200.0)):
            member[-1].weight.zero_()  # type: ignore[operator]
            member[-1].bias.copy_(torch.tensor([bias, 0.0]))  # type: ignore[operator]
    information = mutual_information(Ensemble([certain, opposed])(IMAGES))
    torch.testing.assert_close(information, torch.full((6,), math.log(2)))
    equal = copy.deepcopy(certain)
    with torch.no_grad():
        equal[-1].bias.mul_(2)  # type: ignore[operator]  # other weights, and the same certainty
    torch.testing.assert_close(mutual_information(Ensemble([certain, equal])(IMAGES)), torch.zeros(6))
    with pytest.raises(TsyndError, match="members 0 and 1 of an ensemble have the same weights, so they cannot disagree"):
        Ensemble([certain, copy.deepcopy(certain)])(IMAGES)


def test_resample_does_nothing_and_draws_nothing() -> None:
    posterior, chance = Ensemble(MEMBERS), generator()
    before, state = posterior(IMAGES), chance.get_state()
    posterior.resample(chance)
    assert chance.get_state().equal(state)
    assert posterior(IMAGES).equal(before)


def test_members_of_several_types_and_on_the_meta_device() -> None:
    mixed = Ensemble([own(), own(seed=1).double(), own(seed=2).bfloat16()])(IMAGES)
    assert mixed.dtype == torch.float64 and mixed.isfinite().all()
    there = Ensemble([own().to("meta"), own().to("meta")], max_chunk=2)
    assert gradient_of(there, IMAGES.to("meta")).shape == IMAGES.shape


def test_heads_that_do_not_fit_the_trunk_are_refused() -> None:
    posterior = Ensemble.of_heads(nn.Flatten(), [nn.Linear(144, 3), nn.Linear(100, 3)])
    with pytest.raises(TsyndError, match=r"shape \(B, 144\) do not pass through Linear"):
        posterior(IMAGES)
