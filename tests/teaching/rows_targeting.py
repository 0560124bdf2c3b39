"""Exercises of the chapter on targeting: solutions, stubs and plausible wrong answers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def step(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    length = z.shape[1] ** 0.5
    return _project(z + size * length * gradient / gradient.norm(dim=1, keepdim=True), z0, radius * length)


def step_without_projection(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    return z + size * z.shape[1] ** 0.5 * gradient / gradient.norm(dim=1, keepdim=True)


def step_in_a_ball_around_0(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    far = step_without_projection(z, z0, gradient, size, radius)
    return _project(far, torch.zeros_like(z0), radius * z.shape[1] ** 0.5)


def step_without_the_root(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    return _project(z + size * gradient / gradient.norm(dim=1, keepdim=True), z0, radius)


def step_as_long_as_the_slope(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    length = z.shape[1] ** 0.5
    return _project(z + size * length * gradient / gradient.norm(), z0, radius * length)


def step_cut_number_by_number(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    return z0 + (step_without_projection(z, z0, gradient, size, radius) - z0).clamp(-radius, radius)


def step_downhill(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    return step(z, z0, -gradient, size, radius)


def step_onto_the_rim(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    offset = step_without_projection(z, z0, gradient, size, radius) - z0
    return z0 + offset / offset.norm(dim=1, keepdim=True) * radius * z.shape[1] ** 0.5


def step_from_z0(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    return step(z0, z0, gradient, size, radius)


def step_that_stops_at_the_rim(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    uphill, length = gradient / gradient.norm(dim=1, keepdim=True), z.shape[1] ** 0.5
    along = ((z - z0) * uphill).sum(1, keepdim=True)
    free = along.square() - (z - z0).square().sum(1, keepdim=True) + (radius * length) ** 2
    return z + uphill * (free.sqrt() - along).clamp(max=size * length)


def step_with_numpy(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> np.ndarray:
    return step(z, z0, gradient, size, radius).numpy()


def step_in_single_precision(z: Tensor, z0: Tensor, gradient: Tensor, size: float, radius: float) -> Tensor:
    return step(z.float(), z0.float(), gradient.float(), size, radius)


def _project(z: Tensor, centre: Tensor, limit: float) -> Tensor:
    offset = z - centre
    return centre + offset * (limit / offset.norm(dim=1, keepdim=True)).clamp(max=1)


def penalty(log_p: Tensor, start: Tensor, right: Tensor, weight: float = 3.0, bound: float = 0.5) -> Tensor:
    return weight * (start - bound * right - log_p).relu()


def penalty_without_bracket(log_p: Tensor, start: Tensor, right: Tensor, weight: float = 3.0, bound: float = 0.5) -> Tensor:
    return weight * (start - bound * right - log_p)


def penalty_of_a_rise(log_p: Tensor, start: Tensor, right: Tensor, weight: float = 3.0, bound: float = 0.5) -> Tensor:
    return weight * (log_p - start + bound * right).relu()


def penalty_paid_out(log_p: Tensor, start: Tensor, right: Tensor, weight: float = 3.0, bound: float = 0.5) -> Tensor:
    return -penalty(log_p, start, right, weight, bound)


def penalty_with_one_bound(log_p: Tensor, start: Tensor, right: Tensor, weight: float = 3.0, bound: float = 0.5) -> Tensor:
    return weight * (start - bound - log_p).relu()


def penalty_without_bound(log_p: Tensor, start: Tensor, right: Tensor, weight: float = 3.0, bound: float = 0.5) -> Tensor:
    return weight * (start - log_p).relu()


def penalty_without_weight(log_p: Tensor, start: Tensor, right: Tensor, weight: float = 3.0, bound: float = 0.5) -> Tensor:
    return penalty(log_p, start, right, 1.0, bound)


def control(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    return _along(torch.randn(z0.shape, generator=generator, dtype=z0.dtype), z0, found)


def control_as_far_on_average(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    return z0 + torch.randn(z0.shape, generator=generator) * (found - z0).std(dim=1, keepdim=True)


def control_backwards(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    return z0 - (found - z0)


def control_one_way_for_all(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    return _along(torch.randn(1, z0.shape[1], generator=generator).expand(z0.shape), z0, found)


def control_of_positive_numbers(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    return _along(torch.rand(z0.shape, generator=generator), z0, found)


def control_near_the_search(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(z0.shape, generator=generator)
    noise = noise - noise.mean(dim=1, keepdim=True)
    offset = found - z0 - (found - z0).mean(dim=1, keepdim=True)
    return _along(offset + 0.02 * noise, z0, found)


def control_from_nowhere(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    return _along(torch.randn(z0.shape), z0, found)


def control_of_the_neighbour(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    shift = int(torch.randint(1, len(z0), (1,), generator=generator))
    return _along((found - z0).roll(shift, dims=0), z0, found)


def control_at_right_angles(z0: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    uphill = (found - z0) / (found - z0).norm(dim=1, keepdim=True)
    direction = torch.randn(z0.shape, generator=generator, dtype=z0.dtype)
    return _along(direction - (direction * uphill).sum(1, keepdim=True) * uphill, z0, found)


def _along(direction: Tensor, z0: Tensor, found: Tensor) -> Tensor:
    return z0 + direction / direction.norm(dim=1, keepdim=True) * (found - z0).norm(dim=1, keepdim=True)


VERDICTS = ("own samples", "another class", "found", "no better than random")

ALSO_RIGHT = {
    "one_step": [step_with_numpy, step_in_single_precision],
    "guard_penalty": [lambda log_p, start, right, weight, bound: penalty(log_p, start, right, weight, bound).float().numpy()],
    "fair_control": [control_at_right_angles, lambda z0, found, generator: control(z0, found, generator).numpy()],
    "judge_a_search": [[each.upper() for each in VERDICTS], dict(zip("ABCD", VERDICTS, strict=True))],
}

ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "one_step": (
        step,
        lambda z, z0, gradient, size, radius: ...,
        [
            (step_without_projection, "the projection is missing."),
            (step_in_a_ball_around_0, "a ball around 0"),
            (step_without_the_root, "its norm is 0.1 sqrt(D)"),
            (step_as_long_as_the_slope, "the steeper, the longer"),
            (step_cut_number_by_number, "After a step out of a ball of radius 0.25"),
            (step_onto_the_rim, "Only one that has left the ball"),
            (step_from_z0, "It must start at z"),
            (step_that_stops_at_the_rim, "not at its nearest point"),
            (step_downhill, "do not go along +gradient"),
            (lambda z, z0, gradient, size, radius: z[0], "Codes of shape (3, 16) are asked for, got shape (16,)."),
        ],
    ),
    "guard_penalty": (
        penalty,
        lambda log_p, log_p_start, right_at_start, weight, bound: ...,
        [
            (penalty_without_bracket, "The bracket"),
            (penalty_of_a_rise, "Mind the sign inside"),
            (penalty_paid_out, "Mind the sign: the price rises"),
            (penalty_with_one_bound, "there the bound is 0"),
            (penalty_without_bound, "up to the bound a fall is free"),
            (penalty_without_weight, "With weight 2"),
            (lambda log_p, log_p_start, right_at_start, weight, bound: log_p.sum(), "One price for each of 5 images"),
        ],
    ),
    "fair_control": (
        control,
        lambda z0, found, generator: ...,
        [
            (control_as_far_on_average, "As far on average is not enough"),
            (control_backwards, "draw the direction from `generator`"),
            (control_one_way_for_all, "All images go the same way."),
            (control_of_positive_numbers, "torch.rand"),
            (control_from_nowhere, "from nothing else"),
            (control_of_the_neighbour, "it still knows where uphill is"),
            (control_near_the_search, "it still knows where uphill is"),
        ],
    ),
    "judge_a_search": (
        VERDICTS,
        ...,
        [
            (("found",) * 4, "On fresh samples most of Ada's rise is gone."),
            (("own samples", "found", "found", "found"), "Boris"),
            (("own samples", "another class", "found", "found"), "Deniz"),
            (("own samples", "another class", "no better than random", "no better than random"), "random brings none of it"),
            (("good", *VERDICTS[1:]), "none of the words"),
            ("found", "Four words are asked for"),
        ],
    ),
}


def partial(z: Tensor, z0: Tensor, gradient: Tensor, free_D: Tensor, size: float, radius: float) -> Tensor:
    return step(z, z0, gradient * free_D, size, radius)


def partial_back(z: Tensor, z0: Tensor, gradient: Tensor, free_D: Tensor, size: float, radius: float) -> Tensor:
    return torch.where(free_D, step(z, z0, gradient, size, radius), z0)


def partial_loose(z: Tensor, z0: Tensor, gradient: Tensor, free_D: Tensor, size: float, radius: float) -> Tensor:
    masked = gradient * free_D
    return z + size * 4 * masked / masked.norm(dim=1, keepdim=True)


def allowed(path: Tensor, score: Tensor, log_p: Tensor, floor: float) -> Tensor:
    permitted = score.masked_fill(log_p < floor, -torch.inf)
    permitted[0] = permitted[0].clamp(min=-1e9)
    return path[permitted.argmax(0), torch.arange(path.shape[1])]


ROWS |= {
    "partial_step": (
        partial,
        lambda *given: ...,
        [
            (lambda z, z0, gradient, free, size, radius: step(z, z0, gradient, size, radius), "should stay have moved"),
            (partial_back, "too short"),
            (partial_loose, "the projection is missing"),
            (lambda z, z0, gradient, free, size, radius: z0, "in this order"),
        ],
    ),
    "best_allowed": (
        allowed,
        lambda *given: ...,
        [
            (lambda path, score, log_p, floor: path[-1], "end of the way"),
            (lambda path, score, log_p, floor: path[score.argmax(0), torch.arange(3)], "look at `floor`"),
            (lambda path, score, log_p, floor: path[log_p.argmax(0), torch.arange(3)], "floor is a condition"),
            (
                lambda path, score, log_p, floor: path[
                    torch.where((log_p >= floor).any(0), score.where(log_p >= floor, -1.0).argmax(0), 3), torch.arange(3)
                ],
                "keeps its start",
            ),
            (lambda path, score, log_p, floor: path[1], "each image's highest score"),
        ],
    ),
}
