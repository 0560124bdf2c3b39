"""The ascent on codes of two numbers: its steps, its ball, its noise, what it keeps, and who leaves."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.targeting.toys import Toy, log_odds, run_toy
from tsynd.targeting import COLUMNS


def test_descending_ends_where_climbing_the_negative_does() -> None:
    up, down = (run_toy(Toy(lambda x: x @ torch.tensor([0.6, 0.8]).to(x)), [[0.5, 0.5]], minimise=m) for m in (False, True))
    top = torch.tensor([0.6, 0.8], dtype=torch.float64) * 0.1 * math.sqrt(2)
    torch.testing.assert_close(up.images_BCHW.flatten(), 0.5 + top)
    torch.testing.assert_close(down.images_BCHW.flatten(), 0.5 - top)
    assert down.minimise
    assert (down.objective_after_B < down.objective_before_B).all()  # the objective itself is reported, not its negative


def test_images_whose_gain_has_flattened_leave_the_batch() -> None:
    def height(x: Tensor) -> Tensor:  # left of .5 a slope that goes on, right of it one that ends soon
        return torch.where(x[:, 0] < 0.5, x[:, 1], x[:, 1].clamp_max(0.11))

    start: list[list[float]] = [[0.2, 0.1], [0.8, 0.1]]
    settings: dict[str, Any] = {"radius": 0.5, "step_size": 0.005, "steps": 40}
    waiting, leaving = Toy(height), Toy(height)
    all_steps = run_toy(waiting, start, **settings)
    early = run_toy(leaving, start, patience=2, **settings)
    assert waiting.sizes[:-2] == [2] * 41
    assert leaving.sizes[40] == 1  # the second image has left; the last two calls are the report
    assert all_steps.steps_B.tolist() == [40, 40]
    assert early.steps_B[0] == 40
    assert early.steps_B[1] == 4  # two that rose, two that did not
    torch.testing.assert_close(early.images_BCHW, all_steps.images_BCHW, atol=1e-9, rtol=0)


def test_a_search_ends_when_all_have_left() -> None:
    toy = Toy(lambda x: x[:, 0].clamp_max(0.5))
    found = run_toy(toy, [[0.49, 0.0], [0.495, 0.0]], patience=1, steps=500)
    assert len(toy.sizes) < 20
    assert (found.objective_after_B == 0.5).all()


@pytest.mark.parametrize("patience", [None, 2])
def test_images_without_a_gradient_stay_and_are_marked(patience: int | None) -> None:
    toy = Toy(lambda x: torch.where(x[:, 0] < 0.5, x[:, 1], x[:, 1] * 0))
    found = run_toy(toy, [[0.2, 0.1], [0.8, 0.1]], noise=0.5, steps=3, patience=patience)
    assert found.stuck_B.tolist() == [False, True]
    assert found.steps_B.tolist() == [3, 0]
    assert found.latent_displacement_B[1] == 0
    assert found.latent_displacement_B[0] > 0


def test_no_more_images_than_a_chunk_pass_at_a_time() -> None:
    toy = Toy(lambda x: x[:, 0])
    run_toy(toy, [[0.1, 0.2]] * 7, max_chunk=3)
    assert max(toy.sizes) == 3


def test_noise_is_added_once_and_is_as_long_as_asked() -> None:
    """A slope, and a ball that is not reached: what is not along the slope, and more than the steps, is noise."""
    up = torch.tensor([0.6, 0.8], dtype=torch.float64)
    settings: dict[str, Any] = {"radius": 0.5, "step_size": 0.1, "steps": 4, "generator": torch.Generator().manual_seed(0)}
    found = run_toy(Toy(lambda x: x @ up), [[0.5, 0.5], [0.2, 0.3]], noise=0.1, **settings)
    noise_BD = found.latents_BD - found.start_latents_BD - 4 * 0.1 * math.sqrt(2) * up
    torch.testing.assert_close(noise_BD.norm(dim=1), torch.full((2,), 0.1 * 0.5 * math.sqrt(2), dtype=torch.float64))


def test_the_best_code_on_the_way_is_kept_and_not_the_last() -> None:
    """A ridge that a long step crosses: from .5 - .2 to .5 + .1, and back, and so on."""
    found = run_toy(Toy(lambda x: -(x[:, 0] - 0.5).abs()), [[0.3, 0.0]], radius=1.0, step_size=0.3 / math.sqrt(2), steps=4)
    assert found.latents_BD[0, 0].item() == pytest.approx(0.6)


def test_noise_does_not_carry_an_image_without_a_gradient_to_where_there_is_one() -> None:
    """Twenty images on a plain, a hair beside a slope: noise would put half of them on it."""
    toy = Toy(lambda x: torch.where(x[:, 0] < 0.5, x[:, 1], x[:, 1] * 0))
    found = run_toy(toy, [[0.501, 0.5]] * 20, noise=1.0, generator=torch.Generator().manual_seed(0))
    assert found.stuck_B.all()
    assert (found.latent_displacement_B == 0).all()


def test_who_stays_keeps_its_label_and_its_ball_when_others_leave() -> None:
    """The first image leaves at once; the second, of the other class, goes down, as far as its own ball reaches."""

    def height(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0.5, x[:, 1].clamp_max(0.11), x[:, 1])

    def of_label(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        return log_odds(log_probs_BKC, labels_B) * (1 - 2 * labels_B)

    settings: dict[str, Any] = {"objective": of_label, "labels": [0, 1], "radius": 0.2, "step_size": 0.02, "steps": 30}
    found = run_toy(Toy(height), [[0.8, 0.1], [0.2, 0.9]], patience=2, **settings)
    assert found.steps_B[0] < 10
    assert found.latents_BD[1].tolist() == pytest.approx([0.2, 0.9 - 0.2 * math.sqrt(2)])


def test_a_rise_of_less_than_a_thousandth_of_the_gain_adds_nothing() -> None:
    def bent(x: Tensor) -> Tensor:
        return x[:, 0].clamp_max(0.2) + 1e-6 * x[:, 0]

    found = run_toy(Toy(bent), [[0.1, 0.0]], radius=10.0, step_size=0.1, steps=30, patience=3)
    assert found.steps_B.tolist() == [4]  # one that rose, three that hardly did


def test_patience_is_for_steps_in_a_row() -> None:
    """Stairs: of four steps two rise, so that two in a row do not, and never three."""
    step = 0.1

    def stairs(x: Tensor) -> Tensor:
        floor = (x[:, 0] / (4 * step)).floor()
        return step * floor + (x[:, 0] - 4 * step * floor).clamp_max(step) + 1e-9 * x[:, 0]

    settings: dict[str, Any] = {"radius": 10.0, "step_size": step / math.sqrt(2), "steps": 12}
    assert run_toy(Toy(stairs), [[step / 2, 0.0]], patience=3, **settings).steps_B.tolist() == [12]
    assert run_toy(Toy(stairs), [[step / 2, 0.0]], patience=2, **settings).steps_B.tolist() == [3]


def test_a_step_ends_in_the_ball_and_is_not_stretched_to_its_edge() -> None:
    found = run_toy(Toy(lambda x: x[:, 0]), [[0.5, 0.5]], radius=0.5, step_size=0.1, steps=2)
    assert found.latent_displacement_B.item() == pytest.approx(0.2)


def test_what_is_found_holds_no_graph() -> None:
    found = run_toy(Toy(lambda x: x[:, 0]), [[0.5, 0.5]])
    assert [name for name in COLUMNS if getattr(found, name).requires_grad] == []
