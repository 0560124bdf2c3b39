"""Adversarial attacks: the worst image within eps of the given one (L-infinity), found by following the model's own gradient.

Images lie in [0, 1] and normalisation is inside the model, so `eps` is in units of intensity: 2/255 is two grey levels.
A model that draws new dropout masks in every call must be attacked on its average, or the figures flatter it.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_passes import Model, name_of, network_of, wide
from tsynd.utils.network_trial import ask, tried
from tsynd.utils.rng import uniform
from tsynd.utils.rules import number, validated, whole
from tsynd.utils.validation import check_images, check_labels


@validated
def pgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step_size: Annotated[float, number(above=True)] | None = None,
    steps: Annotated[int, whole(1)] = 20,
    generator: torch.Generator | None = None,
    start: Tensor | None = None,
) -> Tensor:
    """Projected gradient descent: signed steps up the loss from a random start, kept within eps of the image and in [0, 1].

    x <- clip(x + step_size * sign(d CE(model(x), y) / dx)), Madry et al., ICLR 2018 (arXiv 1706.06083), section 2.1;
    the sign is computed so that it survives a cross-entropy that rounds to 0 (see `margin_loss`). They
    return the last iterate. We return, for each image, the worst one seen: misclassified before classified (the more labels
    the worse), then by highest loss. It costs one more forward pass and is never weaker.

    Args:
        model: images in [0, 1] to logits (B, classes); a module must be in eval mode. It gets them in its own precision.
        images: (B, C, H, W) float in [0, 1].
        labels: (B,) int64, the classes that the attack moves away from; several labels an image: (B, L) of 0 and 1, one
            logit each, and the attack climbs the sum of their losses.
        eps: largest change of a pixel, in [0, 1]; 0 returns the images unchanged.
        step_size: change of a pixel in one step; 2.5 * eps / steps without one, enough to cross the ball and come back.
        steps: number of gradient steps, at least 1.
        generator: where the random start is drawn from; torch's global state without one.
        start: the random start given instead, (B, C, H, W) in [-1, 1] in units of eps; zeros start at the image itself.

    Returns:
        (B, C, H, W) attacked images in [0, 1], within eps of the given ones, detached, in single precision or wider.

    Raises:
        TsyndError: for eps outside [0, 1], steps < 1, step_size <= 0, images outside [0, 1] or NaN, an empty set, labels
            out of range, a model in training mode, or one that the trial refuses (see `tsynd.utils.network_trial.tried`).

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    >>> images, labels = torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 0])
    >>> attacked = pgd(model, images, labels, eps=8 / 255)
    >>> bool((attacked - images).abs().max() <= 8 / 255 + 1e-6)
    True
    """
    step_size = 2.5 * eps / steps if step_size is None else step_size
    with attacking(model, images, labels, eps) as images:
        if eps == 0:
            return images
        lowest, highest, x = ball_of(images, eps, start, generator)
        worst = _Worst(x)
        for step in range(steps + 1):  # the last round only judges the last iterate
            x.requires_grad_(step < steps)
            loss_B, wrong_B = margin_loss(model, x, labels)
            worst.see(x, loss_B, wrong_B)
            if step < steps:
                gradient = worst.gradient(loss_B, x)
                x = (x.detach() + step_size * gradient.sign()).clamp(lowest, highest)
        return worst.found(model)


@validated
def apgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step_size: Annotated[float, number(above=True)] | None = None,
    steps: Annotated[int, whole(1)] = 100,
    generator: torch.Generator | None = None,
    start: Tensor | None = None,
) -> Tensor:
    """APGD-CE: projected gradient descent with momentum, whose step is halved for each image that has stopped to gain.

    z <- P(x + step_size * sign(gradient));  x <- P(x + .75 (z - x) + .25 (x - x_before)), P into the ball and into [0, 1].
    At checkpoints ever closer to each other an image's step is halved, and it goes back to its worst iterate, when less than
    .75 of the steps since the last one raised the loss, or when neither step nor highest loss has changed since then:
    Croce and Hein, ICML 2020 (arXiv 2003.01690), algorithm 1. So there is no step size to tune. As in `pgd`, the loss is
    cross-entropy up to a monotone function, and the worst image seen is returned.

    Args:
        step_size: change of a pixel in the first step; 2 * eps without one, as there.

    The other arguments, result and errors are those of `pgd`.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    >>> images, labels = torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 0])
    >>> bool((apgd(model, images, labels, eps=8 / 255, steps=20) - images).abs().max() <= 8 / 255 + 1e-6)
    True
    """
    step_size = 2 * eps if step_size is None else step_size
    with attacking(model, images, labels, eps) as images:
        if eps == 0:
            return images
        lowest, highest, x = ball_of(images, eps, start, generator)
        before, worst, ends, last_end = x.detach(), _Worst(x), _checkpoints(steps), 0
        best, best_gradient = x.detach(), torch.zeros_like(x)
        best_B = torch.full((len(x),), -torch.inf, device=x.device)
        sizes_B111 = torch.full((len(x), 1, 1, 1), step_size, device=x.device, dtype=x.dtype)
        loss_before_B, best_at_end_B, rises_B = best_B, best_B, torch.zeros_like(best_B)
        halved_B = torch.ones_like(best_B, dtype=torch.bool)
        for step in range(steps + 1):  # the last round only judges the last iterate
            x.requires_grad_(step < steps)
            loss_B, wrong_B = margin_loss(model, x, labels)
            worst.see(x, loss_B, wrong_B)
            if step == steps:
                break
            gradient = worst.gradient(loss_B, x)
            x, loss_B = x.detach(), loss_B.detach()
            higher_B = loss_B > best_B
            best, best_gradient = _where(higher_B, x, best), _where(higher_B, gradient, best_gradient)
            best_B = torch.where(higher_B, loss_B, best_B)
            if step > 0:
                rises_B = rises_B + (loss_B > loss_before_B)
            if step in ends:
                halved_B = (rises_B <= 0.75 * (step - last_end)) | (~halved_B & (best_at_end_B >= best_B))
                sizes_B111 = _where(halved_B, sizes_B111 / 2, sizes_B111)
                x, gradient = _where(halved_B, best, x), _where(halved_B, best_gradient, gradient)
                last_end, best_at_end_B, rises_B = step, best_B, torch.zeros_like(rises_B)
            ahead = (x + sizes_B111 * gradient.sign()).clamp(lowest, highest)
            share = 0.75 if step > 0 else 1.0
            x, before = (x + share * (ahead - x) + (1 - share) * (x - before)).clamp(lowest, highest), x
            loss_before_B = loss_B
        return worst.found(model)


def fgsm(model: Model, images: Tensor, labels: Tensor, *, eps: float) -> Tensor:
    """Fast gradient sign method: one signed step of size eps up the loss, from the image itself.

    x + eps * sign(d CE(model(x), y) / dx), clipped to [0, 1]; Goodfellow et al., ICLR 2015 (arXiv 1412.6572), section 4.
    Cheap and weak: for figures use `pgd`. Arguments, result and errors as there.
    """
    with attacking(model, images, labels, eps) as images:
        x = images.requires_grad_(True)
        (gradient,) = torch.autograd.grad(margin_loss(model, x, labels)[0].sum(), x)
        refuse_not_finite(model, gradient.is_meta or not bool(gradient.isnan().any()))
        return (x.detach() + eps * gradient.sign()).clamp(0, 1)


def margin_loss(model: Model, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How far each image is from its label, in fp32 or wider, and how many of its decisions are wrong.

    The margin m = log sum_{j != y} exp(z_j) - z_y. Cross-entropy is softplus(m), so both rise in the same direction; but
    cross-entropy and its gradient round to 0 for a confident classifier, and an attack that follows them stands still.
    Several labels: the logarithm of the sum of their cross-entropies, softplus(m) with m = z where the label is absent and -z
    where it is present; ln softplus(m) is m where softplus would round to 0. Model and labels are known to be right (see
    `tsynd.utils.network_trial.tried`), so a GPU need not wait to see whether they are.
    """
    logits = wide(ask(model, x))
    if labels.ndim == 2:
        margin_BL = (1 - 2 * labels) * logits
        log_loss_BL = torch.where(margin_BL < -15, margin_BL, F.softplus(margin_BL.clamp_min(-15)).log())
        return log_loss_BL.logsumexp(dim=1), ((logits.detach() > 0).long() != labels).sum(dim=1)
    others = logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
    return others - logits.gather(1, labels[:, None]).squeeze(1), (logits.detach().argmax(dim=1) != labels).long()


