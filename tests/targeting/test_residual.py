"""Residual decoding, equal displacement and the divergence, on toys whose answer is known and on the real networks."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.targeting.test_search import IMAGES, LABELS, networks, seeded
from tests.targeting.toys import Toy, run_toy
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.targeting import Synthesis, target

UP = torch.tensor([0.6, 0.8], dtype=torch.float64)


class Lossy(Toy):
    """An autoencoder that loses a fifth of each pixel, as one loses detail."""

    def decode(self, latents_BD: Tensor) -> Tensor:
        return 0.8 * super().decode(latents_BD)


def search(**settings: Any) -> Synthesis:
    autoencoder, classifier = networks()
    posterior = HeadDropout.of(classifier, 16, seeded())
    options: dict[str, Any] = {"radius": 0.5, "generator": seeded()} | settings
    return target(IMAGES, LABELS, autoencoder, posterior, **options)


def test_a_residual_is_the_source_and_the_change_of_what_is_decoded() -> None:
    found = run_toy(Lossy(lambda x: x @ UP), [[0.5, 0.4]], decode="residual", radius=0.1)
    torch.testing.assert_close(found.reconstructions.flatten(), torch.tensor([0.5, 0.4], dtype=torch.float64))
    expected = torch.tensor([0.5, 0.4], dtype=torch.float64) + 0.8 * 0.1 * math.sqrt(2) * UP
    torch.testing.assert_close(found.images.flatten(), expected)
    assert found.decode == "residual"


def test_what_is_climbed_is_the_objective_of_the_residual_image() -> None:
    """A slope that begins above .45: the decoded image, at most .8 * .5 + .04, never sees it; the source stands on it."""
    height = lambda x: x[:, 0].clamp_min(0.45)  # noqa: E731
    images, residuals = (run_toy(Lossy(height), [[0.5, 0.5]], decode=d, radius=0.05) for d in ("image", "residual"))
    assert images.stuck.item() and not residuals.stuck.item()
    assert residuals.objective_after > residuals.objective_before


@pytest.mark.parametrize("objective", ["mutual_information", "random", "reconstruction"])
def test_residual_images_start_at_the_source_and_stay_in_range(objective: str) -> None:
    found = search(objective=objective, decode="residual", max_chunk=2)
    torch.testing.assert_close(found.reconstructions, IMAGES, atol=1e-6, rtol=0)
    assert found.images.min() >= 0 and found.images.max() <= 1
    moved = (found.images - IMAGES).abs().max() > 1e-4
    assert moved == (objective != "reconstruction")


@pytest.mark.parametrize(("space", "radius"), [("latent", 0.5), ("pixel", 0.1)])
@pytest.mark.parametrize("objective", ["mutual_information", "random"])
def test_displacement_is_equal_in_both_spaces(space: str, radius: float, objective: str) -> None:
    found = search(space=space, radius=radius, objective=objective, decode="residual", displacement=0.004)
    torch.testing.assert_close(found.pixel_displacement, torch.full((5,), 0.004), atol=4e-4, rtol=0)  # clipping takes a little
    assert found.displacement == 0.004


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"displacement": 0.01}, "needs decode='residual' or space='pixel'"),
        ({"displacement": -0.01, "decode": "residual"}, r"displacement must be in \(0, 1\], got -0.01"),
        ({"decode": "residul"}, "did you mean 'residual'"),
    ],
)
def test_bad_decodings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        search(**settings)


def test_divergence_begins_with_noise_and_rises_from_zero() -> None:
    found = search(objective="divergence", noise=0.1, radius=2.0)
    torch.testing.assert_close(found.objective_before, torch.zeros(5), atol=1e-6, rtol=0)
    assert (found.objective_after > 0).all() and not found.stuck.any()
    assert (found.latent_displacement > 0.1 * 2.0).all()  # further than the noise alone
    torch.testing.assert_close(found.reconstructions, search(objective="reconstruction").images, atol=0, rtol=0)


def test_divergence_climbs_as_far_as_a_plain_line_says() -> None:
    """Log-odds rise along one direction: both ends of the ball are as far; the noise decides which one is found."""
    settings: dict[str, Any] = {"objective": "divergence", "noise": 0.3, "radius": 0.1, "steps": 30}
    found = run_toy(Toy(lambda x: 4 * (x @ UP)), [[0.5, 0.5]], generator=torch.Generator().manual_seed(0), **settings)
    along = (found.images.flatten() - 0.5) @ UP
    assert abs(along.item()) == pytest.approx(0.1 * math.sqrt(2), rel=1e-2)
