"""One classifier under one condition after the other: its answers, and how right, calibrated and uncertain they are."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from typing import Annotated, Any

import torch
from torch import Tensor

from tsynd.augmentation.affine import SHIFTED_RANGE, TRAIN_RANGE, augment
from tsynd.metrics.calibration import aurc, ece, nll
from tsynd.metrics.classification import balanced_accuracy, error_auroc, scores
from tsynd.posterior import HeadDropout, Posterior
from tsynd.robustness.attacks import checks_after, checks_before
from tsynd.robustness.attacks.gradient import apgd
from tsynd.robustness.attacks.square import random_squares
from tsynd.robustness.corruptions import corrupt
from tsynd.uncertainty import mutual_information
from tsynd.utils.batching import batches, predict
from tsynd.utils.network_passes import Model, wide
from tsynd.utils.network_trial import logits_of
from tsynd.utils.rng import generator_for, uniform
from tsynd.utils.rules import validated, whole

__test__: dict[str, str] = {}  # no tests, whatever a name says to pytest
RESAMPLES, CHUNK = 1000, 100
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
            return logits_of(self.model, x), [] if posterior is None else [mutual_information(posterior(x)).cpu()]

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

    def row(self, section: str, name: str, level: float | None, answers: Answers) -> dict[str, Any]:
        """The answers as a row of `conditions`: where it belongs, its severity or eps, of how many images, and its measures."""
        measures = described(answers[0], self.labels, self.counts_RB, answers[1])
        return {"section": section, "name": name, "level": level, "n": len(self.labels)} | measures


def share_of(right: Tensor) -> Tensor:
    """Of each image, the share of its decisions that are right; (B,) float."""
    return right.float().reshape(len(right), -1).mean(dim=1)


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


def resampled(labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """How often each image is drawn into each of 1000 bootstrap samples, uint8 (R, B), to be shared by all conditions.

    Drawn with replacement, inside each class, so that every sample has as many images of each; several labels: among all.
    """
    counts_RB = torch.zeros(RESAMPLES, len(labels), dtype=torch.uint8)
    groups = [labels == label for label in labels.unique()] if labels.ndim == 1 else [torch.ones(len(labels), dtype=torch.bool)]
    for group in groups:
        places, size = group.nonzero().flatten(), int(group.sum())
        for rows_rB in counts_RB.split(max(1, 2**22 // max(size, 1))):  # views; parts bound the memory
            drawn_rP = (uniform((len(rows_rB), size), generator, torch.empty(0)) * size).long()
            copies_rP = torch.zeros(drawn_rP.shape, dtype=torch.uint8).scatter_add_(
                1, drawn_rP, torch.ones(drawn_rP.shape, dtype=torch.uint8)
            )
            rows_rB[:, places] = copies_rP
    return counts_RB


def described(found: Tensor, labels: Tensor, counts_RB: Tensor, information_B: Tensor | None = None) -> dict[str, float | None]:
    """The measures of one condition.

    Args:
        found: scores (B, C), or of several labels (B, L, 2), log-probabilities up to a constant; (D * B, ...) of D draws, in turn
        labels: (B,) int64; several: (B, L).
        counts_RB: as `resampled` gives them.
        information_B: mutual information of each image, in nats.

    Returns:
        accuracy; balanced_accuracy, with low and high of its 95 % interval over images (percentiles); nll in nats, of several
        labels summed over them; ece; aurc, with 1 - the largest probability as uncertainty; the mean mutual_information and
        error_auroc, how well it finds the errors. None where it is undefined.
    """
    draws = len(found) // len(labels)
    all_labels = labels.repeat(draws, *[1] * (labels.ndim - 1))
    probs_NC, labels_N = found.double().softmax(dim=-1).flatten(0, -2), all_labels.flatten()
    right = found.argmax(dim=-1) == all_labels
    wrong_N = ~right.flatten()
    low, high = _interval(right.double().unflatten(0, (draws, -1)).mean(dim=0), labels, counts_RB)
    wrong_B = ~right.reshape(len(right), -1).all(dim=1)
    return {
        "accuracy": right.double().mean().item(),
        "balanced_accuracy": fmean(balanced_accuracy(part, labels) for part in found.split(len(labels))),
        "low": low,
        "high": high,
        "nll": nll(probs_NC, labels_N) * labels_N.numel() / len(all_labels),
        "ece": ece(probs_NC, labels_N),
        "aurc": aurc(1 - probs_NC.max(dim=1).values, wrong_N),
        "mutual_information": None if information_B is None else information_B.double().mean().item(),
        "error_auroc": None if information_B is None else error_auroc(information_B, wrong_B),
    }


def _interval(right: Tensor, labels: Tensor, counts_RB: Tensor) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the balanced accuracy over the resamples; `right` may be a mean over draws."""
    columns = [(right, labels)] if labels.ndim == 1 else list(zip(right.unbind(1), labels.unbind(1), strict=True))
    parts = []
    for counts_rB in counts_RB.split(CHUNK):
        weights_rB = counts_rB.double()
        recalls = []
        for right_B, labels_B in columns:
            of_class_BC = torch.nn.functional.one_hot(labels_B)[:, labels_B.unique()].double()
            recalls.append((weights_rB @ (of_class_BC * right_B[:, None])) / (weights_rB @ of_class_BC))
        parts.append(torch.stack([recall_rC.nanmean(dim=1) for recall_rC in recalls]).mean(dim=0))
    low, high = torch.cat(parts).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