class _Worst:
    """The worst image seen of each: by its wrong decisions (one label: misclassified or not), then by highest loss."""

    def __init__(self, x: Tensor) -> None:
        self._images, self._finite = x.clone(), torch.tensor(True, device=x.device)
        self._loss_B = torch.full((len(x),), -torch.inf, device=x.device)
        self._wrong_B = torch.zeros(len(x), dtype=torch.int64, device=x.device)

    def see(self, x: Tensor, loss_B: Tensor, wrong_B: Tensor) -> None:
        loss_B = loss_B.detach()
        self._finite = self._finite & loss_B.isfinite().all()  # looked at once, at the end: a GPU need not wait
        worse_B = (wrong_B > self._wrong_B) | ((wrong_B == self._wrong_B) & (loss_B > self._loss_B))
        self._images = _where(worse_B, x.detach(), self._images)
        self._loss_B = torch.where(worse_B, loss_B, self._loss_B)
        self._wrong_B = torch.maximum(self._wrong_B, wrong_B)

    def gradient(self, loss_B: Tensor, x: Tensor) -> Tensor:
        """Of the losses to the images; where it is NaN, its sign is 0, and the image would stand still."""
        (gradient,) = torch.autograd.grad(loss_B.sum(), x)
        self._finite = self._finite & ~gradient.isnan().any()
        return gradient

    def found(self, model: Model) -> Tensor:
        """The worst images, if every loss and gradient was a number: NaN is not worse than anything, and would look held."""
        refuse_not_finite(model, self._images.is_meta or bool(self._finite))
        return self._images


