"""The ascent on codes of two numbers: its steps, its ball, its noise, what it keeps, and who leaves."""

import math
from typing import Any

import pytest
import torch

from tests.targeting.toys import Toy, run_toy
from tsynd.targeting.synthesis import COLUMNS


def test_descending_ends_where_climbing_the_negative_does() -> None:
    up, down = (run_toy(Toy(lambda x: x @ torch.tensor([0.6, 0.8]).to(x)), [[0.5, 0.5]], minimise=m) for m in (False, True))
    top = torch.tensor([0.6, 0.8], dtype=torch.float64) * 0.1 * math.sqrt(2)
    torch.testing.assert_close(up.images.flatten(), 0.5 + top)
    torch.testing.assert_close(down.images.flatten(), 0.5 - top)
    assert down.minimise
    assert (down.objective_after < down.objective_before).all()  # the objective itself is reported, not its negative


def test_images_without_a_gradient_stay_and_are_marked() -> None:
    toy = Toy(lambda x: torch.where(x[:, 0] < 0.5, x[:, 1], x[:, 1] * 0))
    found = run_toy(toy, [[0.2, 0.1], [0.8, 0.1]], noise=0.5, steps=3)
    assert found.stuck.tolist() == [False, True]
    assert found.steps_taken.tolist() == [3, 0]
    assert found.latent_displacement[1] == 0
    assert found.latent_displacement[0] > 0


def test_no_more_images_than_a_chunk_pass_at_a_time() -> None:
    toy = Toy(lambda x: x[:, 0])
    run_toy(toy, [[0.1, 0.2]] * 7, max_chunk=3)
    assert max(toy.sizes) == 3


def test_noise_is_added_once_and_is_as_long_as_asked() -> None:
    """A slope, and a ball that is not reached: what is not along the slope, and more than the steps, is noise."""
    up = torch.tensor([0.6, 0.8], dtype=torch.float64)
    settings: dict[str, Any] = {"radius": 0.5, "step_size": 0.1, "steps": 4, "generator": torch.Generator().manual_seed(0)}
    found = run_toy(Toy(lambda x: x @ up), [[0.5, 0.5], [0.2, 0.3]], noise=0.1, **settings)
    noise_BD = found.latents - found.start_latents - 4 * 0.1 * math.sqrt(2) * up
    torch.testing.assert_close(noise_BD.norm(dim=1), torch.full((2,), 0.1 * 0.5 * math.sqrt(2), dtype=torch.float64))


def test_the_best_code_on_the_way_is_kept_and_not_the_last() -> None:
    """A ridge that a long step crosses: from .5 - .2 to .5 + .1, and back, and so on."""
    found = run_toy(Toy(lambda x: -(x[:, 0] - 0.5).abs()), [[0.3, 0.0]], radius=1.0, step_size=0.3 / math.sqrt(2), steps=4)
    assert found.latents[0, 0].item() == pytest.approx(0.6)


def test_noise_does_not_carry_an_image_without_a_gradient_to_where_there_is_one() -> None:
    """Twenty images on a plain, a hair beside a slope: noise would put half of them on it."""
    toy = Toy(lambda x: torch.where(x[:, 0] < 0.5, x[:, 1], x[:, 1] * 0))
    found = run_toy(toy, [[0.501, 0.5]] * 20, noise=1.0, generator=torch.Generator().manual_seed(0))
    assert found.stuck.all()
    assert (found.latent_displacement == 0).all()


def test_a_step_ends_in_the_ball_and_is_not_stretched_to_its_edge() -> None:
    found = run_toy(Toy(lambda x: x[:, 0]), [[0.5, 0.5]], radius=0.5, step_size=0.1, steps=2)
    assert found.latent_displacement.item() == pytest.approx(0.2)


def test_what_is_found_holds_no_graph() -> None:
    found = run_toy(Toy(lambda x: x[:, 0]), [[0.5, 0.5]])
    assert [name for name in COLUMNS if getattr(found, name).requires_grad] == []
