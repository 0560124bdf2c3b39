"""The ascent: what TSynD does to a batch of codes.

z0 = encode(x);  z <- project onto ball(z0, radius) [ z + step * grad U(decode(z)) / |grad| ],  keep the best z seen
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.posterior import Posterior
from tsynd.targeting.objectives import Guard, Objective, check_labels, check_values, refuse_not_finite

FLAT = 1e-3  # a step has added nothing when it adds less than this part of the gain so far


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
    patience: int | None
    autocast: torch.dtype | None
    box: bool

    def __call__(self, start_BD: Tensor, labels_B: Tensor, jitter_BD: Tensor, row_B: Tensor) -> "Batch":
        """Search from each code. `jitter_BD` is added to the first step; `row_B` are the images' numbers in messages."""
        batch = Batch(start_BD, labels_B, row_B)
        z_AD = start_BD
        for t in range(self.steps + 1):
            z_AD = z_AD.detach().requires_grad_(t < self.steps)
            images_ACHW, score_A, value_A = self.look(z_AD, batch, t)
            batch.keep_best(z_AD.detach(), images_ACHW, value_A)
            if t == self.steps:
                break
            (gradient_AD,) = torch.autograd.grad(_differentiable(score_A).sum(), z_AD)
            stays_A = batch.leave(gradient_AD, self.patience, t)
            z_AD, gradient_AD = z_AD.detach()[stays_A], gradient_AD[stays_A]
            if len(z_AD) == 0:
                break
            if t == 0:
                z_AD = z_AD + jitter_BD[batch.at_A].masked_fill(batch.stuck_B[batch.at_A, None], 0)
            z_AD = self.project(z_AD + self.step * unit(gradient_AD), start_BD[batch.at_A])
        return batch

    def look(self, z_AD: Tensor, batch: "Batch", t: int) -> tuple[Tensor, Tensor, Tensor]:
        """The decoded images, the score to climb, and the value that codes are compared by: -inf for one that may not be kept."""
        at_A, labels_A = batch.at_A, batch.labels_B[batch.at_A]
        narrow = torch.autocast(z_AD.device.type, self.autocast) if self.autocast else contextlib.nullcontext()
        with torch.set_grad_enabled(z_AD.requires_grad), narrow:
            images_ACHW = self.decode(z_AD).to(z_AD.dtype)
            log_probs_AKC = self.posterior(images_ACHW)
            if t == 0:
                check_labels(labels_A, log_probs_AKC)
            score_A = self.sign * check_values(self.objective(log_probs_AKC, labels_A), batch.row_B[at_A], t)
            value_A = score_A.detach()
            if self.guard:
                if t == 0:
                    batch.floor_B = self.guard.floor(log_probs_AKC.detach(), labels_A)
                score_A = score_A - self.guard.penalty(log_probs_AKC, labels_A, batch.floor_B[at_A])
                refused_A = self.guard.refuses(log_probs_AKC.detach(), labels_A, batch.floor_B[at_A])
                value_A = score_A.detach().masked_fill(refused_A, -torch.inf)
        return images_ACHW.detach(), score_A, value_A

    def project(self, z_AD: Tensor, start_AD: Tensor) -> Tensor:
        """The nearest code in the ball around the start; then, in pixel space, the nearest one inside [0, 1]."""
        offset_AD = z_AD - start_AD
        inside_AD = start_AD + offset_AD * (self.limit / offset_AD.norm(dim=1, keepdim=True)).clamp_max(1.0)
        return inside_AD.clamp(0, 1) if self.box else inside_AD


class Batch:
    """What is known of B images during a search: the best of each, and at_A, the numbers of those still searched.

    best_BD, best_BCHW, best_B: the best code, its image and its value. before_BCHW, first_B: the image and value of the start.
    steps_B: steps taken. stuck_B: no gradient at the start. floor_B: of the guard.
    """

    def __init__(self, start_BD: Tensor, labels_B: Tensor, row_B: Tensor) -> None:
        self.labels_B, self.row_B = labels_B, row_B
        self.at_A = torch.arange(len(start_BD), device=start_BD.device)
        self.best_BD = start_BD.clone()
        self.best_B = self.first_B = self.floor_B = torch.empty(0)
        self.best_BCHW = self.before_BCHW = torch.empty(0)
        self.steps_B, self._flat_B = torch.zeros_like(row_B), torch.zeros_like(row_B)
        self.stuck_B = torch.zeros_like(row_B, dtype=torch.bool)

    def keep_best(self, z_AD: Tensor, images_ACHW: Tensor, value_A: Tensor) -> None:
        """Take what is better than what was seen so far, and count for each image the steps that added nothing."""
        at_A = self.at_A
        if not len(self.first_B):
            self.first_B, self.best_B = value_A, value_A.clone()
            self.before_BCHW, self.best_BCHW = images_ACHW, images_ACHW.clone()
            return
        rise_A = value_A - self.best_B[at_A]
        better_A = rise_A > 0
        self.best_B[at_A] = torch.where(better_A, value_A, self.best_B[at_A])
        self.best_BD[at_A] = torch.where(better_A[:, None], z_AD, self.best_BD[at_A])
        self.best_BCHW[at_A] = torch.where(better_A[:, None, None, None], images_ACHW, self.best_BCHW[at_A])
        added_A = rise_A > FLAT * (self.best_B - self.first_B)[at_A]
        self._flat_B[at_A] = torch.where(added_A, 0, self._flat_B[at_A] + 1)

    def leave(self, gradient_AD: Tensor, patience: int | None, t: int) -> Tensor:
        """Say who takes the next step, as an index into the images that are searched now.

        Those without a gradient at the start stay where they are; with `patience`, those whose gain has flattened leave too.
        """
        refuse_not_finite(gradient_AD, self.row_B[self.at_A], t, "the gradient of the objective")
        if t == 0:
            self.stuck_B = (gradient_AD == 0).all(dim=1)
        stays_A = torch.arange(len(self.at_A), device=self.at_A.device)
        if patience is not None:
            stays_A = stays_A[~self.stuck_B[self.at_A] & (self._flat_B[self.at_A] < patience)]
            self.at_A = self.at_A[stays_A]
        self.steps_B[self.at_A] += (~self.stuck_B[self.at_A]).long()
        return stays_A


def _differentiable(score_A: Tensor) -> Tensor:
    """The score, if there is something to climb."""
    if not score_A.requires_grad:
        raise TsyndError("the objective has no gradient to the codes: it, decode or the posterior cuts the graph")
    return score_A


def unit(vectors_BD: Tensor) -> Tensor:
    """Vectors of norm 1; a zero vector stays zero. Tiny ones are scaled up first, since their squares would round to 0."""
    largest_B1 = vectors_BD.abs().amax(dim=1, keepdim=True)
    scaled_BD = vectors_BD / torch.where((largest_B1 > 0) & (largest_B1 < 1e-12), largest_B1, 1.0)
    return scaled_BD / scaled_BD.norm(dim=1, keepdim=True).clamp_min(torch.finfo(vectors_BD.dtype).tiny)
