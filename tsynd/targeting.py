"""Targeting: search the latent ball around a real image's code for what the classifier does not know. This is TSynD.

z0 = encode(x);  z <- project onto ball(z0, radius) [ z + step * grad U(decode(z)) / |grad| ],  keep the best z seen
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tsynd.errors import TsyndError, unknown
from tsynd.modes import frozen
from tsynd.posterior import Posterior
from tsynd.randomness import normal
from tsynd.uncertainty import LOWEST_LOG_PROB, mutual_information, predictive_entropy

Objective = Callable[[Tensor, Tensor], Tensor]

OBJECTIVES: dict[str, Objective] = {
    "mutual_information": lambda log_probs_BKC, labels_B: mutual_information(log_probs_BKC),
    "entropy": lambda log_probs_BKC, labels_B: predictive_entropy(log_probs_BKC),
    "cross_entropy": lambda log_probs_BKC, labels_B: -_log_prob(log_probs_BKC, labels_B),
    # The controls report mutual information. Random: the same search is run, but of its displacement only the length is
    # kept. Reconstruction: no search.
    "random": lambda log_probs_BKC, labels_B: mutual_information(log_probs_BKC),
    "reconstruction": lambda log_probs_BKC, labels_B: mutual_information(log_probs_BKC),
}


class Autoencoder(Protocol):
    """What targeting needs of an autoencoder: two verbs on standardised codes (B, D)."""

    def encode(self, images_BCHW: Tensor) -> Tensor: ...
    def decode(self, latents_BD: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Guard:
    """The label guard: how far log p(label) may fall during the search before it costs.

    The penalty is weight * relu(log p0(y) - log p(y) - bound), where p is the mean over the fixed posterior samples and
    p0 its value at the start. Images that start wrong may not get worse: for them the bound is 0.
    """

    weight: float = 3.0
    bound: float = 0.5


@dataclass(frozen=True)
class Synthesis:
    """Targeted images and where they come from, one row per image.

    images_BCHW: float in [0, 1]. reconstructions_BCHW: what the search started from, decode(z0). labels_B: int64, copied
    from the sources. source_B: int64, index of the source image. objective_before_B, objective_after_B: the objective of
    the reconstruction and of the image, on *fresh* posterior samples; information_before_B, information_after_B: their
    mutual information likewise, in nats. log_prob_fall_B: by how much log p(label) fell, in nats.
    latent_displacement_B: |z* - z0| / sqrt(D). pixel_displacement_B: root mean square difference to the reconstruction,
    in [0, 1] intensity. radius, steps: of the search. seed: of the generator that it drew from, None for the global one.
    """

    images_BCHW: Tensor
    reconstructions_BCHW: Tensor
    labels_B: Tensor
    source_B: Tensor
    objective_before_B: Tensor
    objective_after_B: Tensor
    information_before_B: Tensor
    information_after_B: Tensor
    log_prob_fall_B: Tensor
    latent_displacement_B: Tensor
    pixel_displacement_B: Tensor
    radius: float
    steps: int
    seed: int | None

    def __len__(self) -> int:
        return len(self.labels_B)


_COLUMNS = tuple(column.name for column in fields(Synthesis) if column.name.endswith(("_B", "_BCHW")))


def target(
    images_BCHW: Tensor,
    labels_B: Tensor,
    autoencoder: Autoencoder,
    posterior: Posterior,
    *,
    objective: str | Objective = "mutual_information",
    radius: float = 0.4,
    steps: int = 5,
    step_size: float | None = None,
    noise: float = 0.1,
    guard: Guard | None = None,
    source_B: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Synthesis:
    """Move each image's code, by gradient ascent, to where the objective on the decoded image is highest.

    One set of posterior samples is drawn and held during the ascent; the values that are reported come from another.

    Args:
        images_BCHW: (B, C, H, W) real images in [0, 1], and labels_B, their int64 classes.
        autoencoder: `encode` and `decode` between images and standardised codes.
        posterior: images to log_probs_BKC; its networks are frozen meanwhile and come back as they were.
        objective: `mutual_information` (the paper), `entropy`, `cross_entropy`, the controls `random` (equal latent
            displacement) and `reconstruction` (none), or a differentiable callable (log_probs_BKC, labels_B) -> (B,).
        radius: of the ball around z0, as |z - z0| / sqrt(D), at least 0. With radius 0 or 0 steps the result is the
            reconstruction.
        steps: gradient steps, at least 0, of length step_size, in units of radius (default: .4 * radius).
        noise: length of a random displacement added to the first step, as a fraction of the radius; it makes two
            searches from one image differ.
        guard: the label guard; none by default, as in the paper.
        source_B: what to record as source indices; by default 0 .. B - 1.

    Returns:
        A `Synthesis` on the images' device.

    Raises:
        TsyndError: for a negative radius or number of steps, an unknown objective, or labels that do not fit the images.
    """
    if isinstance(objective, str) and objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    step_size = 0.4 * radius if step_size is None else step_size
    for name, value in {"radius": radius, "steps": steps, "noise": noise, "step_size": step_size}.items():
        if not value >= 0:
            raise TsyndError(f"{name} must be >= 0, got {value}")
    if labels_B.shape != images_BCHW.shape[:1]:
        raise TsyndError(f"labels_B must have shape ({len(images_BCHW)},), one for each image, got {tuple(labels_B.shape)}")
    score = OBJECTIVES[objective] if isinstance(objective, str) else objective
    networks = [network for network in (autoencoder, *posterior.networks) if isinstance(network, nn.Module)]
    with frozen(*networks):
        with torch.no_grad():
            start_BD = autoencoder.encode(images_BCHW)
        length = start_BD.shape[1] ** 0.5  # of a vector whose displacement counts as 1
        direction_BD = _unit(normal(tuple(start_BD.shape), generator, start_BD))
        jitter_BD = direction_BD * noise * radius * length
        posterior.resample(generator)
        if radius == 0 or objective == "reconstruction":
            steps = 0
        limit, step = radius * length, step_size * length
        found = _ascend(start_BD, labels_B, autoencoder, posterior, score, limit, step, steps, jitter_BD, guard)
        found_BD, before_BCHW, after_BCHW = found
        with torch.no_grad():
            if objective == "random":
                found_BD = start_BD + (found_BD - start_BD).norm(dim=1, keepdim=True) * direction_BD
                after_BCHW = autoencoder.decode(found_BD)
            posterior.resample(generator)
            described = _describe(before_BCHW, after_BCHW, labels_B, posterior, score)
        moved_B = (found_BD - start_BD).norm(dim=1) / length
    source_B = torch.arange(len(labels_B), device=labels_B.device) if source_B is None else source_B
    seed = generator.initial_seed() if generator is not None else None
    return Synthesis(
        **described, labels_B=labels_B, source_B=source_B, latent_displacement_B=moved_B, radius=radius, steps=steps, seed=seed
    )


def _ascend(
    start_BD: Tensor,
    labels_B: Tensor,
    autoencoder: Autoencoder,
    posterior: Posterior,
    objective: Objective,
    limit: float,
    step: float,
    steps: int,
    jitter_BD: Tensor,
    guard: Guard | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Projected gradient ascent with normalised steps inside the ball of norm `limit`.

    Returns the best code seen, and the decoded images of the start and of the best code.
    """
    z_BD = best_BD = start_BD
    start_BCHW = best_BCHW = torch.empty(0)
    best_B = floor_B = start_BD.new_full((len(start_BD),), -torch.inf)
    for t in range(steps + 1):
        z_BD = z_BD.detach().requires_grad_(t < steps)
        with torch.set_grad_enabled(t < steps):
            images_BCHW = autoencoder.decode(z_BD)
            log_probs_BKC = posterior(images_BCHW)
            score_B = objective(log_probs_BKC, labels_B)
            if guard is not None:
                if t == 0:
                    floor_B = _lowest_allowed(log_probs_BKC.detach(), labels_B, guard)
                score_B = score_B - guard.weight * (floor_B - _log_prob(log_probs_BKC, labels_B)).relu()
        if t == 0:
            start_BCHW = best_BCHW = images_BCHW.detach()
        better_B = score_B.detach() > best_B
        best_B = torch.where(better_B, score_B.detach(), best_B)
        best_BD = torch.where(better_B[:, None], z_BD.detach(), best_BD)
        best_BCHW = torch.where(better_B[:, None, None, None], images_BCHW.detach(), best_BCHW)
        if t < steps:
            (gradient_BD,) = torch.autograd.grad(score_B.sum(), z_BD)
            offset_BD = z_BD.detach() + step * _unit(gradient_BD) + (jitter_BD if t == 0 else 0) - start_BD
            z_BD = start_BD + offset_BD * (limit / offset_BD.norm(dim=1, keepdim=True)).clamp_max(1.0)
    return best_BD, start_BCHW, best_BCHW


