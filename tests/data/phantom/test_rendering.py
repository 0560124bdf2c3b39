"""Drawing: the factors can be seen in the image and climbed, and what cannot be drawn is refused."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tsynd.data.phantom import Factors, lesion_masks, render, sample_factors
from tsynd.errors import TsyndError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(factors: Factors, size: int = 28) -> Tensor:
    """The same tissue and speckle every time."""
    return render(factors, size, seeded(1))


@pytest.mark.parametrize("size", [16, 28, 128])
def test_range_and_shape(size: int) -> None:
    images = drawn(sample_factors(6, seeded()), size)
    assert images.shape == (6, 1, size, size)
    assert ((images >= 0) & (images <= 1)).all()
    assert images.std((1, 2, 3)).min() > 0.05
    with pytest.raises(TsyndError, match="phantoms must be at least 16 px, got size 15"):
        drawn(sample_factors(1), 15)


def test_the_mask_is_where_the_lesion_is() -> None:
    factors = sample_factors(40, seeded())
    factors = replace(factors, irregularity=torch.zeros(40), shadow=torch.zeros(40))
    masks = lesion_masks(factors, 64)
    assert masks.shape == (40, 1, 64, 64)
    torch.testing.assert_close(masks.mean((1, 2, 3)), torch.pi * factors.radius**2, rtol=0.02, atol=0)
    down = (masks.sum((1, 3)) * (torch.arange(64) + 0.5)).sum(1) / masks.sum((1, 2, 3)) / 64
    torch.testing.assert_close(down, factors.y, rtol=0, atol=0.005)
    heights, widths = ((masks.amax(axis).squeeze(1) > 0.5).sum(1) for axis in (3, 2))
    torch.testing.assert_close(heights / widths, factors.aspect, rtol=0.15, atol=0)


def test_factors_change_what_they_name() -> None:
    factors = replace(sample_factors(30, seeded()), irregularity=torch.zeros(30), shadow=torch.zeros(30))
    inside = lesion_masks(factors, 28)
    image = drawn(factors)
    darker = drawn(replace(factors, contrast=factors.contrast - 6)) - image
    assert (darker * inside).sum() / inside.sum() < -0.05
    assert drawn(replace(factors, gain=factors.gain + 6)).mean() > image.mean() + 0.05
    behind = (inside.cumsum(2) > 1) & (inside < 0.01)
    shadowed, enhanced = (drawn(replace(factors, shadow=torch.full((30,), level)))[behind].mean() for level in (15.0, -8.0))
    assert shadowed < image[behind].mean() - 0.05 < enhanced - 0.1


@pytest.mark.parametrize("name", ["radius", "aspect", "irregularity", "contrast", "shadow", "x", "y", "gain", "outline"])
def test_differentiable_in_every_factor(name: str) -> None:
    factors = sample_factors(4, seeded())
    value = getattr(factors, name).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(drawn(replace(factors, **{name: value})).square().sum(), value)
    assert gradient.isfinite().all()
    assert gradient.ne(0).all()


def test_everything_is_made_on_the_device_of_the_factors() -> None:
    factors = Factors(**{name: value.to("meta") for name, value in vars(sample_factors(3)).items()})
    assert drawn(factors).device.type == lesion_masks(factors, 28).device.type == "meta"


def test_gradients_are_right() -> None:
    factors = sample_factors(3, seeded(5))
    fields = {name: value.double() for name, value in vars(factors).items()}

    def brightness(radius: Tensor, shadow: Tensor) -> Tensor:
        return drawn(Factors(**{**fields, "radius": radius, "shadow": shadow}), 16).mean((1, 2, 3))

    inputs = [fields[name].clone().requires_grad_() for name in ("radius", "shadow")]
    assert torch.autograd.gradcheck(brightness, inputs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"radus": 0.2}, "unknown factor 'radus': did you mean 'radius'"),
        ({"outline": 0.2}, "unknown factor 'outline'"),
        ({"radius": 0.6}, r"factor 'radius' must lie between 0\.02 and 0\.5, got 0\.6"),
        ({"irregularity": -0.1}, r"factor 'irregularity' must lie between 0 and 1, got -0\.1"),
        ({"gain": float("nan")}, "factor 'gain' must lie between -40 and 40, got nan"),
    ],
)
def test_factors_that_are_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(TsyndError, match=message) as caught:
        sample_factors(3, None, **given)
    assert "\n" not in str(caught.value)


def test_given_factors_leave_the_others_as_they_were() -> None:
    given, free = sample_factors(5, seeded(), radius=torch.linspace(0.1, 0.2, 5)), sample_factors(5, seeded())
    assert torch.equal(given.radius, torch.linspace(0.1, 0.2, 5))
    assert torch.equal(given.outline, free.outline)


def test_impossible_factors_are_not_drawn() -> None:
    factors = sample_factors(2)
    broken = replace(factors, aspect=factors.aspect * 0)
    for draw in (lambda: render(broken, 28), lambda: lesion_masks(broken, 28)):
        with pytest.raises(TsyndError, match=r"factor 'aspect' must lie between 0\.2 and 5, got 0"):
            draw()


def test_a_generator_on_another_device_is_refused() -> None:
    class Elsewhere(torch.Generator):
        device = torch.device("cuda:0")

    elsewhere = Elsewhere()
    for draw in (lambda: sample_factors(2, elsewhere), lambda: render(sample_factors(2), 28, elsewhere)):
        with pytest.raises(TsyndError, match="from a generator on the CPU, got one on cuda:0"):
            draw()
