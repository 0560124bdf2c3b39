"""One classifier, asked under one condition after the other about the same images."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tsynd.metrics.classification import scores
from tsynd.posterior import HeadDropout, Posterior
from tsynd.robustness.attacks import checks_after, checks_before
from tsynd.robustness.attacks.gradient import apgd, pgd
from tsynd.robustness.attacks.square import random_squares
from tsynd.robustness.conditions import condition, described
from tsynd.robustness.corruptions import corrupt
from tsynd.uncertainty import mutual_information
from tsynd.utils.batching import batches
from tsynd.utils.network_passes import Model, wide
from tsynd.utils.network_trial import logits_of
from tsynd.utils.rng import generator_for, uniform

Answers = tuple[Tensor, Tensor | None]
Attack = Callable[..., Tensor]

STRONG_EPS, APGD_STEPS, QUERIES, CHECKED = 4 / 255, 100, 500, 100
"""The stronger attacks: their size, steps of APGD-CE, queries of the random search, and how many images the checks are of."""


@dataclass(frozen=True)
class ConditionEvaluator:
    """Who is asked, of which images: what all conditions share."""

    model: Model
    posterior: Posterior | None
    images: Tensor
    labels: Tensor
    right: Tensor
    seed: int
    batch_size: int
    device: torch.device
    counts_RB: Tensor

    def answers(self, change: Callable[[Tensor], Tensor]) -> Answers:
        """Scores of all changed images and their mutual information, on the CPU."""
        found, information = [], []
        for _, batch in batches(self.images, self.batch_size, self.device):
            logits, informed = self._pass(change(batch))
            found.append(scores(wide(logits), self.labels).cpu())
            information += informed
        return torch.cat(found), torch.cat(information) if information else None

    def _pass(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and mutual information; in one pass where the posterior repeats the last layers of this very model."""
        posterior = self.posterior
        if isinstance(posterior, HeadDropout) and posterior.networks[0] is self.model:
            log_probs, logits = posterior.with_logits(x)
            return logits, [mutual_information(log_probs).cpu()]
        with torch.no_grad():
            return logits_of(self.model, x), self._informed(x)

    def corrupted(self, name: str, severity: int) -> Answers:
        """Under one corruption."""
        generator = generator_for(self.seed, f"corruption {name} {severity}")
        return self.answers(lambda batch: corrupt(batch, name, severity, generator))

    def attacked(self, attack: Attack, name: str, eps: float, clean: Tensor) -> Answers:
        """Under an attack. A decision that is wrong without an attack stays as it is: only images with others are attacked."""
        generator = generator_for(self.seed, f"{name} {eps:.6f}")
        found, information = clean.clone(), []
        some_B = self.right.reshape(len(self.right), -1).any(dim=1)
        for where, batch in batches(self.images, self.batch_size, self.device):
            start = 2 * uniform(tuple(batch.shape), generator, batch) - 1  # of every image, so that models share it
            rows, x = some_B[where].nonzero().flatten().to(self.device), batch.clone()
            if len(rows):
                y = self.labels[where].to(self.device)[rows]
                x[rows] = attack(self.model, batch[rows], y, eps=eps, start=start[rows])
            logits, informed = self._pass(x)
            found[where][rows.cpu()] = scores(wide(logits), self.labels[where]).cpu()[rows.cpu()]
            information += informed
        right = self.right.view(*self.right.shape, 1)
        return torch.where(right, found, clean), torch.cat(information) if information else None

    def checks(self, steps: int) -> list[dict[str, Any]]:
        """The checks of the model and of PGD, on a part of the images."""
        few = proportional(self.labels if self.labels.ndim == 1 else torch.zeros(len(self.labels)), CHECKED)
        ((_, x),) = batches(self.images[few], CHECKED, self.device)
        y = self.labels[few].to(self.device)
        found = checks_before(self.model, x, y) + checks_after(self.model, x, y, eps=STRONG_EPS, steps=steps, seed=self.seed)
        return [asdict(check) for check in found]

    def rightly(self, found: Tensor) -> Tensor:
        """Of each image, the share of its decisions that are right; (B,) float."""
        return share_of(found.argmax(dim=-1) == self.labels)

    def _informed(self, x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return [] if self.posterior is None else [mutual_information(self.posterior(x)).cpu()]

    def row(self, section: str, name: str, level: float | None, answers: Answers) -> dict[str, Any]:
        """The answers as a row of `conditions`."""
        measures = described(answers[0], self.labels, self.counts_RB, answers[1])
        return condition(section, name, level, len(self.labels), measures)


def share_of(right: Tensor) -> Tensor:
    """Of each image, the share of its decisions that are right; (B,) float."""
    return right.float().reshape(len(right), -1).mean(dim=1)


def by_pgd(steps: int) -> Attack:
    """PGD of so many steps."""
    return partial(pgd, steps=steps)


def _by_squares(model: Model, images: Tensor, labels: Tensor, *, eps: float, start: Tensor) -> Tensor:
    """The random search; it starts from stripes of its own, and its squares are the same in every call."""
    return random_squares(model, images, labels, eps=eps, queries=QUERIES, generator=generator_for(0, "squares"))


STRONG: dict[str, Attack] = {"apgd": partial(apgd, steps=APGD_STEPS), "squares": _by_squares}
"""The stronger attacks by the names of their figures."""


def proportional(labels: Tensor, limit: int | None) -> Tensor:
    """Indices of at most `limit` images in which each class keeps its share; a smaller limit chooses among the same.

    >>> proportional(torch.tensor([0, 0, 0, 0, 1, 1]), 3).tolist()
    [0, 1, 4]
    """
    if limit is None or limit >= len(labels):
        return torch.arange(len(labels))
    place = torch.zeros(len(labels))
    for label in labels.unique():
        of_class = labels == label
        place[of_class] = (torch.arange(int(of_class.sum())) + 0.5) / of_class.sum()
    return place.argsort(stable=True)[:limit].sort().values
