"""Exercises of the chapter on uncertainty."""

import math

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


EVEN, OPPOSED = torch.full((2, 2), 0.5), torch.tensor([[0.95, 0.05], [0.05, 0.95]])

ROWS = {
    "split_uncertainty": (
        split,
        lambda logits_BKC: ...,
        [
            (plain, "NaN: in fp32"),
            (in_bits, "right in bits"),
            (swapped, "mean of the entropies"),
            (of_mean_logits, "averages logits"),
            (lambda logits_BKC: (*split(logits_BKC)[:2], split(logits_BKC)[0]), "epistemic of the first image"),
            (lambda logits_BKC: split(logits_BKC)[2], "Three tensors"),
            (lambda logits_BKC: [part.mean() for part in split(logits_BKC)], "one number for each of the 5 images"),
        ],
    ),
    "same_entropy": (
        (EVEN, OPPOSED),
        (..., ...),
        [
            ((EVEN, torch.tensor([[0.9, 0.1], [0.2, 0.8]])[:1].repeat(2, 1)), "Which average prediction"),
            ((EVEN, torch.tensor([[0.6, 0.4], [0.4, 0.6]])), "contradict each other"),
            ((EVEN, OPPOSED.log()), "no probability distribution"),
            ((EVEN, OPPOSED[0]), "2 or more members"),
            (OPPOSED, "A pair of committees"),
        ],
    ),
    "how_many_samples": (
        expected_estimate,
        lambda members: ...,
        [
            (lambda members: math.log(2) if members > 1 else 0.0, "Do not pool"),
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
