"""Uncertainty: analytic values, properties, and finite values and gradients at the corners."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.uncertainty import expected_entropy, mutual_information, predictive_entropy


def naive_mutual_information(probs_BKC: Tensor) -> Tensor:
    """The formula as it is printed, in double, one image and one sample at a time."""
    values = []
    for probs_KC in probs_BKC.double():
        mean_C = probs_KC.mean(dim=0)
        total = -sum(p * math.log(p) for p in mean_C.tolist() if p > 0)
        parts = [-sum(p * math.log(p) for p in probs_C.tolist() if p > 0) for probs_C in probs_KC]
        values.append(total - sum(parts) / len(parts))
    return torch.tensor(values, dtype=torch.float64)


@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(2, 6), st.sampled_from([0.1, 1.0, 10.0]))
@settings(max_examples=50, deadline=None)
def test_equals_the_naive_formula_and_keeps_its_bounds(seed: int, samples: int, classes: int, spread: float) -> None:
    logits = torch.randn(3, samples, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * spread
    log_probs = logits.log_softmax(-1)
    information = mutual_information(log_probs)
    torch.testing.assert_close(information, naive_mutual_information(log_probs.exp()), atol=1e-12, rtol=0)
    assert (information > -1e-12).all()
    assert (information <= min(math.log(classes), math.log(samples)) + 1e-12).all()
    total, aleatoric = predictive_entropy(log_probs), expected_entropy(log_probs)
    torch.testing.assert_close(total, aleatoric + information)
    assert (total <= math.log(classes) + 1e-12).all()


def test_order_of_samples_does_not_matter() -> None:
    log_probs = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    torch.testing.assert_close(mutual_information(log_probs), mutual_information(log_probs.flip(1)))


def test_agreement_is_zero_and_full_disagreement_is_ln_k() -> None:
    agreeing = torch.randn(2, 1, 3).log_softmax(-1).expand(-1, 5, -1)
    torch.testing.assert_close(mutual_information(agreeing), torch.zeros(2), atol=1e-6, rtol=0)
    opposed = torch.eye(4).log().unsqueeze(0)
    torch.testing.assert_close(mutual_information(opposed), torch.tensor([math.log(4)]))


@pytest.mark.parametrize("margin", [0.0, 50.0, 120.0, 1e4, 1e6])
@pytest.mark.parametrize("function", [predictive_entropy, expected_entropy, mutual_information])
def test_values_and_gradients_are_finite_at_the_corners(function: object, margin: float) -> None:
    logits = torch.tensor([[[margin, 0.0], [0.0, margin]], [[margin, 0.0], [margin, 0.0]]], requires_grad=True)
    value = function(logits.log_softmax(-1))  # type: ignore[operator]
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_one_impossible_class_does_not_ruin_the_gradient_of_the_others() -> None:
    log_probs = torch.tensor([[[0.0, -torch.inf], [0.0, -torch.inf]], [[-0.5, -0.9], [-1.2, -0.4]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(mutual_information(log_probs).sum(), log_probs)
    assert gradient.isfinite().all()
    assert gradient[1].abs().max() > 0.01


def test_gradcheck_in_double() -> None:
    logits = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: mutual_information(x.log_softmax(-1)), logits)


def test_half_precision_is_widened() -> None:
    assert mutual_information(torch.zeros(1, 2, 3, dtype=torch.bfloat16)).dtype == torch.float32
    assert mutual_information(torch.zeros(1, 2, 3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("bad", [torch.zeros(2, 3), torch.zeros(1, 2, 3, dtype=torch.int64)])
def test_wrong_shape_or_type_is_refused(bad: Tensor) -> None:
    with pytest.raises(TsyndError, match="must be a floating-point"):
        mutual_information(bad)
