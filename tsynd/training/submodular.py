"""Sets of images that represent others: facility location, greedily and at random."""

import math

import torch
from torch import Tensor

EPSILON = 0.1  # the accuracy of the stochastic greedy choice: 1 - 1 / e - EPSILON of the best value in expectation


def similarities(features_ND: Tensor) -> Tensor:
    """Return the cosine similarity of each pair of rows, mapped to [0, 1]: (N, N)."""
    unit_ND = torch.nn.functional.normalize(features_ND.double().flatten(1), dim=1)
    return ((1 + unit_ND @ unit_ND.T) / 2).clamp(0, 1)


def greedy_cover(gains_CQ: Tensor, own_C: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Choose candidates one by one so that each query has one that is similar to it.

    The value of a choice A is sum_q max_{a in A} s(a, q) + sum_{a in A} own(a): facility location for own = 0 and the candidates
    as queries; the mutual information of facility location (FLQMI) for own(a) = eta max_q s(a, q) and other queries (Kothawade
    et al. 2022, arXiv 2210.01520). Each step looks at a random part of the candidates only, which keeps the expected value within
    1 - 1 / e - epsilon of the best (stochastic greedy, Mirzasoleiman et al. 2015, arXiv 1409.7938) and makes two choices differ.
    When all are chosen, it begins again.

    Args:
        gains_CQ: similarities of candidates and queries, at least 0. own_C: what each candidate is worth by itself.
        count: how many to choose. generator: what is drawn from, on the CPU.

    Returns:
        (count,) int64 numbers of candidates, on the CPU.

    >>> similar = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> sorted(greedy_cover(similar, torch.zeros(3), 2, torch.Generator().manual_seed(0)).tolist())[1]
    2
    """
    gains_CQ, own_C = gains_CQ.cpu(), own_C.cpu()
    candidates, chosen = len(gains_CQ), list[int]()
    part = min(candidates, math.ceil(candidates / count * math.log(1 / EPSILON)))
    while len(chosen) < count:
        free_C = torch.ones(candidates, dtype=torch.bool)
        covered_Q = torch.zeros(gains_CQ.shape[1], dtype=gains_CQ.dtype)
        for _ in range(min(count - len(chosen), candidates)):
            left_L = free_C.nonzero().flatten()
            left_L = left_L[torch.randperm(len(left_L), generator=generator)[:part]]
            worth_L = (gains_CQ[left_L] - covered_Q).relu().sum(dim=1) + own_C[left_L]
            best = int(left_L[worth_L.argmax()])
            chosen.append(best)
            free_C[best] = False
            covered_Q = torch.maximum(covered_Q, gains_CQ[best])
    return torch.tensor(chosen)
