"""Exercises of the chapter on targeting: one step, the guard's price, a fair control, and what four reports are worth."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tsynd.targeting.ascent import unit
from tsynd.teaching.exercises.checker import NotYet, checker, expect, judged, listed, shaped

CLOSE = 1e-5


@checker
def one_step(step: Callable[[Tensor, Tensor, Tensor, float, float], Tensor]) -> str:
    """Check `step(z, z0, gradient, size, radius)`: (B, D) codes after a step of fixed length, back in the ball around z0."""
    z0, slope = (torch.randn(3, 16).double() for _ in range(2))
    z0 = z0 + 2  # far from 0, so that a ball around 0 is another ball
    gradient = slope * torch.tensor([[0.01], [1.0], [30.0]]).double()
    forward, aside = unit(gradient), unit(torch.randn(3, 16).double())
    z = z0 + 0.1 * 4 * aside  # on the way already, and not straight uphill

    inside = shaped(step(z, z0, gradient, 0.1, 1.0), (3, 16), "Codes")
    moved = (inside - z).norm(dim=1) / 4
    if (inside.norm(dim=1) < 4.01).all():
        raise NotYet("All codes end in a ball around 0. It is around z0: shorten z - z0, the displacement, and not z itself.")
    if torch.allclose((inside - z0).norm(dim=1), torch.tensor(4.0).double(), atol=CLOSE):
        raise NotYet("Every code ends on the rim. Only one that has left the ball is pulled back: clamp the factor at 1.")
    if torch.allclose(inside, z0 + 0.1 * 4 * forward, atol=CLOSE):
        raise NotYet("The step starts at z0. It must start at z, where the search is now; z0 is the middle of the ball.")
    if not torch.allclose(moved, torch.full_like(moved, 0.1), atol=CLOSE):
        if torch.allclose(moved * 4, torch.full_like(moved, 0.1), atol=CLOSE):
            raise NotYet("A step of size 0.1 has the norm 0.1. In units of |.| / sqrt(D) its norm is 0.1 sqrt(D).")
        if moved[2] > 5 * moved[0]:
            raise NotYet(
                f"Steps of size 0.1 have the lengths {listed(moved)}: the steeper, the longer. Divide each image's gradient by "
                "its own norm (dim=1, keepdim=True)."
            )
        raise NotYet(f"Steps of size 0.1, well inside the ball, have the lengths {listed(moved)}, in units of |.| / sqrt(D).")
    if not torch.allclose(inside, z + 0.1 * 4 * forward, atol=CLOSE):
        raise NotYet("The steps are as long as they should be and do not go along +gradient.")

    outside = shaped(step(z, z0, gradient, 0.4, 0.25), (3, 16), "Codes")
    far = (outside - z0).norm(dim=1) / 4
    beyond = z + 0.4 * 4 * forward
    if not torch.allclose(far, torch.full_like(far, 0.25), atol=CLOSE):
        if torch.allclose(outside, beyond, atol=CLOSE):
            raise NotYet(
                f"Steps out of a ball of radius 0.25 end {listed(far)} from z0, and are not pulled back: "
                "the projection is missing."
            )
        raise NotYet(f"After a step out of a ball of radius 0.25 the codes are {listed(far)} from z0, in units of |.| / sqrt(D).")
    if not torch.allclose(outside, z0 + 0.25 * 4 * unit(beyond - z0), atol=CLOSE):
        raise NotYet("The codes end on the rim, and not at its nearest point: shorten z - z0 and keep its direction.")
    return "Each image takes a step of its own direction and the common length, and none leaves its ball. So does `target`."


@checker
def guard_penalty(penalty: Callable[..., Tensor]) -> str:
    """Check `penalty(log_p, log_p_start, right_at_start, weight, bound)`: (B,) nats, at least 0."""
    start = torch.tensor([-0.1, -0.1, -0.1, -2.0, -2.0]).double()
    now = torch.tensor([-0.3, -1.6, -0.05, -2.2, -0.2]).double()
    right = torch.tensor([True, True, True, False, False])
    found = penalty(now, start, right, weight=2.0, bound=0.5)
    prices = shaped(found, (5,), "One price for each of 5 images, tensors")
    cases = "An image that started right and lost 1.5 nats", "An image whose label became more likely"
    if (prices < -1e-9).any():
        if prices[1] < 0:
            raise NotYet(f"{cases[0]} costs {prices[1]:.2f}: it is paid. Mind the sign: the price rises as log_p falls.")
        raise NotYet(f"{cases[1]} costs {prices[2]:.2f}: it is paid for that, without limit. The bracket [.]+ is missing.")
    if prices[1] < 1e-9:
        raise NotYet(f"{cases[0]} costs nothing, one whose label became more likely {prices[4]:.2f}. Mind the sign inside.")
    if prices[0] > 1e-9:
        raise NotYet(f"An image that started right and lost 0.2 nats costs {prices[0]:.2f}: up to the bound a fall is free.")
    if prices[3] < 1e-9:
        raise NotYet("An image that started wrong lost 0.2 nats for free. It may not get worse: there the bound is 0.")
    expected = torch.tensor([0.0, 2.0, 0.0, 0.4, 0.0]).double()
    if not torch.allclose(prices, expected, atol=1e-6):
        raise NotYet(f"With weight 2 and bound 0.5 the prices are {listed(prices)}, and should be {listed(expected)}.")
    return "Free up to the bound, then linear, and never a reward: a search cannot earn by making an easy image easier."


@checker
def fair_control(control: Callable[[Tensor, Tensor, torch.Generator], Tensor]) -> str:
    """Check `control(z0, found, generator)`: (B, D) codes as far from z0 as `found`, in directions that know nothing."""
    z0 = torch.randn(6, 256).double()
    lengths = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0, 4.0]).double()
    searched = torch.randn(6, 256).double() + 1  # images share a part of the way uphill
    found = z0 + unit(searched) * lengths[:, None]
    one, again, two = (
        shaped(control(z0, found, torch.Generator().manual_seed(seed)), (6, 256), "Codes") - z0 for seed in (1, 1, 2)
    )
    if torch.allclose(one, two):
        raise NotYet("Two generators with different seeds give the same control: draw the direction from `generator`.")
    if not torch.allclose(one, again):
        raise NotYet("The same generator gives two different controls: draw from `generator`, and from nothing else.")
    norms = one.norm(dim=1)
    if not torch.allclose(norms, lengths, rtol=1e-4):
        worst = int((norms / lengths - 1).abs().argmax())
        raise NotYet(
            f"The search moved a code by {lengths[worst]:.2f} (norm), its control by {norms[worst]:.2f}. As far on average is "
            "not enough: give each image's direction norm 1, then the norm of its own displacement."
        )
    if (one >= 0).all():
        raise NotYet("The directions lean to one side: numbers from torch.rand are all positive, those from torch.randn are not.")
    cosines = unit(one) @ unit(found - z0).T  # with the search of each image: another's displacement knows something too
    if cosines.abs().max() > 0.4:
        raise NotYet(
            f"The control's direction has a cosine of up to {cosines.abs().max():.2f} with that of a search: it still "
            "knows where uphill is. In 256 dimensions a random direction has one near 0."
        )
    between = unit(one) @ unit(one).T - torch.eye(6).double()
    if between.abs().max() > 0.5:
        raise NotYet("All images go the same way. Draw a direction for each of them.")
    return "As far, image by image, and at right angles to the search, or nearly so: what is left is the direction's doing."


@checker
def judge_a_search(verdicts: Any) -> str:
    """Check the verdicts on the four teams: a tuple of four words."""
    judged("judge_a_search", verdicts)
    return "Fresh samples first, then the control, then somebody who knows the class: a search has to pass all three."


@checker
def partial_step(answer: Callable[[Tensor, Tensor, Tensor, Tensor, float, float], Tensor]) -> str:
    """Check `step(z, z0, gradient, free_D, size, radius)`: one step in which only the numbers where `free_D` is true may move.

    As before a step has the length `size`, and ends in the ball of `radius` around z0, both in units of |.| / sqrt(D).
    """
    z0, gradient, aside = (torch.randn(3, 16).double() for _ in range(3))
    free, length = torch.arange(16) % 4 != 0, 4.0
    z = z0 + 0.1 * length * unit(aside * free)

    def ended(direction: Tensor, size: float, radius: float) -> Tensor:
        offset = z + size * length * direction - z0
        return z0 + offset * (radius * length / offset.norm(dim=1, keepdim=True)).clamp(max=1)

    for size, radius in ((0.1, 1.0), (0.4, 0.25)):
        given = shaped(answer(z, z0, gradient, free, size, radius), (3, 16), "Codes")
        loose = ended(unit(gradient), size, radius)
        mistakes = {
            "Numbers that should stay have moved: take the gradient away where `free_D` is false.": loose,
            "You make the step and put the others back afterwards: what is left of it is too short.": torch.where(
                free, loose, z0
            ),
            "You make the gradient a unit vector *before* you take numbers away, so the step is too short.": ended(
                unit(gradient) * free, size, radius
            ),
            "The step has left the ball: the projection is missing.": z + size * length * unit(gradient * free),
        }
        told = (
            f"With size {size} and radius {radius} the codes end elsewhere: mask, unit vector, step, projection, in this order."
        )
        expect(given, ended(unit(gradient * free), size, radius), mistakes, told)
    return "The search may now change the tissue and leave the lesion, or the reverse. Which of them would keep the label?"


@checker
def best_allowed(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """Check `choose(path_SBD, score_SB, log_p_SB, floor)`: (B, D), of each image the code with the highest score among those
    whose log-probability of the label is at least `floor`; where there is none, the code that the search started from.
    """  # fmt: skip
    path = torch.arange(4 * 3 * 2).view(4, 3, 2).double()
    score = torch.tensor([[0.0, 0.1, 0.0], [0.3, 0.2, 0.4], [0.9, 0.3, 0.5], [0.4, 0.6, 0.7]]).double()
    log_p = torch.tensor([[-0.1, -0.1, -3.0], [-0.3, -0.2, -2.0], [-2.0, -0.4, -1.5], [-0.5, -2.5, -1.2]]).double()
    steps, images = torch.tensor([3, 2, 0]), torch.arange(3)
    allowed = torch.where(log_p >= -1, score, -torch.inf)
    mistakes = {
        "This is the end of the way. The last code need not be the best, nor be allowed.": path[-1],
        "These are the highest scores, also where the label has become unlikely: look at `floor`.": path[score.argmax(0), images],
        "You take the highest log-probability: the floor is a condition, and the score decides.": path[log_p.argmax(0), images],
        "Image 2 has no code above the floor. Then it keeps its start, `path_SBD[0]`.": path[torch.tensor([3, 2, 3]), images],
        "One step for the whole batch is not enough: each image has its own best step.": path[int(allowed.mean(1).argmax())],
    }
    found = answer(path, score, log_p, -1.0)
    expect(found, path[steps, images], mistakes, "Forbid what lies below the floor, then take each image's highest score.")
    return "A floor instead of a price: nothing below it is ever returned. It guards what the classifier believes, not the truth."
