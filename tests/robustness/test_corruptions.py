"""Corruptions keep shape and range, repeat with their seed, grow with severity, and do what their names say."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tsynd.augmentation import intensity
from tsynd.errors import TsyndError
from tsynd.robustness.corruptions import CORRUPTIONS, DEFAULT, MODALITIES, corrupt, corruptions_for, functions
from tsynd.utils.rng import generator_for

NOISE = ("gaussian_noise", "speckle_noise", "impulse_noise", "shot_noise")
DRAWN = (*NOISE, "motion_blur")
BOTH = [
    (name, channels) for name, corruption in CORRUPTIONS.items() for channels in (1, 3) if channels == 3 or not corruption.colour
]


def natural(channels: int = 1, size: int = 28, count: int = 12) -> Tensor:
    """Smooth random images between .1 and .7."""
    coarse = torch.rand(count, channels, 9, 9, generator=torch.Generator().manual_seed(0))
    return 0.1 + 0.6 * torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")


@pytest.mark.parametrize(("name", "channels"), BOTH)
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
    images = natural(3)
    distances = [(corrupt(images, name, s, generator_for(0, name)) - images).square().mean().sqrt() for s in range(1, 6)]
    assert distances == sorted(distances)
    assert distances[0] > 0.002
    assert distances[4] > 1.5 * distances[0]


@pytest.mark.parametrize("name", DRAWN)
def test_noise_comes_from_the_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    one = corrupt(natural(), name, 3, generator_for(0, name))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(one, corrupt(natural(), name, 3, generator_for(1, name)))


@pytest.mark.parametrize(("side", "level"), [(28, 1 / 14), (28, 0.09), (30, 0.12), (64, 0.25)])
def test_a_mosaic_averages_its_cells(side: int, level: float) -> None:
    mosaic = functions._mosaic(side, level)
    assert torch.allclose(mosaic.sum(dim=1), torch.ones(side), atol=1e-5)
    assert torch.allclose(mosaic, mosaic.T, atol=1e-6)
    if side * level == round(side * level):  # whole pixels: the plain mean of each cell
        images, cell = natural(size=side), round(side * level)
        plain = torch.nn.functional.avg_pool2d(images, cell).repeat_interleave(cell, 2).repeat_interleave(cell, 3)
        assert torch.allclose(functions.pixelate(images, level), plain, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in DRAWN])
def test_the_others_are_deterministic(name: str) -> None:
    before = torch.get_rng_state()
    assert torch.equal(corrupt(natural(3), name, 3), corrupt(natural(3), name, 3))
    assert torch.equal(before, torch.get_rng_state())


def test_noise_has_the_stated_size() -> None:
    flat = torch.full((50, 1, 28, 28), 0.5)
    for name, scale in (("gaussian_noise", 1.0), ("speckle_noise", 0.5)):
        level = CORRUPTIONS[name].levels[0]
        assert float(corrupt(flat, name, 1, generator_for(0, name)).std()) == pytest.approx(scale * level, rel=0.02)


@pytest.mark.parametrize("name", DRAWN)
def test_an_image_gets_the_same_in_any_batch(name: str) -> None:
    images, whole, parts = natural(), generator_for(0, name), generator_for(0, name)
    once = corrupt(images, name, 3, whole)
    assert torch.allclose(torch.cat([corrupt(part, name, 3, parts) for part in images.split(5)]), once, atol=1e-6)


def test_impulses_and_photons_are_as_many_as_stated() -> None:
    flat = torch.full((200, 1, 28, 28), 0.5)
    struck = corrupt(flat, "impulse_noise", 5, generator_for(0, "impulse"))
    for value in (0.0, 1.0):
        assert float((struck == value).double().mean()) == pytest.approx(CORRUPTIONS["impulse_noise"].levels[4] / 2, rel=0.05)
    assert set(struck.unique().tolist()) == {0.0, 0.5, 1.0}
    level = CORRUPTIONS["shot_noise"].levels[0]
    photons = corrupt(flat, "shot_noise", 1, generator_for(0, "shot"))
    assert float(photons.mean()) == pytest.approx(0.5, rel=0.005)
    assert float(photons.var()) == pytest.approx(0.5 / level, rel=0.03)
    assert torch.allclose(photons * level, (photons * level).round(), atol=1e-4)


@pytest.mark.parametrize("length", [0.4, 1.7, 5.0, 12.3])
def test_a_motion_is_a_line_of_its_length_and_direction(length: float) -> None:
    angles = torch.tensor([0.0, torch.pi / 2, 0.6])
    lines = functions._lines(length, angles).double()
    assert torch.allclose(lines.sum(dim=(1, 2)), torch.ones(3, dtype=torch.float64))
    assert (lines >= 0).all()
    assert torch.allclose(lines[0], lines[1].T, atol=1e-5)
    places = torch.arange(lines.shape[-1]) - lines.shape[-1] // 2
    assert lines[0][places != 0].sum() < 1e-6, "level: nothing above or below"
    x, y = torch.meshgrid(places, places, indexing="xy")
    spread = torch.stack([(lines[2] * a * b).sum() for a, b in ((x, x), (x, y), (y, y))])
    if length > 3:
        direction = torch.atan2(2 * spread[1], spread[0] - spread[2]) / 2
        assert float(direction) == pytest.approx(0.6, abs=0.1)
        assert float(spread[0] + spread[2]) == pytest.approx(length**2 / 12, rel=0.25)


def test_each_image_moves_in_its_own_direction() -> None:
    same = natural(count=1).repeat(4, 1, 1, 1)
    moved = corrupt(same, "motion_blur", 5, generator_for(0, "motion"))
    assert min((moved[0] - other).abs().max() for other in moved[1:]) > 0.01


@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur", "pixelate"])
def test_blur_and_pixelation_scale_with_the_image(name: str) -> None:
    small, large = natural(size=28), natural(size=112)
    loss = [float((corrupt(x, name, 4, generator_for(0, name)) - x).square().mean().sqrt() / x.std()) for x in (small, large)]
    assert loss[0] == pytest.approx(loss[1], rel=0.25)


@pytest.mark.parametrize("radius", [0.2, 0.7, 1.5, 2.8])
def test_the_disc_has_its_area(radius: float) -> None:
    kernel = functions._disc(radius)
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


def test_gamma_contrast_and_saturation_do_what_they_say() -> None:
    images = natural(3)
    assert (corrupt(images, "gamma_up", 2) < images).all()
    assert (corrupt(images, "gamma_down", 2) > images).all()
    assert corrupt(images, "contrast_up", 1).std() > images.std()
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    assert torch.equal(corrupt(ends, "gamma_up", 5), ends)
    grey = corrupt(images, "saturation_down", 5)
    assert torch.allclose(grey, grey[:, :1].expand_as(grey), atol=1e-6)
    spread = [float(corrupt(images, name, 2).std(dim=1).mean()) for name in ("saturation_down", "saturation_up")]
    assert spread[0] < float(images.std(dim=1).mean()) < spread[1]


def test_a_stain_changes_by_its_factor_and_grey_stays_grey_without_one() -> None:
    haematoxylin, eosin, _ = torch.nn.functional.normalize(torch.tensor(intensity.STAINS), dim=1)
    for direction, factor in ((haematoxylin, 1.3), (eosin, 0.7)):
        tissue = (-0.8 * direction).exp().view(1, 3, 1, 1)
        assert torch.allclose(intensity.stain(tissue, 0.3), (-0.8 * factor * direction).exp().view(1, 3, 1, 1), atol=1e-4)
    images = natural(3)
    assert torch.allclose(intensity.stain(images, 0.0), images, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_that_of_a_file(channels: int) -> None:
    """kornia's differentiable codec against Pillow's, with the same tables and colours at full resolution."""
    images = natural(channels, size=56, count=3)
    for severity, quality in zip(range(1, 6), CORRUPTIONS["jpeg"].levels, strict=True):
        for image, ours in zip(images, corrupt(images, "jpeg", severity), strict=True):
            pixels = (image.permute(1, 2, 0) * 255).round().byte().squeeze(-1).numpy()
            Image.fromarray(pixels).save(stored := io.BytesIO(), "jpeg", quality=int(quality))
            theirs = torch.from_numpy(np.array(Image.open(stored))).view(56, 56, channels).permute(2, 0, 1) / 255
            change, difference = (theirs - image).abs().mean(), (theirs - ours).abs().mean()
            assert difference < 0.75 * change + 0.004


def test_the_default_eight_and_the_modalities_are_known() -> None:
    assert len(DEFAULT) == 8
    assert list(DEFAULT) == list(CORRUPTIONS)[:8]
    assert {name for names in MODALITIES.values() for name in names} == set(CORRUPTIONS)
    assert set(corruptions_for("microscopy", 3)) - set(corruptions_for("microscopy", 1)) == {
        "saturation_up",
        "saturation_down",
        "stain",
    }
    with pytest.raises(TsyndError, match="did you mean 'x-ray'"):
        corruptions_for("xray", 1)


def test_bad_input_is_refused() -> None:
    for name in ("saturation_up", "saturation_down", "stain"):
        with pytest.raises(TsyndError, match=f"'{name}' changes colours, and these images are grey"):
            corrupt(natural(1), name, 1)
    for images, message in (
        (natural() * 255, "images must lie in"),
        (natural() - 0.5, "images must lie in"),
        (natural() * torch.nan, "images must lie in"),
        (natural()[:0], "B >= 1"),
        (natural()[0], "float of shape"),
        (natural(2), "1 or 3"),
        ((natural() * 255).byte(), "float of shape"),
    ):
        with pytest.raises(TsyndError, match=message):
            corrupt(images, "jpeg", 1)
    with pytest.raises(TsyndError, match="did you mean 'gaussian_noise'"):
        corrupt(natural(), "gausian_noise", 1)
    for severity in (0, 6, -1, 2.5):
        with pytest.raises(TsyndError, match=f"got {severity}"):
            corrupt(natural(), "jpeg", severity)  # type: ignore[arg-type]
