"""Which real images a search starts from, and which of the found ones are kept."""

import math
from typing import Annotated

import torch
from torch import Tensor

from tsynd.classification import Classifier, as_targets, classification_losses
from tsynd.data.splits import members
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.uncertainty import mutual_information
from tsynd.utils.batching import predict
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rules import choice, validated, whole

SOURCES = ("uniform", "balanced", "uncertain", "hard", "facility_location", "submodular_mutual_information")
KEPT = ("all", "dense", "diverse")
NEIGHBOURS = 5
EPSILON = 0.1  # the accuracy of the stochastic greedy choice: 1 - 1 / e - EPSILON of the best value in expectation
POOL = 1024  # images that are scored for one choice at most, so that its cost does not grow with the training set


@validated
def choose_sources(
    sources: Annotated[str, choice("choice of sources", SOURCES)],
    images_BCHW: Tensor,
    labels_B: Tensor,
    classifier: Classifier,
    *,
    count: Annotated[int, whole(1)],
    samples: Annotated[int, whole(2)],
    generator: torch.Generator,
    batch_size: Annotated[int, whole(1)] = 256,
) -> Tensor:
    """Draw the images that a search starts from, with replacement.

    *uniform*: each image is equally likely. *balanced*: each class is, and within it each image (of several labels: images
    without any are a class too, and an image counts for each label that it has). *uncertain*, *hard*: half
    of the probability is spread evenly, half in proportion to a score by the present classifier: its mutual information
    on the image, or its loss. The even half keeps every image in play, whatever a few outliers (wrong labels, say) score.
    *facility_location*: images that between them represent the training set, by the similarity of the classifier's features.
    *submodular_mutual_information*: images that represent the `count` of the highest loss and are like them
    (see `greedy_cover`).

    Of a set larger than `POOL`, that many images, drawn evenly, are scored. `samples` are the posterior's for *uncertain*;
    `generator` is on the CPU.

    Returns:
        (count,) int64 indices on the images' device.
    """
    if images_BCHW.ndim != 4 or labels_B.shape[:1] != images_BCHW.shape[:1]:
        found = f"{tuple(images_BCHW.shape)} and {tuple(labels_B.shape)}"
        raise TsyndError(f"images must be (B, C, H, W) with a label each, got shapes {found}")
    device, size = images_BCHW.device, len(images_BCHW)
    if sources == "uniform":
        return torch.randint(size, (count,), generator=generator).to(device)
    if sources == "balanced":
        members_BC = members(labels_B, classifier.classes).double().cpu()
        weights_B = (members_BC / members_BC.sum(0).clamp_min(1)).sum(1)
        return torch.multinomial(weights_B, count, replacement=True, generator=generator).to(device)
    pool = torch.randperm(size, generator=generator)[:POOL].to(device)
    covering = sources in ("facility_location", "submodular_mutual_information")
    with frozen(classifier):
        if covering:
            alike_PP = similarities(predict(classifier.trunk, images_BCHW[pool], batch_size))
        if sources == "uncertain":
            posterior = HeadDropout.of(classifier, samples, generator)
            scores = predict(lambda images: mutual_information(posterior(images)), images_BCHW[pool], batch_size)
        else:
            logits_BC = predict(classifier, images_BCHW[pool], batch_size)
            targets_BC = as_targets(labels_B[pool], classifier).to(logits_BC)
            scores = classification_losses(logits_BC, targets_BC, multi_label=classifier.multi_label)
    scores = scores.double().clamp_min(0)
    if covering:
        like = torch.arange(len(pool)) if sources == "facility_location" else scores.cpu().topk(min(count, len(pool))).indices
        gains_PQ = alike_PP.cpu()[:, like]
        own_P = torch.zeros(len(pool)) if sources == "facility_location" else gains_PQ.amax(dim=1)
        return pool[greedy_cover(gains_PQ, own_P, count, generator).to(device)]
    even, total = torch.full_like(scores, 1 / len(scores)), scores.sum()
    weights = (even + scores / total) / 2 if total > 0 else even
    return pool[torch.multinomial(weights, count, replacement=True, generator=generator).to(device)]


@validated
def better_half(
    keep: Annotated[str, choice("choice of what to keep", KEPT[1:])],
    found_BCHW: Tensor,
    real_NCHW: Tensor,
    classifier: Classifier,
    generator: torch.Generator,
    batch_size: Annotated[int, whole(1)] = 256,
) -> Tensor:
    """Choose half of the found images, by the cosine similarity of the classifier's features.

    *dense*: those that lie closest to real images, by the mean similarity to the five nearest ones: a search may end where no
    real image is. *diverse*: those that between them represent all that were found (facility location): searches that end in one
    place count once.

    Of a training set `real_NCHW` larger than `POOL`, that many images, drawn evenly, take part.

    Returns:
        (B // 2,) int64 indices, in ascending order, on the images' device.
    """
    count, device = max(1, len(found_BCHW) // 2), found_BCHW.device
    with frozen(classifier):
        found_BD = predict(classifier.trunk, found_BCHW, batch_size)
        if keep == "diverse":
            alike_BB = similarities(found_BD).cpu()
            return greedy_cover(alike_BB, torch.zeros(len(found_BD)), count, generator).sort().values.to(device)
        pool = torch.randperm(len(real_NCHW), generator=generator)[:POOL].to(real_NCHW.device)
        real_ND = predict(classifier.trunk, real_NCHW[pool], batch_size)
    alike_BN = similarities(torch.cat([found_BD, real_ND]))[: len(found_BD), len(found_BD) :]
    density_B = alike_BN.topk(min(NEIGHBOURS, alike_BN.shape[1]), dim=1).values.mean(dim=1)
    return density_B.topk(count).indices.sort().values


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