def _describe(
    before_BCHW: Tensor, after_BCHW: Tensor, labels_B: Tensor, posterior: Posterior, objective: Objective
) -> dict[str, Tensor]:
    """Measure what was found on the posterior's present (fresh) samples: columns of a `Synthesis`."""
    before_BKC, after_BKC = posterior(before_BCHW), posterior(after_BCHW)
    return {
        "images_BCHW": after_BCHW,
        "reconstructions_BCHW": before_BCHW,
        "objective_before_B": objective(before_BKC, labels_B),
        "objective_after_B": objective(after_BKC, labels_B),
        "information_before_B": mutual_information(before_BKC),
        "information_after_B": mutual_information(after_BKC),
        "log_prob_fall_B": _log_prob(before_BKC, labels_B) - _log_prob(after_BKC, labels_B),
        "pixel_displacement_B": (after_BCHW - before_BCHW).square().mean(dim=(1, 2, 3)).sqrt(),
    }


def _lowest_allowed(log_probs_BKC: Tensor, labels_B: Tensor, guard: Guard) -> Tensor:
    """The value of log p(label) below which the guard's penalty begins, from the predictions at the start."""
    right_B = log_probs_BKC.logsumexp(dim=1).argmax(dim=1) == labels_B
    return _log_prob(log_probs_BKC, labels_B) - guard.bound * right_B


