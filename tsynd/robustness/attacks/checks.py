"""Cheap diagnostics before and after an attack: is a robustness figure one of the model, or of a weak attack?

`checks_before` asks whether the model can be attacked by its gradient at all, `checks_after` whether an attack behaves as
attacks must (Carlini et al. 2019, arXiv 1902.06705; Athalye et al., ICML 2018, arXiv 1802.00420; in spirit the checks of
AutoAttack). Nothing is raised for what is found: each answer says what it means and what to do. All that passes is no proof.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.robustness.attacks.gradient import attacking, margin_loss, pgd
from tsynd.robustness.attacks.square import random_squares
from tsynd.utils.network_passes import Model, wide
from tsynd.utils.network_trial import ask, probabilities_in
from tsynd.utils.rng import generator_for, seeded
from tsynd.utils.rules import validated, whole
from tsynd.utils.validation import check_name

CLASSES_NEEDED = {"fgsm": 2, "pgd": 2, "apgd-ce": 2, "fab-t": 2, "square": 2, "apgd-dlr": 3, "apgd-t": 4}
"""The fewest classes for which an attack's loss is defined: DLR divides by a difference of the first and the third logit."""


@dataclass(frozen=True)
class Check:
    """What one check found: `message` says it in a sentence, and after a failure what it means and what to do."""

    name: str
    passed: bool
    message: str

    def __str__(self) -> str:
        told = f"{self.name}: {self.message}"
        return f"passed  {told}" if self.passed else f"FAILED  {told} (see chapter 6)"


def checks_before(model: Model, images: Tensor, labels: Tensor, attacks: Iterable[str] = ("pgd", "apgd-ce")) -> list[Check]:
    """Ask before an attack: is the model deterministic, are its outputs logits, has it gradients, has it enough classes?

    Args:
        model: what is to be attacked, images in [0, 1] to logits (B, classes), in eval mode.
        images: (B, C, H, W) float in [0, 1]; a few dozen will do.
        labels: (B,) int64; several labels an image: (B, L) of 0 and 1.
        attacks: those that are planned, names out of `CLASSES_NEEDED`.

    Returns:
        The checks `deterministic`, `logits`, `gradients`, `uphill` and `classes`. Cost: 7 forward and 2 backward passes.

    Raises:
        TsyndError: for an unknown attack, and for images, labels or a model that `tsynd.robustness.pgd` would refuse.

    >>> from torch import nn
    >>> linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    >>> found = checks_before(linear, torch.rand(8, 1, 8, 8), torch.arange(8) % 2, attacks=["apgd-t"])
    >>> [check.name for check in found if not check.passed]
    ['classes']
    """
    names = list(attacks)
    for name in names:
        check_name("attack", name, CLASSES_NEEDED)
    with attacking(model, images, labels, 0, lenient=True) as images, seeded(0):  # a random model draws from the global state
        with torch.no_grad():
            outputs = [ask(model, images).detach().double() for _ in range(5)]
        unit_NBC = torch.stack(outputs) / torch.stack(outputs).norm(dim=-1, keepdim=True).clamp_min(1e-12)
        spread = float((unit_NBC - unit_NBC[:1]).norm(dim=-1).max())
        probabilities = probabilities_in(ask(model, images.clone().requires_grad_(True)), labels.ndim == 2)
        return [
            _check(
                "deterministic",
                spread <= 1e-4,
                "the same images give the same outputs",
                f"the same images give other outputs in each call (by up to {spread:.1e} of their norm): one draw's gradient "
                "misleads the attack, and the accuracy looks too high; attack the average, with "
                "tsynd.robustness.averaged_model or eot_model",
            ),
            _check(
                "logits",
                not probabilities,
                "the outputs are no probabilities",
                f"the outputs are {probabilities}: a second softmax flattens the loss and hides most of its "
                "gradient; return logits",
            ),
            *_gradients(model, images, labels),
            _classes(outputs[0].shape[1], labels, names),
        ]


