"""The oracle: units go there and back, training is seeded, and another kind of image is refused."""

import pytest
import torch
from make_artefacts import standardised, train_oracle

from tsynd.data.phantom import classify, sample_factors
from tsynd.data.phantom.oracle import UNITS, Oracle, blur
from tsynd.errors import TsyndError


def test_recovered_factors_are_in_the_units_of_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, oracle = sample_factors(20, torch.Generator().manual_seed(0)), Oracle()
    monkeypatch.setattr(oracle, "forward", lambda images: standardised(factors))
    recovered = oracle.recover(torch.zeros(20, 1, 28, 28))
    for name in UNITS:
        torch.testing.assert_close(getattr(recovered, name), getattr(factors, name))
    assert torch.equal(classify(recovered), classify(factors))


def test_the_units_are_those_of_the_factors_as_they_are_drawn() -> None:
    drawn = standardised(sample_factors(20_000, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(drawn.mean(0), torch.zeros(len(UNITS)), rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.std(0), torch.ones(len(UNITS)), rtol=0, atol=0.03)


def test_the_same_seed_trains_the_same_oracle_and_leaves_global_randomness_alone() -> None:
    before, losses = torch.get_rng_state(), []
    one, same = (train_oracle(4, 8, progress=lambda step: losses.append(step.text)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert len(losses) == 8 and losses[:4] == losses[4:]
    assert not one.training
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(one(images), same(images))


def test_factors_can_be_climbed_through_the_oracle() -> None:
    images = torch.rand(2, 1, 28, 28, requires_grad=True)
    (gradient,) = torch.autograd.grad(Oracle().eval().recover(images).irregularity.sum(), images)
    assert gradient.isfinite().all() and gradient.ne(0).any()


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 32, 32), (28, 28)])
def test_other_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TsyndError, match=r"the oracle knows grey images of 28 px, .*, got \("):
        Oracle().recover(torch.zeros(shape))


def test_blur_keeps_the_grey_level_and_0_changes_nothing() -> None:
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(blur(images, 0.0), images)
    assert blur(images, 2.0).std() < 0.3 * images.std()
    torch.testing.assert_close(blur(torch.full((1, 1, 28, 28), 0.3), 2.0), torch.full((1, 1, 28, 28), 0.3))
