"""Exercises of the chapter on uncertainty."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsynd.uncertainty import expected_entropy, log_probabilities, mutual_information, predictive_entropy


def split(logits_BKC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    log_probs_BKC = log_probabilities(logits_BKC)
    return predictive_entropy(log_probs_BKC), expected_entropy(log_probs_BKC), mutual_information(log_probs_BKC)


def plain(logits_BKC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    probs = logits_BKC.softmax(-1)
    total = -(probs.mean(1) * probs.mean(1).log()).sum(-1)
    aleatoric = -(probs * probs.log()).sum(-1).mean(1)
    return total, aleatoric, total - aleatoric


def in_bits(logits_BKC: Tensor) -> list[Tensor]:
    return [part / math.log(2) for part in split(logits_BKC)]


def swapped(logits_BKC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    total, aleatoric, epistemic = split(logits_BKC)
    return aleatoric, total, -epistemic


def of_mean_logits(logits_BKC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    total = predictive_entropy(log_probabilities(logits_BKC.mean(1, keepdim=True)))
    return total, split(logits_BKC)[1], total - split(logits_BKC)[1]


def expected_estimate(members: int) -> float:
    shares = [voters / members for voters in range(members + 1)]
    coins = [-sum(p * math.log(p) for p in (share, 1 - share) if p) for share in shares]
    return sum(math.comb(members, voters) / 2**members * coin for voters, coin in enumerate(coins))


def simulated(members: int) -> float:
    shares = (torch.rand(20_000, members) < 0.5).double().mean(1)
    return float(torch.special.entr(torch.stack([shares, 1 - shares])).sum(0).mean())


def area(scores_B: Tensor, wrong_B: Tensor) -> Tensor:
    errors, successes = scores_B[wrong_B][:, None], scores_B[~wrong_B]
    return ((errors > successes).double() + 0.5 * (errors == successes).double()).mean()


def without_nan(logits_BKC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    total, aleatoric, _ = (part.nan_to_num(0) for part in plain(logits_BKC))
    return total, aleatoric, total - aleatoric


def of_clamped(logits_BKC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return plain(logits_BKC.softmax(-1).clamp_min(1e-3).log())


def with_numpy(logits_BKC: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    logits = logits_BKC.numpy()
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    log_mean = np.logaddexp.reduce(log_probs, axis=1) - np.log(logits.shape[1])
    total = -(np.exp(log_mean) * log_mean).sum(-1)
    aleatoric = -(np.exp(log_probs) * log_probs).sum(-1).mean(1)
    return total, aleatoric, total - aleatoric


def of_probabilities(logits_BKC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    probs = logits_BKC.softmax(-1)
    total, aleatoric = torch.special.entr(probs.mean(1)).sum(-1), torch.special.entr(probs).sum(-1).mean(1)
    return total, aleatoric, total - aleatoric


def area_by_signs(scores_B: Tensor, wrong_B: Tensor) -> float:
    return float((torch.sign(scores_B[wrong_B][:, None] - scores_B[~wrong_B]) + 1).mean() / 2)


EVEN, OPPOSED = torch.full((2, 2), 0.5), torch.tensor([[0.95, 0.05], [0.05, 0.95]])

ALSO_RIGHT = {
    "split_uncertainty": [with_numpy, of_probabilities, lambda logits: torch.stack(split(logits.float()))],
    "same_entropy": [
        ([[1, 0], [0, 1]], [[0.5, 0.5], [0.5, 0.5]]),
        (np.eye(2), np.full((3, 2), 0.5)),
        (torch.eye(3), torch.full((2, 3), 0.333)),
        torch.stack([EVEN, OPPOSED]),
    ],
    "how_many_samples": [simulated],
    "find_the_errors": [area_by_signs, lambda scores, wrong: float(area(scores.float(), wrong))],
}

ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "split_uncertainty": (
        split,
        lambda logits_BKC: ...,
        [
            (plain, "NaN: in fp32"),
            (in_bits, "right in bits"),
            (swapped, "mean of the entropies"),
            (of_mean_logits, "averages logits"),
            (lambda logits_BKC: (*split(logits_BKC)[:2], split(logits_BKC)[0]), "epistemic of image"),
            (lambda logits_BKC: split(logits_BKC)[2].mean().item(), "Three tensors"),
            (without_nan, "Is a NaN or a small probability replaced"),
            (of_clamped, "total of image"),
            (lambda logits_BKC: [part.mean() for part in split(logits_BKC)], "one number for each of the 5 images"),
        ],
    ),
    "same_entropy": (
        (EVEN, OPPOSED),
        (..., ...),
        [
            ((EVEN, torch.tensor([[0.9, 0.1], [0.2, 0.8]])[:1].repeat(2, 1)), "Which average prediction"),
            ((EVEN, torch.tensor([[0.6, 0.4], [0.4, 0.6]])), "contradict each other"),
            ((OPPOSED, torch.eye(2)), "Let the samples of one of them agree"),
            ((EVEN, OPPOSED.log()), "no probability distribution"),
            ((EVEN, OPPOSED[0]), "2 or more samples"),
            (OPPOSED, "A pair of tensors"),
        ],
    ),
    "how_many_samples": (
        expected_estimate,
        lambda members: ...,
        [
            (lambda members: math.log(2) if members > 1 else 0.0, "Do not pool"),
            (lambda members: math.log(2) * (1 - 1 / members), "How often do v of them"),
            (lambda members: 0.8 * expected_estimate(members), "How often do v of them"),
        ],
    ),
    "find_the_errors": (
        area,
        lambda scores_B, wrong_B: ...,
        [
            (lambda scores_B, wrong_B: area(scores_B, ~wrong_B), "the wrong way round"),
            (lambda s, w: (s[w][:, None] > s[~w]).double().mean(), "half a success"),
            (lambda s, w: (s[w][:, None] >= s[~w]).double().mean(), "half a success"),
            (lambda s, w: s[w].mean(), "Compare each error with each right prediction"),
        ],
    ),
}


def update(probs_KC: Tensor, label: int, other_KC: Tensor) -> Tensor:
    return probs_KC[:, label] / probs_KC[:, label].sum() @ other_KC


def entropies(probs: Tensor) -> Tensor:
    return -(probs * probs.log()).sum(-1)


def in_groups(probs_BKC: Tensor, group_of: list[int]) -> Tensor:
    groups = torch.tensor(group_of)
    return torch.stack([probs_BKC[..., groups == group].sum(-1) for group in groups.unique()], -1)


def spread(probs_BKC: Tensor) -> Tensor:
    return entropies(probs_BKC.mean(1)) - entropies(probs_BKC).mean(1)


ROWS |= {
    "after_the_label": (
        update,
        lambda probs, label, other: ...,
        [
            (lambda probs, label, other: other.mean(0), "count alike still"),
            (lambda probs, label, other: probs[:, label] @ other, "no probabilities"),
            (lambda probs, label, other: other[probs[:, label].argmax()], "one sample alone"),
            (lambda probs, label, other: update(probs, 1 - label, other), "counts *more*"),
            (lambda probs, label, other: probs[:, label].softmax(0) @ other, "Bayes' rule"),
        ],
    ),
    "merged_classes": (
        lambda probs, group_of: spread(in_groups(probs, group_of)),
        lambda probs, group_of: ...,
        [
            (lambda probs, group_of: spread(probs), "information about the class"),
            (lambda probs, group_of: entropies(in_groups(probs, group_of).mean(1)), "total uncertainty"),
            (lambda probs, group_of: entropies(in_groups(probs, group_of)).mean(1), "aleatoric part"),
            (
                lambda probs, group_of: spread(torch.stack([probs[..., :2].mean(-1), probs[..., 2]], -1)),
                "are added, not averaged",
            ),
            (lambda probs, group_of: torch.zeros(4), "First make each sample's"),
        ],
    ),
}