@validated
def test_time_augmentation(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    labels_B: Tensor,
    draws: Annotated[int, whole(1)],
    generator: torch.Generator | None = None,
    *,
    batch_size: int = 256,
    device: torch.device | None = None,
    seen: Callable[[str, Tensor], None] | None = None,
) -> dict[str, Any]:
    """Robustness to random test-time augmentation, inside and outside the range used in training.

    In each draw every image is augmented once. Models evaluated with equally seeded generators see the same augmented
    images, so their figures are paired.

    Args:
        model: images in [0, 1] to logits (B, C), in eval mode.
        images: (B, C, S, S) float in [0, 1] or uint8.
        labels_B: (B,) int64; several labels an image: (B, L) of 0 and 1, and logits of as many.
        draws: how often each image is augmented, at least 1.
        generator: a CPU generator; torch's global state without one.
        batch_size: bounds the memory; does not change the result.
        device: where the model is; that of the images without one.
        seen: called with "inside" or "outside" and what the model says of the set, after each draw.

    Returns:
        A dictionary with the number of draws, and, for each of "inside" and "outside", "mean", "worst" and "consistency". These
        are the mean and the worst balanced accuracy over the draws, and the mean fraction of images that keep the class they
        are given without augmentation (of several labels, of all yes-or-no decisions).

    Raises:
        TsyndError: when `draws` < 1 or the set is empty.
    """
    clean_B = scores(predict(model, images, batch_size, device), labels_B).argmax(dim=-1)
    report: dict[str, Any] = {}
    for name, ranges in (("inside", TRAIN_RANGE), ("outside", SHIFTED_RANGE)):
        balanced, kept = [], []
        for _ in range(draws):
            with torch.no_grad():
                parts = [
                    logits_of(model, augment(part, ranges, generator)).cpu() for _, part in batches(images, batch_size, device)
                ]
            scores_BC = scores(torch.cat(parts), labels_B)
            balanced.append(balanced_accuracy(scores_BC, labels_B))
            kept.append((scores_BC.argmax(dim=-1) == clean_B).double().mean().item())
            if seen is not None:
                seen(name, scores_BC)
        report[name] = {"mean": sum(balanced) / draws, "worst": min(balanced), "consistency": sum(kept) / draws}
    return report | {"draws": draws}
