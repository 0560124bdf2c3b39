"""Which real images a search starts from, and which of the found ones are kept."""

from typing import Annotated

import torch
from torch import Tensor

from tsynd.classification import Classifier, as_targets, classification_losses
from tsynd.data.splits import members
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.training.submodular import greedy_cover, similarities
from tsynd.uncertainty import mutual_information
from tsynd.utils.batching import predict
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rules import choice, validated, whole

SOURCES = ("uniform", "balanced", "uncertain", "hard", "facility_location", "submodular_mutual_information")
KEPT = ("all", "dense", "diverse")
NEIGHBOURS = 5
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
    (see `tsynd.training.submodular.greedy_cover`).

    Args:
        sources: one of `SOURCES`.
        images_BCHW, labels_B: the training set: images in [0, 1] and int64 classes, or (B, L) of 0 and 1.
        classifier: scores, in eval mode; it comes back as it was. Of a set larger than `POOL`, that many images, drawn
            evenly, are scored.
        count: how many to draw.
        samples: posterior samples for *uncertain*.
        generator: what is drawn from, on the CPU.
        batch_size: images that are scored at a time, which bounds memory.

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

    Args:
        keep: `dense` or `diverse`.
        found_BCHW, real_NCHW: what the search found, and the training set, in [0, 1]. Of a set larger than `POOL`, that many
            images, drawn evenly, take part.
        classifier: gives the features, in eval mode; it comes back as it was.
        generator: what is drawn from, on the CPU.
        batch_size: images that are looked at a time, which bounds memory.

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
