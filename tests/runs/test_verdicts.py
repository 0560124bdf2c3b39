"""Verdicts and intervals: each warning comes when it must and only then; intervals are over groups where there are any."""

from typing import Any

import numpy as np
import pytest
import torch

from tsynd.data.dataset import Split
from tsynd.runs.verdicts import by_class, intervals, measured, verdicts

GOOD: dict[str, Any] = {"mean": 0.9, "low": 0.85, "high": 0.94}


def answered(count: int = 120, skill: float = 2.0, groups: torch.Tensor | None = None) -> tuple[dict[str, torch.Tensor], Split]:
    """Answers of a classifier that knows something, and whose mutual information finds its errors."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    logits = skill * (2.0 * labels - 1) + torch.randn(count, generator=generator)
    probs = torch.stack([1 - logits.sigmoid(), logits.sigmoid()], 1).double()
    answers = {"labels": labels, "probs": probs, "chosen": torch.arange(count)}
    wrong = probs.argmax(1) != labels
    answers["mutual_information"] = 0.01 + 0.1 * wrong.float() + 0.01 * torch.rand(count, generator=generator)
    answers |= {
        "test_time_augmentation outside": (~wrong).float(),
        "pgd 0.0157": (~wrong).float(),
        "corruption x": (~wrong).float(),
    }
    return answers, Split(torch.zeros(count, 1, 16, 16, dtype=torch.uint8), labels, groups)


def metrics_of(answers: dict[str, torch.Tensor], split: Split) -> dict[str, Any]:
    found = intervals(answers, split, seed=0)
    clean = {"accuracy": 0.9, "balanced_accuracy": 0.5}
    rows = by_class(answers, split, ("a", "b"))
    return {"intervals": found, "by_class": rows, "clean": clean, "uncertainty": {"error_auroc": 0.5}, "audit": None}


def names(metrics: dict[str, Any]) -> list[str]:
    found = verdicts(metrics)
    assert all(one["text"].endswith(".") and not one["advice"].endswith(".") for one in found)
    return [one["name"] for one in found]


def test_a_good_run_has_no_warnings() -> None:
    metrics = metrics_of(*answered(skill=1.0))
    assert metrics["intervals"]["error_auroc"][0] > 0.5
    assert names(metrics) == []


def test_uncertainty_that_finds_no_errors() -> None:
    answers, split = answered(skill=1.0)
    answers["mutual_information"] = torch.rand(len(split), generator=torch.Generator().manual_seed(1))
    assert names(metrics_of(answers, split)) == ["uninformative uncertainty"]


def test_a_class_that_is_never_predicted_and_one_with_few_patients() -> None:
    answers, split = answered(skill=1.0)
    answers["probs"] = torch.tensor([[0.6, 0.4]]).double().repeat(len(split), 1)
    assert "class never predicted" in names(metrics_of(answers, split))
    groups = torch.arange(120) // 24  # five patients
    metrics = metrics_of(*answered(skill=1.0, groups=groups))
    assert "few test images" in names(metrics) and metrics["intervals"]["unit"] == "group"


@pytest.mark.parametrize(("start", "expected"), [(0.3, ["lost class"]), (0.89, [])])
def test_reconstructions_that_lost_the_class(start: float, expected: list[str]) -> None:
    metrics = metrics_of(*answered(skill=1.0))
    low = {"mean": start, "low": start - 0.05, "high": start + 0.05}
    metrics["audit"] = {"groups": {"reconstruction": {"judge_agrees": low}, "unseen": {"judge_agrees": GOOD}}}
    assert names(metrics) == expected


def test_intervals_cover_the_number_and_are_wider_over_patients() -> None:
    answers, split = answered(count=400, skill=0.7)
    alone = intervals(answers, split, seed=0)
    for name, ends in alone.items():
        if name in ("accuracy", "balanced_accuracy", "auroc"):
            assert ends[0] < float(measured(name, answers)[0]) < ends[1]
    assert intervals(answers, split, seed=0) == alone
    tenfold = {name: value.repeat_interleave(10, dim=0) for name, value in answers.items()} | {"chosen": torch.arange(4000)}
    groups = torch.arange(400).repeat_interleave(10)
    images = torch.zeros(4000, 1, 16, 16, dtype=torch.uint8)
    together = intervals(tenfold, Split(images, tenfold["labels"], groups), seed=0)
    apart = intervals(tenfold, Split(images, tenfold["labels"]), seed=0)
    width = {name: each["auroc"][1] - each["auroc"][0] for name, each in (("groups", together), ("images", apart))}
    assert width["groups"] > 2.5 * width["images"]  # sqrt(10), as ten copies of an image say no more than one
    assert width["groups"] == pytest.approx(alone["auroc"][1] - alone["auroc"][0], rel=0.15)


def test_sensitivity_and_specificity_by_hand() -> None:
    labels, said = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 1, 0, 2])
    answers = {"labels": labels, "probs": torch.nn.functional.one_hot(said).double()}
    found = by_class(answers, Split(torch.zeros(6, 1, 16, 16, dtype=torch.uint8), labels), ("a", "b", "c"))
    assert found["confusion"] == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    shares = [(row["sensitivity"][0], row["specificity"][0]) for row in found["classes"]]
    np.testing.assert_allclose(shares, [(2 / 3, 2 / 3), (1 / 2, 3 / 4), (1, 1)])
    several = {"labels": torch.tensor([[1, 0], [1, 1], [0, 0]]), "probs": torch.tensor([[0.9, 0.2], [0.4, 0.7], [0.1, 0.6]])}
    found = by_class(several, Split(torch.zeros(3, 1, 16, 16, dtype=torch.uint8), several["labels"]), ("a", "b"))
    assert found["confusion"] is None and [row["sensitivity"][0] for row in found["classes"]] == [0.5, 1.0]
