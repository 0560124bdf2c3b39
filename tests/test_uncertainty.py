"""Uncertainty: analytic values, properties, and finite values and gradients at the corners."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.uncertainty import expected_entropy, log_probabilities, mutual_information, predictive_entropy

Function = Callable[[Tensor], Tensor]
FUNCTIONS: list[Function] = [predictive_entropy, expected_entropy, mutual_information]


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
@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_and_gradients_are_finite_at_the_corners(function: Function, margin: float) -> None:
    logits = torch.tensor([[[margin, 0.0], [0.0, margin]], [[margin, 0.0], [margin, 0.0]]], requires_grad=True)
    value = function(logits.log_softmax(-1))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_one_impossible_class_does_not_ruin_the_gradient_of_the_others() -> None:
    log_probs = torch.tensor([[[0.0, -torch.inf], [0.0, -torch.inf]], [[-0.5, -0.9328], [-1.2, -0.3584]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(mutual_information(log_probs).sum(), log_probs)
    assert gradient.isfinite().all()
    assert gradient[1].abs().max() > 0.01


@pytest.mark.parametrize("function", FUNCTIONS)
def test_many_labels_give_the_sum_of_their_binary_values(function: Function) -> None:
    logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    log_probs_BKL2 = log_probabilities(logits, multi_label=True)
    assert log_probs_BKL2.shape == (3, 5, 4, 2)
    summed = sum(function(log_probs_BKL2[:, :, label]) for label in range(4))
    torch.testing.assert_close(function(log_probs_BKL2), summed)
    assert (mutual_information(log_probs_BKL2) <= 4 * math.log(2)).all()


@pytest.mark.parametrize("margin", [0.0, 50.0, 120.0, 1e4, 1e6])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_many_labels_are_finite_at_the_corners(function: Function, margin: float) -> None:
    logits = torch.tensor([[[margin, -margin], [-margin, margin]]], requires_grad=True)
    value = function(log_probabilities(logits, multi_label=True))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all() and gradient.isfinite().all()


def test_log_probabilities_are_those_of_softmax_and_sigmoid_and_are_widened() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_probabilities(logits).exp(), logits.softmax(-1))
    both = log_probabilities(logits, multi_label=True).exp()
    torch.testing.assert_close(both, torch.stack([1 - logits.sigmoid(), logits.sigmoid()], dim=-1))
    assert log_probabilities(logits.bfloat16()).dtype == torch.float32
    assert log_probabilities(logits.double(), multi_label=True).dtype == torch.float64


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_gradcheck_in_double(seed: int, samples: int, classes: int) -> None:
    logits = torch.randn(2, samples, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for multi_label in (False, True):
        assert torch.autograd.gradcheck(
            lambda x, multi_label=multi_label: mutual_information(log_probabilities(x, multi_label)), logits.requires_grad_()
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_log_probabilities_of_any_type_are_taken_and_widened(dtype: torch.dtype) -> None:
    log_probs = torch.randn(8, 16, 30, generator=torch.Generator().manual_seed(0)).log_softmax(-1).to(dtype)
    for function in FUNCTIONS:
        assert function(log_probs).dtype == torch.promote_types(dtype, torch.float32)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_images_and_no_values(function: Function) -> None:
    assert function(torch.zeros(0, 4, 3)).shape == (0,)
    assert function(torch.zeros(0, 4, 3, 2)).shape == (0,)
    assert function(torch.zeros(5, 4, 3, device="meta")).shape == (5,)  # not looked at, so not refused


def test_one_sample_has_entropy_but_cannot_disagree() -> None:
    log_probs = torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    torch.testing.assert_close(predictive_entropy(log_probs), expected_entropy(log_probs))
    with pytest.raises(TsyndError, match=r"at least 2 posterior samples, got K=1 in shape \(2, 1, 3\)"):
        mutual_information(log_probs)


FINE = torch.zeros(4, 3, 2).log_softmax(-1)
BAD: list[tuple[Tensor, str]] = [
    (torch.zeros(2, 3), r"must be a floating-point \(B, K, C\) or \(B, K, L, 2\) tensor, got shape \(2, 3\)"),
    (torch.zeros(1, 2, 3, dtype=torch.int64), "torch.int64"),
    (torch.zeros(1, 2, 4, 3), r"got shape \(1, 2, 4, 3\)"),
    (torch.zeros(1, 0, 3), r"got shape \(1, 0, 3\)"),
    (FINE.index_fill(0, torch.tensor([2]), torch.nan), r"has NaN for image 2 \(1 of 4 images\)"),
    (FINE.index_fill(0, torch.tensor([1]), 1.5), r"for image 1 the sum is off by 7.96: .* pass logits through log_softmax\(-1\)"),
    (torch.full((1, 2, 3), -torch.inf), "for image 0 the sum is off by 1:"),
    (torch.full((1, 2, 3), 1e30), "off by inf"),
    (FINE.exp(), "are probabilities .* pass their logarithm"),
    (torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0)).bfloat16(), "if these are logits"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_not_log_probabilities_is_refused(function: Function, bad: Tensor, message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        function(bad)


@pytest.mark.parametrize("logits", [torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 1), torch.tensor(0.0)])
def test_what_is_not_logits_is_refused(logits: Tensor) -> None:
    with pytest.raises(TsyndError, match=r"logits (must be a floating-point tensor|need at least 2 classes, got shape \(2, 1\))"):
        log_probabilities(logits)


def test_equals_the_bald_of_baal() -> None:
    heuristics = pytest.importorskip("baal.active.heuristics")
    for classes, spread in ((2, 1.0), (5, 3.0), (10, 0.1)):
        logits = torch.randn(20, 30, classes, generator=torch.Generator().manual_seed(classes), dtype=torch.float64) * spread
        probs_BKC = logits.softmax(-1)
        theirs = heuristics.BALD().compute_score(probs_BKC.transpose(1, 2).numpy())  # baal: (B, C, K)
        torch.testing.assert_close(mutual_information(probs_BKC.log()), torch.as_tensor(theirs), atol=1e-6, rtol=0)
