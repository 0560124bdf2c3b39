"""One call gives the sections of the contract, for grey and colour, two classes and five; the same call gives them again."""

import copy
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.robustness.toys import images_and_labels, small_network, trained
from tsynd import pretrained
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.robustness import apgd, evaluate, fgsm, pgd
from tsynd.robustness.attacks.square import random_squares
from tsynd.robustness.conditions import proportional
from tsynd.robustness.corruptions import DEFAULT
from tsynd.utils.progress import Step

QUICK: dict[str, Any] = {"draws": 2, "attack_steps": 3}


def posterior_of(network: nn.Sequential) -> HeadDropout:
    return HeadDropout.from_model(network, "4", samples=8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("channels", "classes", "task"), [(1, 2, "binary"), (3, 2, "binary"), (1, 5, "multi-class"), (3, 5, "ordinal")]
)
def test_gives_the_sections_of_the_contract(channels: int, classes: int, task: str) -> None:
    images, labels = images_and_labels(30, channels, classes=classes)
    network = small_network(channels, 12, classes)
    steps: list[Step] = []
    as_bytes = (images * 255).byte()
    report = evaluate(network, as_bytes, labels, task, posterior=posterior_of(network), progress=steps.append, **QUICK)
    assert json.loads(json.dumps(report.to_json(), allow_nan=False)) == report.to_json()
    assert set(report) == {"clean", "test_time_augmentation", "corruptions", "attacks", "uncertainty", "conditions"}
    assert ("sensitivity_at_90_specificity" in report["clean"]) == (task == "binary")
    assert set(report["test_time_augmentation"]) == {"inside", "outside", "draws"}
    assert set(report["corruptions"]) == set(DEFAULT)
    assert all(list(levels) == ["1", "2", "3", "4", "5"] for levels in report["corruptions"].values())
    assert list(report["attacks"]["pgd"]) == ["0", "0.0039", "0.0078", "0.0157", "0.0314"]
    assert report["attacks"]["pgd"]["0"] == pytest.approx(report["clean"]["accuracy"])
    assert report["attacks"]["n"] == 30
    assert 0 <= report["uncertainty"]["error_auroc"] <= 1
    assert {step.stage for step in steps} == {"evaluation"}
    lines = [step.text for step in steps]
    assert (lines[0], lines[-1]) == ("clean", "uncertainty") and "corruption jpeg" in lines


def test_repeats_does_not_depend_on_batches_and_follows_its_seed() -> None:
    network = small_network(1, 12, 2)
    images = torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    scores = (network(images)[:, 1] - network(images)[:, 0]).detach()
    labels = (scores > scores.median()).long()  # many images are close to the boundary
    one = evaluate(network, images, labels, "binary", **QUICK)
    assert one == evaluate(network, images, labels, "binary", **QUICK)
    split = evaluate(network, images, labels, "binary", batch_size=16, **QUICK)
    assert split["clean"]["nll"] == pytest.approx(one["clean"]["nll"])
    assert split["test_time_augmentation"] == one["test_time_augmentation"]
    assert split["corruptions"] == one["corruptions"]
    assert split["attacks"] == one["attacks"]
    assert evaluate(network, images, labels, "binary", seed=1, **QUICK) != one


def test_only_right_images_are_attacked_and_accuracy_falls() -> None:
    images, labels = images_and_labels(40, classes=4)
    network = trained(small_network(1, 12, 4), images, labels, steps=30)
    eps = (0.0, 0.03, 0.06, 0.09, 0.6)
    held = list(evaluate(network, images, labels, "multi-class", eps=eps, corruptions=(), draws=1)["attacks"]["pgd"].values())
    assert held == sorted(held, reverse=True)
    assert held[0] == 1
    assert held[-1] < 0.05


