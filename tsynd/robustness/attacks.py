"""Adversarial attacks: the worst image within eps of the given one (L-infinity), found by following the model's own gradient.

Images lie in [0, 1] and normalisation is inside the model, so `eps` is in units of intensity: 2/255 is two grey levels.
The model is attacked as it stands, in eval mode. A model that draws new dropout masks in every call must be attacked
on its average over fixed masks instead, or the figures flatter it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.modes import frozen
from tsynd.randomness import uniform

Model = Callable[[Tensor], Tensor]


def pgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step_size: float | None = None,
    steps: int = 20,
    generator: torch.Generator | None = None,
    start: Tensor | None = None,
) -> Tensor:
    """Projected gradient descent: signed steps up the loss from a random start, kept within eps of the image and in [0, 1].

    x <- clip(x + step_size * sign(d CE(model(x), y) / dx)), Madry et al., ICLR 2018 (arXiv 1706.06083), section 2.1;
    the sign is computed so that it survives a cross-entropy that rounds to 0 (see `_loss`). They
    return the last iterate. We return, for each image, the worst one seen: misclassified before classified (the more labels
    the worse), then by highest loss. It costs one more forward pass and is never weaker.

    Args:
        model: images in [0, 1] to logits (B, classes); a module must be in eval mode.
        images: (B, C, H, W) float in [0, 1].
        labels: (B,) int64, the classes that the attack moves away from; several labels an image: (B, L) of 0 and 1, one
            logit each, and the attack climbs the sum of their losses.
        eps: largest change of a pixel, in [0, 1]; 0 returns the images unchanged.
        step_size: change of a pixel in one step; 2.5 * eps / steps without one, enough to cross the ball and come back.
        steps: number of gradient steps, at least 1.
        generator: where the random start is drawn from; torch's global state without one.
        start: the random start given instead, (B, C, H, W) in [-1, 1] in units of eps; zeros start at the image itself.

    Returns:
        (B, C, H, W) attacked images in [0, 1], within eps of the given ones, detached.

    Raises:
        TsyndError: for eps outside [0, 1], steps < 1, step_size <= 0, images outside [0, 1] or NaN, an empty set, labels
            out of range, a model in training mode, or one that does not return (B, classes).

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    >>> images, labels = torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 0])
    >>> attacked = pgd(model, images, labels, eps=8 / 255)
    >>> bool((attacked - images).abs().max() <= 8 / 255 + 1e-6)
    True
    """
    if steps < 1:
        raise TsyndError(f"steps must be >= 1, got {steps}")
    if step_size is None:
        step_size = 2.5 * eps / steps
    elif not step_size > 0:
        raise TsyndError(f"step_size must be > 0, got {step_size}")
    with _attacking(model, images, labels, eps):
        if eps == 0:
            return images.detach().clone()
        images = images.detach()
        if start is None:
            start = 2 * uniform(tuple(images.shape), generator, images) - 1
        lowest, highest = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
        x = (images + eps * start.to(images)).clamp(lowest, highest)
        worst, worst_loss = x.clone(), torch.full((len(x),), -torch.inf, device=x.device)
        worst_wrong = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for step in range(steps + 1):  # the last round only judges the last iterate
            x.requires_grad_(step < steps)
            loss_B, wrong_B = _loss(model, x, labels)
            better_B = (wrong_B > worst_wrong) | ((wrong_B == worst_wrong) & (loss_B.detach() > worst_loss))
            worst = torch.where(better_B.view(-1, 1, 1, 1), x.detach(), worst)
            worst_loss = torch.where(better_B, loss_B.detach(), worst_loss)
            worst_wrong = torch.maximum(worst_wrong, wrong_B)
            if step < steps:
                (gradient,) = torch.autograd.grad(loss_B.sum(), x)
                x = (x.detach() + step_size * gradient.sign()).clamp(lowest, highest)
        return worst


def fgsm(model: Model, images: Tensor, labels: Tensor, *, eps: float) -> Tensor:
    """Fast gradient sign method: one signed step of size eps up the loss, from the image itself.

    x + eps * sign(d CE(model(x), y) / dx), clipped to [0, 1]; Goodfellow et al., ICLR 2015 (arXiv 1412.6572), section 4.
    Cheap and weak: for figures use `pgd`. Arguments, result and errors as there.
    """
    with _attacking(model, images, labels, eps):
        x = images.detach().clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(_loss(model, x, labels)[0].sum(), x)
        return (x.detach() + eps * gradient.sign()).clamp(0, 1)


def _loss(model: Model, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How far each image is from its label, in fp32 or wider, and how many of its decisions are wrong.

    The margin m = log sum_{j != y} exp(z_j) - z_y. Cross-entropy is softplus(m), so both rise in the same direction; but
    cross-entropy and its gradient round to 0 for a confident classifier, and an attack that follows them stands still.
    Several labels: the logarithm of the sum of their cross-entropies, softplus(m) with m = z where the label is absent and -z
    where it is present; ln softplus(m) is m where softplus would round to 0.
    """
    logits = model(x)
    if logits.ndim != 2 or len(logits) != len(x):
        raise TsyndError(f"the model must return logits of shape ({len(x)}, classes), got {tuple(logits.shape)}")
    if labels.ndim == 2:
        return _loss_of_several(logits, labels)
    if int(labels.max()) >= logits.shape[1]:
        raise TsyndError(f"labels must be below the model's {logits.shape[1]} classes, got {int(labels.max())}")
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    others = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -torch.inf).logsumexp(dim=1)
    return others - logits.gather(1, labels[:, None]).squeeze(1), (logits.detach().argmax(dim=1) != labels).long()


