"""Phantoms: the same seed gives the same images, the class follows the factors, the factors can be seen and climbed."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tsynd.data import load
from tsynd.data.phantom import Factors, classify, draw_split, lesion_masks, malignancy, render, sample_factors
from tsynd.errors import TsyndError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(factors: Factors, size: int = 28) -> Tensor:
    """The same tissue and speckle every time."""
    return render(factors, size, seeded(1))


def test_the_same_seed_gives_the_same_images() -> None:
    one, same, other = (load("phantom", count=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.train.images, same.train.images)
    assert not torch.equal(one.train.images, other.train.images)
    larger = load("phantom", count=6)
    assert torch.equal(one.test.images, larger.test.images)
    assert torch.equal(one.val.images, larger.val.images)


def test_global_randomness_is_untouched() -> None:
    before = torch.random.get_rng_state()
    load("phantom", count=2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_counts_classes_and_licence() -> None:
    made = load("phantom", count=3, size=32)
    assert [split.labels.bincount().tolist() for split in (made.train, made.val, made.test)] == [[3, 3], [200, 200], [500, 500]]
    assert (made.name, made.classes, made.task, made.size) == ("phantom:count=3", ("benign", "malignant"), "binary", 32)


def test_the_label_is_the_sign_of_the_score() -> None:
    split, factors = draw_split(20, 16, seeded())
    assert torch.equal(split.labels, classify(factors))
    assert torch.equal(split.labels, (malignancy(factors) > 0).long())
    assert malignancy(factors).abs().min() > 0.2


@pytest.mark.parametrize("sign", ["irregularity", "aspect", "shadow"])
def test_each_sign_makes_it_more_malignant_and_the_others_do_not(sign: str) -> None:
    factors = sample_factors(10, seeded())
    assert (malignancy(replace(factors, **{sign: getattr(factors, sign) + 0.1})) > malignancy(factors)).all()
    moved = replace(factors, radius=factors.radius * 2, contrast=-factors.contrast, x=factors.x + 1, gain=factors.gain + 3)
    assert torch.equal(malignancy(moved), malignancy(factors))


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
