"""The ascent: what TSynD does to a batch of codes.

z0 = encode(x);  z <- project onto ball(z0, radius) [ z + step * grad U(decode(z)) / |grad| ],  keep the best z seen
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.posterior import Posterior
from tsynd.targeting.objectives import Divergence, Guard, Objective, bind, check_labels, check_values, refuse_not_finite


@dataclass(frozen=True)
class Ascent:
    """Projected gradient ascent with normalised steps inside the ball of norm `limit` (with `box`: and inside [0, 1]).

    sign: 1 climbs the objective, -1 descends. step: length of a step. The rest as in `tsynd.targeting.target`.
    """

    decode: Callable[[Tensor], Tensor]
    posterior: Posterior
    objective: Objective
    guard: Guard | None
    sign: int
    limit: float
    step: float
    steps: int
    box: bool

    def __call__(
        self, start_BD: Tensor, labels_B: Tensor, jitter_BD: Tensor, row_B: Tensor, offset_BCHW: Tensor | None = None
    ) -> "Found":
        """Search from each code. `jitter_BD` is added to the first step, and is that of a divergence, which has no gradient yet;
        `row_B` are the images' numbers in messages; `offset_BCHW` is what each reconstruction lacks of its source (residual).
        """
        found, z_BD = Found(start_BD, offset_BCHW), start_BD
        if isinstance(self.objective, Divergence):
            images_BCHW, _, value_B = self.evaluate_objective(z_BD, labels_B, row_B, found, 0)
            found.keep_best(z_BD, images_BCHW, value_B)
            z_BD, jitter_BD = self.project(start_BD + jitter_BD, start_BD), torch.zeros_like(jitter_BD)
        for t in range(self.steps + 1):
            z_BD = z_BD.detach().requires_grad_(t < self.steps)
            images_BCHW, score_B, value_B = self.evaluate_objective(z_BD, labels_B, row_B, found, t)
            found.keep_best(z_BD.detach(), images_BCHW, value_B)
            if t < self.steps:
                if not score_B.requires_grad:
                    raise TsyndError("the objective has no gradient to the codes: it, decode or the posterior cuts the graph")
                (gradient_BD,) = torch.autograd.grad(score_B.sum(), z_BD)
                refuse_not_finite(gradient_BD, row_B, t, "the gradient of the objective")
                if t == 0:
                    found.stuck = (gradient_BD == 0).all(dim=1)
                    z_BD = z_BD + jitter_BD.masked_fill(found.stuck[:, None], 0)
                z_BD = self.project(z_BD + self.step * unit(gradient_BD), start_BD)
        return found

    def evaluate_objective(
        self, z_BD: Tensor, labels_B: Tensor, row_B: Tensor, found: "Found", t: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the decoded images, the score to climb, and the value to compare codes by: -inf for one that may not be kept."""
        with torch.set_grad_enabled(z_BD.requires_grad):
            images_BCHW = found.shift(self.decode(z_BD).to(z_BD.dtype))
            log_probs_BKC = self.posterior(images_BCHW)
            if not len(found.values):
                check_labels(labels_B, log_probs_BKC)
                found.start_log_probs = log_probs_BKC.detach()
            objective = bind(self.objective, found.start_log_probs)
            score_B = self.sign * check_values(objective(log_probs_BKC, labels_B), row_B, t)
            value_B = score_B.detach()
            if self.guard:
                if not len(found.values):
                    found.floor = self.guard.floor(log_probs_BKC.detach(), labels_B)
                score_B = score_B - self.guard.penalty(log_probs_BKC, labels_B, found.floor)
                refused_B = self.guard.refuses(log_probs_BKC.detach(), labels_B, found.floor)
                value_B = score_B.detach().masked_fill(refused_B, -torch.inf)
        return images_BCHW.detach(), score_B, value_B

    def project(self, z_BD: Tensor, start_BD: Tensor) -> Tensor:
        """Return the nearest code in the ball around the start; then, in pixel space, the nearest one inside [0, 1]."""
        offset_BD = z_BD - start_BD
        inside_BD = start_BD + offset_BD * (self.limit / offset_BD.norm(dim=1, keepdim=True)).clamp_max(1.0)
        return inside_BD.clamp(0, 1) if self.box else inside_BD


class Found:
    """The best of each image so far.

    codes (B, D), images (B, C, H, W), values (B,): of the best code. start_images: decoded from the start. stuck (B,): no
    gradient at the start. floor (B,): of the guard. start_log_probs (B, K, C): the predictions at the start.
    """

    def __init__(self, start_BD: Tensor, offset_BCHW: Tensor | None = None) -> None:
        self.codes, self.offset_BCHW, self.start_log_probs = start_BD.clone(), offset_BCHW, torch.empty(0)
        self.values = self.images = self.start_images = self.floor = torch.empty(0)
        self.stuck = torch.zeros(len(start_BD), dtype=torch.bool, device=start_BD.device)

    def shift(self, decoded_BCHW: Tensor) -> Tensor:
        """Add to each decoded image what the reconstruction lacks of its source; nothing without an offset."""
        return decoded_BCHW if self.offset_BCHW is None else (decoded_BCHW + self.offset_BCHW).clamp(0, 1)

    def keep_best(self, z_BD: Tensor, images_BCHW: Tensor, value_B: Tensor) -> None:
        """Take what is better than what was seen so far."""
        if not len(self.values):
            self.values, self.start_images, self.images = value_B, images_BCHW, images_BCHW
            return
        better_B = value_B > self.values
        self.values = torch.where(better_B, value_B, self.values)
        self.codes = torch.where(better_B[:, None], z_BD, self.codes)
        self.images = torch.where(better_B[:, None, None, None], images_BCHW, self.images)


def unit(vectors_BD: Tensor) -> Tensor:
    """Return vectors of norm 1; a zero vector stays zero. Tiny ones are scaled up first, since their squares would round to 0."""
    largest_B1 = vectors_BD.abs().amax(dim=1, keepdim=True)
    scaled_BD = vectors_BD / torch.where((largest_B1 > 0) & (largest_B1 < 1e-12), largest_B1, 1.0)
    return scaled_BD / scaled_BD.norm(dim=1, keepdim=True).clamp_min(torch.finfo(vectors_BD.dtype).tiny)