def _loss_of_several(logits_BL: Tensor, labels_BL: Tensor) -> tuple[Tensor, Tensor]:
    if logits_BL.shape != labels_BL.shape or int(labels_BL.max()) > 1:
        found = f"{tuple(labels_BL.shape)} with values up to {int(labels_BL.max())}"
        raise TsyndError(f"several labels must be 0 or 1 of the logits' shape {tuple(logits_BL.shape)}, got {found}")
    wide_BL = logits_BL.to(torch.promote_types(logits_BL.dtype, torch.float32))
    margin_BL = (1 - 2 * labels_BL) * wide_BL
    log_loss_BL = torch.where(margin_BL < -15, margin_BL, F.softplus(margin_BL.clamp_min(-15)).log())
    return log_loss_BL.logsumexp(dim=1), ((logits_BL.detach() > 0).long() != labels_BL).sum(dim=1)


@contextmanager
def _attacking(model: Model, images: Tensor, labels: Tensor, eps: float) -> Iterator[None]:
    """Check what every attack takes; inside the block gradients are on, but not those of the weights."""
    if not 0 <= eps <= 1:
        raise TsyndError(f"eps must lie in [0, 1] (intensity; 8/255 is common), got {eps}")
    if images.ndim != 4 or len(images) == 0 or not images.is_floating_point():
        shape = tuple(images.shape)
        raise TsyndError(f"images must be float of shape (B, C, H, W) with B >= 1, got {images.dtype} of shape {shape}")
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise TsyndError(f"images must lie in [0, 1], got {float(images.min()):.4g} to {float(images.max()):.4g}")
    if labels.ndim not in (1, 2) or labels.shape[:1] != images.shape[:1] or labels.dtype != torch.int64:
        shape = tuple(labels.shape)
        raise TsyndError(f"labels must be int64 of shape ({len(images)},), got {labels.dtype} of shape {shape}")
    if int(labels.min()) < 0:
        raise TsyndError(f"labels must be >= 0, got {int(labels.min())}")
    modules = tuple(model.modules()) if isinstance(model, nn.Module) else ()
    if any(module.training for module in modules):
        raise TsyndError("the model is in training mode, which distorts the attack (dropout, batch norm): call model.eval()")
    with frozen(*modules[:1]), torch.enable_grad():
        yield