@validated
def checks_after(
    model: Model,
    images: Tensor,
    labels: Tensor,
    attack: Callable[..., Tensor] = pgd,
    *,
    eps: float,
    steps: Annotated[int, whole(1)] = 20,
    queries: Annotated[int, whole(1)] = 200,
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
        squares_B = held(
            random_squares(model, images, labels, eps=eps, queries=queries, generator=generator_for(seed, "squares"))
        )
        zero, longer, huge = (_share(held(x)) for x in (attacked(0.0), attacked(eps, 4 * steps), attacked(0.5)))
        clean, kept, against_squares = (_share(each_B) for each_B in (clean_B, held_B, squares_B))
        falling = [clean, _share(held(attacked(eps / 2))), kept, _share(held(attacked(min(0.5, 2 * eps))))]
    slack = max(0.01, 1 / len(images)) + 1e-9  # differences that do not count: 1 %, or one image
    furthest, low, high = float((found - images).abs().max()), float(found.min()), float(found.max())
    listed = ", ".join(f"{accuracy:.1%}" for accuracy in falling)
    sizes = f"at eps 0, {eps / 2:.4g}, {eps:.4g} and {min(0.5, 2 * eps):.4g}: {listed}"
    told = f"{kept:.1%} after {steps} steps, {longer:.1%} after {4 * steps}"
    still = f"more steps are still stronger: {told}; it has not converged, so report the longer attack"
    weaker = f"more steps are weaker: {told}; the step size does not fit, or the best iterate is not kept"
    compared = f"{against_squares:.1%} holds against random search, {kept:.1%} against the attack"
    return [
        _check(
            "ball",
            furthest <= eps + 1e-6 and low >= 0 and high <= 1,
            f"no pixel moved by more than {eps:.4g}, or out of [0, 1]",
            f"a pixel moved by {furthest:.4g} where {eps:.4g} is allowed, values lie in {low:.4g} .. {high:.4g}: project in each "
            "step",
        ),
        _check(
            "eps 0",
            zero == clean,
            f"an attack of size 0 gives the clean accuracy, {clean:.1%}",
            f"an attack of size 0 gives {zero:.1%}, the images themselves {clean:.1%}: the images that are attacked are not "
            "those that are tested (normalisation, rounding, mode?)",
        ),
        _check(
            "monotone",
            all(after <= before + slack for before, after in pairwise(falling)),
            f"accuracy does not rise with eps; {sizes}",
            f"accuracy rises {sizes}; what a small eps finds, a larger one may use: the search gets stuck",
        ),
        _check("steps", abs(longer - kept) <= 2 * slack, f"more steps change little: {told}", weaker if longer > kept else still),
        _check(
            "huge eps",
            huge <= 0.05,
            f"at eps 0.5 nearly nothing holds: {huge:.1%}",
            f"at eps 0.5 still {huge:.1%} holds: every image may become the same grey one there, so this is the attack's "
            "failure, not the model's strength",
        ),
        _check(
            "black box",
            against_squares >= kept - slack,
            compared,
            f"{compared}: an attack without gradients must not be the stronger one: the gradients mislead the other (masking), "
            "and the accuracy that it leaves is too high",
        ),
    ]


def _gradients(model: Model, images: Tensor, labels: Tensor) -> list[Check]:
    """Does the cross-entropy have a gradient, and does the loss rise along it?"""
    x = images.clone().requires_grad_(True)
    logits = wide(ask(model, x))
    if labels.ndim == 2:
        plain = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum")
    else:
        plain = F.cross_entropy(logits, labels, reduction="sum")
    gradient = torch.autograd.grad(plain, x, allow_unused=True)[0] if logits.requires_grad else None
    if gradient is None:
        return [
            Check("gradients", False, "the outputs do not depend on the images by any gradient: attack it as a black box"),
            Check("uphill", False, "there is no gradient that could lead uphill, or anywhere else: attack it as a black box"),
        ]
    loss_B, wrong_B = margin_loss(model, x, labels)
    (of_margin,) = torch.autograd.grad(loss_B.sum(), x)
    none, none_of_margin = (_share(each.flatten(1).abs().sum(dim=1) == 0) for each in (gradient, of_margin))
    gradients = Check("gradients", True, "the cross-entropy of every image has a gradient")
    if none_of_margin > 0:
        reason = "the network is flat there (rounding, thresholds): no gradient attack can find anything; try a black box"
        gradients = Check("gradients", False, f"the gradient of {none_of_margin:.0%} of the images is exactly 0: {reason}")
    elif none > 0:
        reason = (
            "its logits are so large that softmax rounds: attacks that follow it stand still and the accuracy looks too high; "
            "those of tsynd follow the margin, which does not round"
        )
        gradients = Check("gradients", False, f"the cross-entropy of {none:.0%} of the images has gradient exactly 0: {reason}")
    step = 0.25 / 255
    with torch.no_grad():
        ahead_B, ahead_wrong_B = margin_loss(model, (images + step * of_margin.sign()).clamp(0, 1), labels)
    rises = _share((ahead_B > loss_B.detach()) | (ahead_wrong_B > wrong_B))
    message = f"a quarter of a grey level along the gradient raises the loss of {rises:.0%} of the images"
    meaning = ": the gradient does not belong to the loss (noise, a straight-through estimate, or a very ragged network)"
    return [gradients, Check("uphill", rises >= 0.9, message if rises >= 0.9 else message + meaning)]


def _classes(classes: int, labels: Tensor, names: list[str]) -> Check:
    if labels.ndim == 2:
        wrong = [name for name in names if name not in ("fgsm", "pgd", "apgd-ce")]
        message = f"not defined for several labels an image: {', '.join(wrong)}; fgsm, pgd and apgd-ce are"
        return Check("classes", not wrong, message if wrong else "these attacks are defined for several labels an image")
    short = [f"{name} needs {CLASSES_NEEDED[name]}" for name in names if classes < CLASSES_NEEDED[name]]
    if not short:
        return Check("classes", True, f"{classes} classes are enough for {', '.join(names)}")
    advice = "its loss is not defined for fewer; for 2 or 3 classes take APGD-CE + FAB-T + Square, and call it that"
    return Check("classes", False, f"there are {classes} classes, but {', '.join(short)}: {advice}")


def _check(name: str, passed: bool, right: str, wrong: str) -> Check:
    return Check(name, passed, right if passed else wrong)


def _share(which_B: Tensor) -> float:
    """The fraction of images for which it is so."""
    return float(which_B.double().mean())
