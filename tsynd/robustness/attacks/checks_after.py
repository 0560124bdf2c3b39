"""After an attack: does it behave as attacks must?"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.robustness.attacks.check import Check, share, slack
from tsynd.robustness.attacks.gradient import attacking, pgd
from tsynd.robustness.attacks.loss import margin_loss
from tsynd.robustness.attacks.square import random_squares
from tsynd.utils.network_passes import Model
from tsynd.utils.rng import generator_for
from tsynd.utils.validation import check_count, check_number


def checks_after(
    model: Model,
    images: Tensor,
    labels: Tensor,
    attack: Callable[..., Tensor] = pgd,
    *,
    eps: float,
    steps: int = 20,
    queries: int = 200,
    seed: int = 0,
) -> list[Check]:
    """Ask of an attack: does it stay in its ball, and do its figures fall as they must?

    Args:
        model, images, labels: as in `checks_before`; 100 images or more, since differences of 1 % count.
        attack: called like `tsynd.robustness.pgd`: (model, images, labels, eps=, steps=, generator=).
        eps: the size that is to be reported, in (0, .5).
        steps: its number of steps, which is also tried four times as large.
        queries: forward passes of the random search that it is compared with.
        seed: of the starts, which the compared attacks share.

    Returns:
        The checks `ball`, `eps 0`, `monotone`, `steps`, `huge eps` and `black box`. Cost: about 9 attacks of `steps` steps,
        and `queries` forward passes.

    Raises:
        TsyndError: for eps outside (0, .5), and as in `tsynd.robustness.pgd`.
    """
    check_number(eps=eps)
    check_count(1, steps=steps, queries=queries)
    if not 0 < eps < 0.5:
        raise TsyndError(f"eps must lie between 0 and 0.5 (half the range, where nothing can hold), got {eps}")
    with attacking(model, images, labels, eps, flat=True) as images:

        def attacked(size: float, count: int = steps) -> Tensor:
            return attack(model, images, labels, eps=size, steps=count, generator=generator_for(seed, "checks"))

        def held(x: Tensor) -> Tensor:
            with torch.no_grad():
                return margin_loss(model, x, labels)[1] == 0

        found = attacked(eps)
        clean_B, held_B = held(images), held(found)
        accuracies = [share(held(attacked(eps / 2))), share(held_B), share(held(attacked(min(0.5, 2 * eps))))]
        squares = random_squares(model, images, labels, eps=eps, queries=queries, generator=generator_for(seed, "squares"))
        return [
            _ball(found, images, eps),
            _zero(share(held(attacked(0.0))), share(clean_B)),
            _monotone([share(clean_B), *accuracies], len(images), eps),
            _steps(share(held_B), share(held(attacked(eps, 4 * steps))), len(images), steps),
            _huge(share(held(attacked(0.5)))),
            _black_box(held_B, held(squares)),
        ]


def _ball(attacked: Tensor, images: Tensor, eps: float) -> Check:
    furthest, low, high = float((attacked - images).abs().max()), float(attacked.min()), float(attacked.max())
    if furthest <= eps + 1e-6 and low >= 0 and high <= 1:
        return Check("ball", True, f"no pixel moved by more than {eps:.4g}, or out of [0, 1]")
    found = f"a pixel moved by {furthest:.4g} where {eps:.4g} is allowed, values lie in {low:.4g} .. {high:.4g}"
    return Check("ball", False, f"{found}: project in each step")


def _zero(accuracy: float, clean: float) -> Check:
    if accuracy == clean:
        return Check("eps 0", True, f"an attack of size 0 gives the clean accuracy, {clean:.1%}")
    reason = "the images that are attacked are not those that are tested (normalisation, rounding, mode?)"
    return Check("eps 0", False, f"an attack of size 0 gives {accuracy:.1%}, the images themselves {clean:.1%}: {reason}")


def _monotone(accuracies: list[float], count: int, eps: float) -> Check:
    listed = ", ".join(f"{accuracy:.1%}" for accuracy in accuracies)
    sizes = f"at eps 0, {eps / 2:.4g}, {eps:.4g} and {min(0.5, 2 * eps):.4g}: {listed}"
    if all(after <= before + slack(count) for before, after in pairwise(accuracies)):
        return Check("monotone", True, f"accuracy does not rise with eps; {sizes}")
    return Check(
        "monotone", False, f"accuracy rises {sizes}; what a small eps finds, a larger one may use: the search gets stuck"
    )


def _steps(accuracy: float, longer: float, count: int, steps: int) -> Check:
    told = f"{accuracy:.1%} after {steps} steps, {longer:.1%} after {4 * steps}"
    if abs(longer - accuracy) <= 2 * slack(count):
        return Check("steps", True, f"more steps change little: {told}")
    if longer > accuracy:
        return Check(
            "steps", False, f"more steps are weaker: {told}; the step size does not fit, or the best iterate is not kept"
        )
    return Check("steps", False, f"more steps are still stronger: {told}; it has not converged, so report the longer attack")


def _huge(accuracy: float) -> Check:
    if accuracy <= 0.05:
        return Check("huge eps", True, f"at eps 0.5 nearly nothing holds: {accuracy:.1%}")
    reason = "every image may become the same grey one there, so this is the attack's failure, not the model's strength"
    return Check("huge eps", False, f"at eps 0.5 still {accuracy:.1%} holds: {reason}")


def _black_box(held_B: Tensor, squares_held_B: Tensor) -> Check:
    told = f"{share(squares_held_B):.1%} holds against random search, {share(held_B):.1%} against the attack"
    if share(squares_held_B) >= share(held_B) - slack(len(held_B)):
        return Check("black box", True, told)
    reason = (
        "an attack without gradients must not be the stronger one: the gradients mislead the other (masking), and the accuracy "
        "that it leaves is too high"
    )
    return Check("black box", False, f"{told}: {reason}")