def test_a_model_that_is_always_wrong_or_always_right() -> None:
    images, labels = images_and_labels(20)
    truth = nn.functional.one_hot(labels, 2).float()
    for answers, expected in ((truth, 1.0), (1 - truth, 0.0)):
        network = small_network(1, 12, 2)
        trained(network, images, answers.argmax(dim=1), steps=60)
        report = evaluate(network, images, labels, "binary", posterior=posterior_of(network), corruptions=(), draws=1)
        assert report["clean"]["accuracy"] == expected
        assert report["uncertainty"]["error_auroc"] is None
        held = list(report["attacks"]["pgd"].values())
        assert held[0] == expected
        assert expected == 1 or not any(held), "an image that is wrong without an attack must not count as held"


def test_leaves_the_model_and_the_random_state_as_they_were() -> None:
    images, labels = images_and_labels(12)
    network = small_network(1, 12, 2).train()
    network[1].eval()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    evaluate(network, images, labels, "binary", posterior=posterior_of(network), **QUICK)
    assert network.training
    assert network[4].training
    assert not network[1].training
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_works_on_a_function_without_a_posterior() -> None:
    images, labels = images_and_labels(12)
    network = small_network(1, 12, 2)
    report = evaluate(lambda batch: network(batch), images, labels, "binary", **QUICK)
    assert report["uncertainty"] == {"error_auroc": None}


def test_a_limited_attack_keeps_the_share_of_the_classes() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    small, large = proportional(labels, 10), proportional(labels, 50)
    assert torch.bincount(labels[small]).tolist() == [6, 3, 1]
    assert torch.bincount(labels[large]).tolist() == [30, 15, 5]
    assert set(small.tolist()) <= set(large.tolist())
    assert len(proportional(labels, None)) == 100
    images, labels = images_and_labels(30)
    report = evaluate(small_network(1, 12, 2), images, labels, "binary", limit=10, corruptions=(), **QUICK)
    assert report["attacks"]["n"] == 10


class Yes(nn.Module):
    """One logit for "yes", from those of "no" and "yes"."""

    def __init__(self, network: nn.Module, copies: int = 1) -> None:
        super().__init__()
        self.network, self.copies = network, copies

    def forward(self, images: Tensor) -> Tensor:
        both = self.network(images)
        return (both[:, 1:] - both[:, :1]).expand(-1, self.copies)


@pytest.mark.parametrize("copies", [1, 3])
def test_one_label_or_copies_of_it_are_the_binary_task(copies: int) -> None:
    images, labels = images_and_labels(30)
    network = trained(small_network(1, 12, 2), images, labels, steps=20)
    labels[:3] = 1 - labels[:3]  # some errors
    settings = QUICK | {"eps": (0.0, 0.1, 0.15)}
    binary = evaluate(network, images, labels, "binary", **settings)
    several = evaluate(Yes(network, copies), images, labels[:, None].repeat(1, copies), "multi-label", **settings)
    assert 0 < binary["attacks"]["pgd"]["0.1000"] < binary["attacks"]["pgd"]["0"] < 1
    for section in ("test_time_augmentation", "corruptions", "attacks"):
        assert several[section] == binary[section]
    for name in ("accuracy", "balanced_accuracy", "auroc"):
        assert several["clean"][name] == pytest.approx(binary["clean"][name])


