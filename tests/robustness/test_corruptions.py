"""Corruptions keep shape and range, repeat with their seed, grow with severity, and do what their names say."""

import pytest
import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.randomness import generator_for
from tsynd.robustness import corruptions
from tsynd.robustness.corruptions import CORRUPTIONS, corrupt

NOISE = ("gaussian_noise", "speckle_noise")


def natural(channels: int = 1, size: int = 28, count: int = 12) -> Tensor:
    """Smooth random images between .1 and .7."""
    coarse = torch.rand(count, channels, 9, 9, generator=torch.Generator().manual_seed(0))
    return 0.1 + 0.6 * torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_keeps_shape_dtype_and_range_and_repeats(name: str, channels: int) -> None:
    images = natural(channels, size=30)
    given = images.clone()
    for severity in range(1, 6):
        result = corrupt(images, name, severity, generator_for(0, name))
        assert result.shape == images.shape
        assert result.dtype == images.dtype
        assert result.min() >= 0
        assert result.max() <= 1
        assert torch.equal(result, corrupt(images, name, severity, generator_for(0, name)))
    assert torch.equal(images, given), "the input must not change"


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_grows(name: str) -> None:
    images = natural()
    distances = [(corrupt(images, name, s, generator_for(0, name)) - images).square().mean().sqrt() for s in range(1, 6)]
    assert distances == sorted(distances)
    assert distances[0] > 0.002
    assert distances[4] > 1.5 * distances[0]


@pytest.mark.parametrize("name", NOISE)
def test_noise_comes_from_the_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    one = corrupt(natural(), name, 3, generator_for(0, name))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(one, corrupt(natural(), name, 3, generator_for(1, name)))


@pytest.mark.parametrize(("side", "level"), [(28, 1 / 14), (28, 0.09), (30, 0.12), (64, 0.25)])
def test_a_mosaic_averages_its_cells(side: int, level: float) -> None:
    mosaic = corruptions._mosaic(side, level)
    assert torch.allclose(mosaic.sum(dim=1), torch.ones(side), atol=1e-5)
    assert torch.allclose(mosaic, mosaic.T, atol=1e-6)
    if side * level == round(side * level):  # whole pixels: the plain mean of each cell
        images, cell = natural(size=side), round(side * level)
        plain = torch.nn.functional.avg_pool2d(images, cell).repeat_interleave(cell, 2).repeat_interleave(cell, 3)
        assert torch.allclose(corruptions.pixelate(images, level), plain, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in NOISE])
def test_the_others_are_deterministic(name: str) -> None:
    before = torch.get_rng_state()
    assert torch.equal(corrupt(natural(), name, 3), corrupt(natural(), name, 3))
    assert torch.equal(before, torch.get_rng_state())


def test_noise_has_the_stated_size() -> None:
    flat = torch.full((50, 1, 28, 28), 0.5)
    for name, scale in (("gaussian_noise", 1.0), ("speckle_noise", 0.5)):
        level = CORRUPTIONS[name].levels[0]
        assert float(corrupt(flat, name, 1, generator_for(0, name)).std()) == pytest.approx(scale * level, rel=0.02)


@pytest.mark.parametrize("name", ["defocus_blur", "pixelate"])
def test_blur_and_pixelation_scale_with_the_image(name: str) -> None:
    small, large = natural(size=28), natural(size=112)
    loss = [float((corrupt(x, name, 4) - x).square().mean().sqrt() / x.std()) for x in (small, large)]
    assert loss[0] == pytest.approx(loss[1], rel=0.25)


@pytest.mark.parametrize("radius", [0.2, 0.7, 1.5, 2.8])
def test_the_disc_has_its_area(radius: float) -> None:
    kernel = corruptions._disc(radius)
    assert float(kernel.sum()) == pytest.approx(1)
    assert torch.allclose(kernel, kernel.rot90())
    assert torch.allclose(kernel, kernel.flip(0))
    if radius > 0.5:
        assert float(1 / kernel.max()) == pytest.approx(torch.pi * radius**2, rel=0.05)


def test_brightness_contrast_and_jpeg_do_what_they_say() -> None:
    images = natural(3)
    assert (corrupt(images, "brightness_up", 2) >= images).all()
    assert (corrupt(images, "brightness_down", 2) <= images).all()
    flatter = corrupt(images, "contrast_down", 5)
    assert torch.allclose(flatter.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)), atol=1e-5)
    grey = natural()
    assert (corrupt(grey, "jpeg", 1) - grey).abs().mean() < 0.02
    assert torch.allclose(corrupt(grey, "jpeg", 3), corrupt(grey.repeat(1, 3, 1, 1), "jpeg", 3)[:, :1], atol=0.01)


def test_bad_input_is_refused() -> None:
    with pytest.raises(TsyndError, match="did you mean 'gaussian_noise'"):
        corrupt(natural(), "gausian_noise", 1)
    for severity in (0, 6, -1, 2.5):
        with pytest.raises(TsyndError, match=f"got {severity}"):
            corrupt(natural(), "jpeg", severity)  # type: ignore[arg-type]