def _where(which_B: Tensor, yes_BCHW: Tensor, no_BCHW: Tensor) -> Tensor:
    return torch.where(which_B.view(-1, 1, 1, 1), yes_BCHW, no_BCHW)


def ball_of(images: Tensor, eps: float, start: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """The lowest and the highest value of each pixel, and where an attack starts between them."""
    if start is None:
        start = 2 * uniform(tuple(images.shape), generator, images) - 1
    lowest, highest = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    return lowest, highest, (images + eps * start.to(images)).clamp(lowest, highest)


def _checkpoints(steps: int) -> set[int]:
    """The steps after which APGD looks back: .22, .41, .57, .70, .80, .87, ... of all, rounded up."""
    ends, gap, at = set(), 22, 22
    while at < 100:
        ends.add(math.ceil(at * steps / 100))
        gap = max(gap - 3, 6)
        at += gap
    return ends


def refuse_not_finite(model: Model, right: bool) -> None:
    """Refuse an attack in which a logit or a gradient was no finite number."""
    if not right:
        raise TsyndError(f"{name_of(model)} gives logits or gradients that are NaN or infinite, so nothing is attacked")


@validated
@contextmanager
def attacking(
    model: Model,
    images: Tensor,
    labels: Tensor,
    eps: float,
    *,
    gradient: bool = True,
    lenient: bool = False,
    flat: bool = False,
) -> Iterator[Tensor]:
    """Check what every attack takes, and try the model; inside the block gradients are on, but not those of the weights.

    It gives a copy of the images in single precision or wider: in half precision a small step would round away, and a
    projection would leave its ball. Values are not looked at on the meta device.
    """
    if not 0 <= eps <= 1:
        raise TsyndError(f"eps must lie in [0, 1] (intensity; 8/255 is common), got {eps}")
    check_images(images)
    check_labels(labels, (len(images), *labels.shape[1:2]))
    networks = network_of(model)
    if any(module.training for network in networks for module in network.modules()):
        raise TsyndError("the model is in training mode, which distorts the attack (dropout, batch norm): call model.eval()")
    with (
        tried(model, images, labels, gradient=gradient and (eps > 0 or lenient), lenient=lenient, flat=flat),
        frozen(*networks),
        torch.enable_grad(),
    ):
        yield wide(images.detach()).clone()