def test_several_labels_are_decided_one_by_one_and_attacked_together() -> None:
    images, labels = images_and_labels(40, classes=4)
    several = torch.stack([labels // 2, labels % 2, torch.zeros_like(labels)], 1)
    network = small_network(1, 12, 3)
    network[-1].get_parameter("bias").data[2] = -20.0  # sure that the third label is absent: its loss rounds to almost nothing
    network.multi_label = True  # type: ignore[assignment]
    report = evaluate(
        network, images, several, "multi-label", posterior=posterior_of(network), limit=20, eps=(0, 0.1, 0.4), **QUICK
    )
    assert json.loads(json.dumps(report.to_json(), allow_nan=False)) == report.to_json()
    held = list(report["attacks"]["pgd"].values())
    assert held == sorted(held, reverse=True)
    assert held[-1] == pytest.approx(1 / 3, abs=0.1)  # nothing but the third label holds
    assert report["attacks"]["n"] == 20
    assert len(report["clean"]["auroc_per_label"]) == 3
    assert report["clean"]["auroc_per_label"][2] is None
    assert 0 <= report["uncertainty"]["error_auroc"] <= 1


def test_bad_input_is_refused() -> None:
    images, labels = images_and_labels(6)
    network = small_network(1, 12, 2)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"images": images[:0], "labels": labels[:0]}, "no images"),
        ({"images": images * 255}, "images must lie in"),
        ({"images": images * torch.nan}, "images must lie in"),
        ({"images": (images * 255).int()}, "uint8"),
        ({"labels": labels + 1}, "labels must lie in 0 .. 1"),
        ({"labels": labels.view(-1, 1)}, "labels must be int64"),
        ({"task": "multi-label"}, r"labels must be int64 of shape \(6, L\)"),
        ({"task": "multi-label", "labels": labels.view(-1, 1).repeat(1, 2) + 1}, "labels must be 0 or 1"),
        ({"task": "multiclass"}, "did you mean 'multi-class'"),
        ({"draws": 0}, "draws must be >= 1"),
        ({"eps": (-0.1,)}, "eps must lie in"),
        ({"limit": 0}, "limit must be >= 1"),
        ({"corruptions": ("jpg",)}, "did you mean 'jpeg'"),
        ({"batch_size": 0}, "batch_size must be >= 1"),
    ]
    for changed, message in cases:
        arguments = {"images": images, "labels": labels, "task": "binary", **QUICK} | changed
        with pytest.raises(TsyndError, match=message):
            evaluate(network, **arguments)


def test_probabilities_in_place_of_logits_are_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2), nn.Softmax(dim=1)).eval()
    x, y = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2
    words = r"gives probabilities \(rows that sum to one\) where logits are needed"
    with pytest.raises(TsyndError, match=words):
        evaluate(network, x, y, "binary", draws=1, corruptions=(), eps=())
    for attack in (pgd, apgd, fgsm, random_squares):
        with pytest.raises(TsyndError, match=words):
            attack(network, x, y, eps=0.1)
    log_probabilities = nn.Sequential(*list(network)[:2], nn.LogSoftmax(dim=1)).eval()
    assert pgd(log_probabilities, x, y, eps=0.1).shape == x.shape


def test_strong_attacks_are_not_weaker_and_come_with_checks_and_answers() -> None:
    example = pretrained.phantom()
    test = example.load().test[slice(0, 1000, 25)]
    settings: dict[str, Any] = {"draws": 2, "corruptions": ["jpeg"], "eps": (4 / 255,), "strong": True}
    report = evaluate(example.classifier, test.images, test.labels, "binary", **settings)
    found = report["attacks"]
    assert found["apgd"]["0.0157"] <= found["pgd"]["0.0157"] + 0.03
    assert found["squares"]["0.0157"] >= found["apgd"]["0.0157"]
    assert {check["name"] for check in report["checks"]} >= {"deterministic", "gradients", "black box"}
    assert all(check["passed"] for check in report["checks"]), report["checks"]
    answers = report.answers
    assert answers is not None
    right = answers["probs"].argmax(dim=1) == answers["labels"]
    for name, value in (("pgd", found["pgd"]), ("apgd", found["apgd"]), ("squares", found["squares"])):
        assert answers[f"{name} 0.0157"].mean().item() == pytest.approx(value["0.0157"])
        assert not (answers[f"{name} 0.0157"].bool() & ~right).any()
    assert answers["corruption jpeg"].mean().item() == pytest.approx(
        sum(row["accuracy"] for row in report["conditions"] if row["name"] == "jpeg") / 5
    )
    assert "mutual_information" not in answers