def _log_prob(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
    """log of the mean probability of each image's label."""
    label_BK = log_probs_BKC.gather(2, labels_B[:, None, None].expand(-1, log_probs_BKC.shape[1], 1)).squeeze(2)
    return label_BK.clamp_min(LOWEST_LOG_PROB).logsumexp(dim=1) - math.log(log_probs_BKC.shape[1])


def _unit(vectors_BD: Tensor) -> Tensor:
    """Vectors of norm 1; a zero vector stays zero. Tiny ones are scaled up first, since their squares would round to 0."""
    largest_B1 = vectors_BD.abs().amax(dim=1, keepdim=True)
    scaled_BD = vectors_BD / torch.where((largest_B1 > 0) & (largest_B1 < 1e-12), largest_B1, 1.0)
    return scaled_BD / scaled_BD.norm(dim=1, keepdim=True).clamp_min(torch.finfo(vectors_BD.dtype).tiny)


def measured(synthesis: Synthesis, posterior: Posterior) -> Synthesis:
    """The same synthesis, measured anew on its images as they are now and on the posterior's present samples.

    The objective becomes mutual information.
    """
    before_BCHW, after_BCHW, score = synthesis.reconstructions_BCHW, synthesis.images_BCHW, OBJECTIVES["mutual_information"]
    with torch.no_grad():
        columns: dict[str, Any] = _describe(before_BCHW, after_BCHW, synthesis.labels_B, posterior, score)
    return replace(synthesis, **columns)


def concatenate(parts: list[Synthesis]) -> Synthesis:
    """Several syntheses of one search's settings as one, in order."""
    columns: dict[str, Any] = {name: torch.cat([getattr(part, name) for part in parts]) for name in _COLUMNS}
    return replace(parts[0], **columns)


def on_cpu(synthesis: Synthesis, source_B: Tensor) -> Synthesis:
    """The same synthesis on the CPU, with its sources counted anew: row i comes from image source_B[i] of what was given."""
    columns: dict[str, Any] = {name: getattr(synthesis, name).cpu() for name in _COLUMNS}
    return replace(synthesis, **columns | {"source_B": source_B[columns["source_B"]]})
