"""Augmentation: no ranges change nothing, ranges are kept, and the same seed gives the same images however they are batched."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.robustness.toys import images_and_labels, small_network
from tsynd.augmentation import affine
from tsynd.augmentation.affine import SHIFTED_RANGE, TRAIN_RANGE, Augmentation, augment
from tsynd.errors import TsyndError
from tsynd.robustness.conditions import test_time_augmentation as evaluate_augmented


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 31])
def test_no_ranges_change_nothing(channels: int, size: int) -> None:
    images = torch.rand(4, channels, size, size)
    assert (augment(images, Augmentation(), seeded()) - images).abs().max() < 1e-5


def test_a_certain_flip_is_a_flip() -> None:
    images = torch.rand(4, 3, 28, 28)
    assert (augment(images, Augmentation(flip=1.0), seeded()) - images.flip(-1)).abs().max() < 1e-5


def test_half_turns_and_quarter_turns_are_exact() -> None:
    images = torch.rand(16, 1, 12, 12)
    turned = augment(images, Augmentation(rotation=(90, 90)), seeded())
    for image, result in zip(images, turned, strict=True):
        assert min((result - image.rot90(k, (1, 2))).abs().max() for k in (1, 3)) < 1e-4
    assert (augment(images, Augmentation(rotation=(180, 180)), seeded()) - images.flip(-1, -2)).abs().max() < 1e-4


def test_translation_by_whole_pixels_repeats_the_border() -> None:
    images = torch.rand(32, 1, 10, 10)
    moved = augment(images, Augmentation(translation=(0.2, 0.2)), seeded())
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="replicate")
    corners = [padded[..., y : y + 10, x : x + 10] for y in (0, 4) for x in (0, 4)]
    distance = torch.stack([(moved - corner).abs().amax(dim=(1, 2, 3)) for corner in corners])
    assert distance.min(dim=0).values.max() < 1e-4
    assert distance.argmin(dim=0).unique().numel() == 4, "all four directions must occur"


def test_scale_and_photometric_changes_have_the_stated_size() -> None:
    disc = ((torch.linspace(-1, 1, 65).square() + torch.linspace(-1, 1, 65).square().unsqueeze(1)) < 0.25).float()
    area = augment(disc.expand(8, 1, 65, 65).clone(), Augmentation(scale=(0.2, 0.2)), seeded()).sum(dim=(1, 2, 3)) / disc.sum()
    assert torch.minimum((area - 1.44).abs(), (area - 0.64).abs()).max() < 0.03
    flat = augment(torch.full((8, 1, 8, 8), 0.5), Augmentation(brightness=(0.1, 0.1), contrast=(0.3, 0.3)), seeded())
    assert torch.allclose((flat - 0.5).abs(), torch.tensor(0.1), atol=1e-5)
    halves = torch.tensor([0.4, 0.6]).repeat(8, 1, 8, 4)
    spread = augment(halves, Augmentation(contrast=(0.3, 0.3)), seeded()).std(dim=(1, 2, 3)) / halves[0].std()
    assert torch.allclose((spread - 1).abs(), torch.tensor(0.3), atol=1e-3)


def test_the_outside_range_begins_beyond_the_inside_range() -> None:
    for name in ("rotation", "translation", "scale", "brightness", "contrast"):
        assert getattr(SHIFTED_RANGE, name)[0] > getattr(TRAIN_RANGE, name)[1], name


@given(number=st.floats(-1, 1, exclude_max=True), low=st.floats(0, 10), width=st.floats(0, 10))
@settings(deadline=None)
def test_signed_numbers_stay_in_the_range(number: float, low: float, width: float) -> None:
    value = float(affine._signed(torch.tensor(number, dtype=torch.float64), (low, low + width)))
    assert low - 1e-9 <= abs(value) <= low + width + 1e-9
    assert value == 0 or (value < 0) == (number < 0)


@pytest.mark.parametrize("ranges", [TRAIN_RANGE, SHIFTED_RANGE])
def test_does_not_depend_on_batches_and_repeats_with_its_seed(ranges: Augmentation) -> None:
    images = torch.rand(9, 3, 28, 28)
    whole, generator = augment(images, ranges, seeded()), seeded()
    parts = torch.cat([augment(part, ranges, generator) for part in images.split(4)])
    assert torch.allclose(whole, parts, atol=1e-6)
    assert not torch.allclose(whole, augment(images, ranges, seeded(1)))
    assert whole.dtype == torch.float32
    assert whole.min() >= 0
    assert whole.max() <= 1
    assert augment(images.double(), ranges, seeded()).dtype == torch.float64


def test_runs_on_the_meta_device_and_leaves_the_global_generator() -> None:
    before = torch.get_rng_state()
    assert augment(torch.rand(2, 1, 28, 28, generator=seeded()).to("meta"), SHIFTED_RANGE, seeded()).device.type == "meta"
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("bad", [{"rotation": (10, 5)}, {"translation": (-0.1, 0.1)}, {"scale": (0, 1)}, {"flip": 1.5}])
def test_bad_ranges_are_refused(bad: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(TsyndError, match=next(iter(bad))):
        Augmentation(**bad)  # type: ignore[arg-type]


def test_test_time_augmentation_of_models_whose_answer_is_known() -> None:
    images, labels = images_and_labels(20, channels=3, size=12)

    def constant(batch: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).expand(len(batch), 2)

    report = evaluate_augmented(constant, images, labels, 3, seeded())
    assert report == {
        "inside": {"mean": 0.5, "worst": 0.5, "consistency": 1.0},
        "outside": {"mean": 0.5, "worst": 0.5, "consistency": 1.0},
        "draws": 3,
    }


def test_test_time_augmentation_is_paired_and_bounded() -> None:
    images, labels = images_and_labels(30)
    network = small_network(1, 12, 2)
    one = evaluate_augmented(network, images, labels, 4, seeded(), batch_size=7)
    assert one == evaluate_augmented(network, images, labels, 4, seeded())
    for section in (one["inside"], one["outside"]):
        assert 0 <= section["worst"] <= section["mean"] <= 1
        assert 0 <= section["consistency"] <= 1
    with pytest.raises(TsyndError, match="draws"):
        evaluate_augmented(network, images, labels, 0)
    with pytest.raises(TsyndError, match="B >= 1"):
        evaluate_augmented(network, images[:0], labels[:0], 1)
