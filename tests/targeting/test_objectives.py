"""Objectives and the label guard, with numbers that can be checked by hand."""

import math

import pytest
import torch

from tsynd.targeting import OBJECTIVES, Guard
from tsynd.targeting.objectives import Divergence, bind, log_prob

# Two images, two samples, two classes; the mean predictions are (.8, .2) and (.3, .7).
LOG_PROBS_BKC = torch.tensor([[[0.7, 0.3], [0.9, 0.1]], [[0.2, 0.8], [0.4, 0.6]]], dtype=torch.float64).log()
LABELS_B = torch.tensor([0, 0])
# One image, two samples, two labels; the mean probabilities that they are present are .6 and .2.
SEVERAL_BKL2 = torch.tensor([[[[0.5, 0.5], [0.7, 0.3]], [[0.3, 0.7], [0.9, 0.1]]]], dtype=torch.float64).log()


def entropy(*probs: float) -> float:
    return -sum(p * math.log(p) for p in probs)


def test_each_name_stands_for_its_formula() -> None:
    total = [entropy(0.8, 0.2), entropy(0.3, 0.7)]
    aleatoric = [(entropy(0.7, 0.3) + entropy(0.9, 0.1)) / 2, (entropy(0.2, 0.8) + entropy(0.4, 0.6)) / 2]
    information = [h - a for h, a in zip(total, aleatoric, strict=True)]
    expected = {"entropy": total, "cross_entropy": [-math.log(0.8), -math.log(0.3)]}
    expected |= dict.fromkeys(("mutual_information", "random", "reconstruction"), information)
    expected["divergence"] = [0.0, 0.0]  # before it is bound to the predictions at the start
    assert set(expected) == set(OBJECTIVES)
    for name, values in expected.items():
        assert OBJECTIVES[name](LOG_PROBS_BKC, LABELS_B).tolist() == pytest.approx(values), name


def test_divergence_is_that_of_the_mean_predictions_from_those_at_the_start() -> None:
    start_BKC = torch.tensor([[[0.5, 0.5]], [[0.3, 0.7]]], dtype=torch.float64).log()
    expected = 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2)
    assert bind(Divergence(), start_BKC)(LOG_PROBS_BKC, LABELS_B).tolist() == pytest.approx([expected, 0.0])
    several = bind(Divergence(), SEVERAL_BKL2.flip(2))(SEVERAL_BKL2, torch.tensor([[1, 0]]))  # of several labels, the sum
    one = 0.8 * math.log(0.8 / 0.4) + 0.2 * math.log(0.2 / 0.6)
    other = 0.4 * math.log(0.4 / 0.8) + 0.6 * math.log(0.6 / 0.2)
    assert several.item() == pytest.approx(one + other)


def test_the_log_probability_of_several_labels_is_the_sum_of_theirs() -> None:
    assert log_prob(SEVERAL_BKL2, torch.tensor([[1, 0]])).item() == pytest.approx(math.log(0.6) + math.log(0.8))
    assert log_prob(SEVERAL_BKL2, torch.tensor([[0, 1]])).item() == pytest.approx(math.log(0.4) + math.log(0.2))


def test_an_impossible_label_has_a_finite_value_and_gradient() -> None:
    logits = torch.tensor([[[0.0, 0.0], [0.0, 0.0]]])
    impossible = torch.tensor([[[0.0, -torch.inf], [0.0, -torch.inf]]])
    log_probs_BKC = (logits.requires_grad_() + impossible).log_softmax(-1)
    value_B = log_prob(log_probs_BKC, torch.tensor([1]))
    (gradient,) = torch.autograd.grad(value_B.sum(), logits)
    assert value_B.isfinite().all()
    assert gradient.isfinite().all()


def test_whether_an_image_starts_right_is_asked_of_the_mean_prediction() -> None:
    split_BKC = torch.tensor([[[0.6, 0.4], [0.1, 0.9]]]).log()  # the first sample says 0, the mean 1
    floor = {label: Guard(bound=0.5).floor(split_BKC, torch.tensor([label])).item() for label in (0, 1)}
    assert floor == pytest.approx({0: math.log(0.35), 1: math.log(0.65) - 0.5})


def test_an_image_with_several_labels_starts_right_when_all_of_them_are() -> None:
    guard = Guard(bound=0.5)
    assert guard.floor(SEVERAL_BKL2, torch.tensor([[1, 0]])).item() == pytest.approx(math.log(0.6) + math.log(0.8) - 0.5)
    assert guard.floor(SEVERAL_BKL2, torch.tensor([[1, 1]])).item() == pytest.approx(math.log(0.6) + math.log(0.2))


def test_the_guard_costs_its_weight_for_each_nat_below_the_floor_and_nothing_above() -> None:
    floor_B = torch.tensor([math.log(0.8) + 0.25, math.log(0.3) - 0.25])
    assert Guard(weight=2.0).penalty(LOG_PROBS_BKC, LABELS_B, floor_B).tolist() == pytest.approx([0.5, 0.0], abs=1e-6)


def test_only_a_hard_guard_refuses_and_not_what_stands_on_the_floor() -> None:
    floor_B = log_prob(LOG_PROBS_BKC, LABELS_B) + torch.tensor([0.0, 1e-3])
    assert Guard(hard=True).refuses(LOG_PROBS_BKC, LABELS_B, floor_B).tolist() == [False, True]
    assert Guard().refuses(LOG_PROBS_BKC, LABELS_B, floor_B).tolist() == [False, False]
