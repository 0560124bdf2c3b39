"""Before an attack: can the model be attacked by its gradient at all?"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.robustness.attacks.check import Check, share
from tsynd.robustness.attacks.gradient import attacking
from tsynd.robustness.attacks.loss import margin_loss
from tsynd.utils.network_passes import Model, wide
from tsynd.utils.network_trial import ask, probabilities_in
from tsynd.utils.rng import seeded
from tsynd.utils.validation import check_name

CLASSES_NEEDED = {"fgsm": 2, "pgd": 2, "apgd-ce": 2, "fab-t": 2, "square": 2, "apgd-dlr": 3, "apgd-t": 4}
"""The fewest classes for which an attack's loss is defined: DLR divides by a difference of the first and the third logit."""


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
        return [
            _deterministic(torch.stack(outputs)),
            _logits(ask(model, images.clone().requires_grad_(True)), labels),
            *_gradients(model, images, labels),
            _classes(outputs[0].shape[1], labels, names),
        ]


def _deterministic(outputs_NBC: Tensor) -> Check:
    scale = outputs_NBC.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    spread = float((outputs_NBC / scale - outputs_NBC[:1] / scale[:1]).norm(dim=-1).max())
    if spread <= 1e-4:
        return Check("deterministic", True, "the same images give the same outputs")
    return Check(
        "deterministic",
        False,
        f"the same images give other outputs in each call (by up to {spread:.1e} of their norm): one draw's gradient misleads "
        "the attack, and the accuracy looks too high; attack the average, with tsynd.robustness.averaged_model or expected",
    )


def _logits(outputs_BC: Tensor, labels: Tensor) -> Check:
    if found := probabilities_in(outputs_BC, labels.ndim == 2):
        reason = "a second softmax flattens the loss and hides most of its gradient; return logits"
        return Check("logits", False, f"the outputs are {found}: {reason}")
    return Check("logits", True, "the outputs are no probabilities")


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
    none, none_of_margin = (share(each.flatten(1).abs().sum(dim=1) == 0) for each in (gradient, of_margin))
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
    rises = share((ahead_B > loss_B.detach()) | (ahead_wrong_B > wrong_B))
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
