"""TrivialAugment: what each operation does and keeps, and that an image gets one, evenly drawn, of a strength of its own."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tsynd.augmentation import trivial_augment
from tsynd.augmentation.trivialaugment import LEVELS, OPERATIONS, drawn, operations
from tsynd.classification import build_classifier
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.tensor_files import weights_hash

QUICK = Recipe(steps=6, batch_size=8)
WITHOUT_STRENGTH = ("identity", "autocontrast", "equalize")
EXACT = ("identity", "solarize", "posterize", "brightness", "sharpness")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 5, channels: int = 1, size: int = 28) -> Tensor:
    """Smooth images with values from .2 to .8, 8-bit, and all different."""
    coarse = torch.rand(count, channels, 5, 5, generator=seeded(count))
    fine = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    return (255 * (0.2 + 0.6 * fine)).round() / 255


def test_the_operations_are_those_of_the_paper() -> None:
    assert len(operations(3)) == 14 and len(operations(1)) == 13
    assert set(operations(3)) - set(operations(1)) == {"colour"}
    x = pictures(channels=3)
    assert torch.equal(OPERATIONS["identity"](x, torch.ones(5)), x)


@pytest.mark.parametrize("size", [28, 224])
@pytest.mark.parametrize(("channels", "name"), [(c, name) for c in (1, 3) for name in operations(c)])
def test_an_operation_keeps_shape_type_and_range(name: str, channels: int, size: int) -> None:
    images, strength = pictures(channels=channels, size=size), torch.tensor([-1.0, -0.4, 0.0, 0.6, 1.0])
    before = images.clone()
    for dtype in (torch.float32, torch.float64):
        changed = OPERATIONS[name](images.to(dtype), strength.to(dtype))
        assert changed.shape == images.shape and changed.dtype == dtype and changed.isfinite().all()
        assert changed.min() > -0.5 and changed.max() < 1.9  # what is left to the clamp: nothing runs away
    assert torch.equal(images, before)
    alone = torch.cat([OPERATIONS[name](images[[row]], strength[[row]]) for row in range(5)])
    torch.testing.assert_close(OPERATIONS[name](images, strength), alone)  # each image has its own strength


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in WITHOUT_STRENGTH])
def test_strength_0_changes_nothing_and_more_strength_changes_more(name: str) -> None:
    images = pictures(channels=3)
    changes = [(OPERATIONS[name](images, torch.full((5,), s)) - images).abs().mean() for s in (0.0, 0.3, 1.0)]
    assert changes[0] == 0 if name in EXACT else changes[0] < 1e-5
    assert 1e-4 < changes[1] < changes[2]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in (*WITHOUT_STRENGTH, "solarize", "posterize")])
def test_a_sign_makes_a_difference_where_there_is_one(name: str) -> None:
    images, strength = pictures(channels=3), torch.full((5,), 0.5)
    assert (OPERATIONS[name](images, strength) - OPERATIONS[name](images, -strength)).abs().mean() > 1e-4
    for unsigned in (*WITHOUT_STRENGTH, "solarize", "posterize"):
        assert torch.equal(OPERATIONS[unsigned](images, strength), OPERATIONS[unsigned](images, -strength))


def test_moves_have_the_stated_size() -> None:
    x, one = pictures(size=32), torch.ones(5)
    assert torch.allclose(OPERATIONS["translate_x"](x, one)[..., :22], x[..., 10:], atol=1e-5)  # 10 of 32 px
    assert torch.allclose(OPERATIONS["translate_y"](x, -one)[..., 10:, :], x[..., :22, :], atol=1e-5)
    slope = torch.linspace(-1, 1, 33).view(1, 1, 1, 33).expand(1, 1, 33, 33) / 4 + 0.5  # its value says the place
    sheared = 4 * (OPERATIONS["shear_x"](slope, one[:1]) - 0.5)[0, 0, :, 16]
    assert torch.allclose(sheared, 0.3 * torch.linspace(-1, 1, 33), atol=1e-5)
    assert torch.allclose(OPERATIONS["shear_y"](slope.mT, one[:1]).mT, OPERATIONS["shear_x"](slope, one[:1]), atol=1e-6)
    turned = 4 * (OPERATIONS["rotate"](slope, one[:1]) - 0.5)[0, 0]
    assert float(turned[16, 24]) == pytest.approx(0.5 * 3**0.5 / 2, abs=1e-5)  # half-way to the right, by 30 degrees


def test_values_change_as_stated() -> None:
    x = torch.tensor([0.2, 0.4, 0.6, 0.8]).repeat(1, 1, 4, 1)
    third = torch.tensor([1 / 3])
    assert torch.allclose(OPERATIONS["brightness"](x, -third), 0.7 * x)
    assert torch.allclose(OPERATIONS["contrast"](x, third), 0.5 + 1.3 * (x - 0.5))
    assert torch.allclose(OPERATIONS["solarize"](x, torch.tensor([0.5])), torch.where(x < 0.5, x, 1 - x))
    assert torch.allclose(OPERATIONS["solarize"](x, torch.tensor([1.0])), 1 - x)
    assert torch.allclose(OPERATIONS["autocontrast"](x, third), (x - 0.2) / 0.6)
    flat = torch.full((1, 1, 4, 4), 0.3)
    assert torch.equal(OPERATIONS["autocontrast"](flat, third), flat)
    every = torch.arange(256).view(1, 1, 16, 16) / 255
    assert OPERATIONS["posterize"](every, torch.ones(1)).unique().numel() == 16  # 4 bits
    dark = OPERATIONS["equalize"](pictures(1, size=64) / 4, third)
    assert dark.mean() == pytest.approx(0.5, abs=0.05) and dark.max() == 1
    grey = OPERATIONS["colour"](pictures(1, 3), -torch.ones(1))
    assert (grey.amax(1) - grey.amin(1)).max() < 0.11 * (pictures(1, 3).amax(1) - pictures(1, 3).amin(1)).max()
    assert OPERATIONS["sharpness"](pictures(1), -torch.ones(1)).std() < pictures(1).std()


def test_operations_strengths_and_signs_are_drawn_evenly_and_independently() -> None:
    operation, strength = drawn(42_000, 14, seeded())
    assert (operation.bincount(minlength=14) - 3000).abs().max() < 5 * 3000**0.5
    level = (strength.abs() * (LEVELS - 1)).round().long()
    torch.testing.assert_close(level.float() / 30, strength.abs())
    assert (level.bincount(minlength=31) - 42_000 / 31).abs().max() < 5 * (42_000 / 31) ** 0.5
    numbers = torch.stack([operation.float(), strength.abs(), strength.sign()])
    assert (torch.corrcoef(numbers) - torch.eye(3)).abs().max() < 0.03
    assert ((strength < 0).float().mean() - 0.5 * 30 / 31).abs() < 0.02


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_gets_the_operation_that_was_drawn_for_it(channels: int) -> None:
    images = pictures(40, channels)
    changed, (operation, strength) = trivial_augment(images, seeded()), drawn(40, len(operations(channels)), seeded())
    assert operation.unique().numel() > 8
    for row in range(40):
        expected = OPERATIONS[operations(channels)[operation[row]]](images[[row]], strength[[row]]).clamp(0, 1)
        torch.testing.assert_close(changed[[row]], expected)


def test_the_same_generator_gives_the_same_images_however_they_are_batched() -> None:
    images, generator = pictures(30), seeded()
    whole = trivial_augment(images, seeded())
    torch.testing.assert_close(torch.cat([trivial_augment(part, generator) for part in images.split(7)]), whole)
    assert torch.equal(whole, trivial_augment(images, seeded())) and not torch.equal(whole, trivial_augment(images, seeded(1)))
    assert whole.min() >= 0 and whole.max() <= 1
    assert trivial_augment(images.double(), seeded()).dtype == torch.float64
    assert trivial_augment(images[:0], seeded()).shape == (0, 1, 28, 28)


def test_runs_on_the_meta_device_and_leaves_images_and_the_global_generator() -> None:
    images = pictures(60, 3)
    before, copied = torch.get_rng_state(), images.clone()
    trivial_augment(images, seeded())
    assert trivial_augment(images.to("meta"), seeded()).device.type == "meta"
    assert torch.equal(before, torch.get_rng_state()) and torch.equal(images, copied)


def test_training_changes_the_real_images_of_a_batch_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = pictures(12), torch.arange(12) % 2

    def train(arm: str, recipe: Recipe = QUICK) -> list[float]:
        return train_classifier(build_classifier(1, 28, 2, seed=2), images, labels, parse_arm(arm), recipe)[0].loss

    plain, changed = train("none"), train("trivialaugment")
    assert plain[0] != changed[0]
    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, OPERATIONS["identity"])
    assert train("trivialaugment") == plain  # the same batches, the same light augmentation, in the same order


def test_several_labels_an_image_are_trained_too() -> None:
    images, labels = pictures(12, 3), torch.stack([torch.arange(12) % 2, torch.ones(12, dtype=torch.int64)], 1)
    found = []
    for arm in ("none", "trivialaugment", "trivialaugment+mixup+label-smoothing"):
        classifier = build_classifier(3, 28, 2, seed=2, multi_label=True)
        history, _ = train_classifier(classifier, images, labels, parse_arm(arm), replace(QUICK, steps=3))
        assert all(loss == loss for loss in history.loss)
        found.append(weights_hash(classifier))
    assert len(set(found)) == 3
