"""Exercises of the chapter on images as codes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def share_changed(logits_BC: Tensor, copy_logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    return (logits_BC.argmax(dim=1) != copy_logits_BC.argmax(dim=1)).float().mean()


def standardise(training_ND: Tensor, others_BD: Tensor) -> Tensor:
    deviation_D = training_ND.std(dim=0, correction=0)
    floor = 0.5 * deviation_D.square().mean().sqrt()
    return (others_BD - training_ND.mean(dim=0)) / deviation_D.clamp_min(floor)


def own_floor(codes_ND: Tensor) -> Tensor:
    deviation_D = codes_ND.std(dim=0, correction=0)
    return deviation_D.clamp_min(0.5 * deviation_D.square().mean().sqrt())


def radius_of(z_BD: Tensor, start_BD: Tensor) -> Tensor:
    return (z_BD - start_BD).norm(dim=1) / z_BD.shape[1] ** 0.5


def slope(codes_ND: Tensor, factor_N: Tensor) -> Tensor:
    apart_N = factor_N - factor_N.mean()
    return apart_N @ (codes_ND - codes_ND.mean(dim=0)) / apart_N.square().sum()


def halves(codes_ND: Tensor, factor_N: Tensor) -> Tensor:
    high_N = factor_N > factor_N.mean()
    return codes_ND[high_N].mean(dim=0) - codes_ND[~high_N].mean(dim=0)


def standardise_with_numpy(training_ND: Tensor, others_BD: Tensor) -> np.ndarray:
    training, others = training_ND.numpy(), others_BD.numpy()
    deviation = training.std(0)
    return (others - training.mean(0)) / np.maximum(deviation, 0.5 * np.sqrt((deviation**2).mean()))


def slope_by_least_squares(codes_ND: Tensor, factor_N: Tensor) -> Tensor:
    columns = torch.stack([factor_N, torch.ones_like(factor_N)], dim=1)
    return torch.linalg.lstsq(columns, codes_ND).solution[0]


ALSO_RIGHT = {
    "classifier_minds": [lambda logits, copies, labels: np.mean(np.argmax(logits.numpy(), 1) != np.argmax(copies.numpy(), 1))],
    "standardise_codes": [
        standardise_with_numpy,
        lambda training, others: standardise(training.float(), others.float()),
    ],
    "radius_of_a_step": [
        lambda z, start: np.linalg.norm((z - start).numpy(), axis=1) / 16,
        lambda z, start: (z - start).float().square().mean(1).sqrt(),
        lambda z, start: [float(each.norm()) / 16 for each in z - start],
    ],
    "walk_along_a_factor": [
        slope_by_least_squares,
        lambda codes, factor: np.polyfit(factor.numpy(), codes.numpy(), 1)[0],
        lambda codes, factor: slope(codes.float(), factor.float()),
    ],
}

ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "classifier_minds": (
        share_changed,
        lambda logits, copies, labels: ...,
        [
            (lambda logits, copies, labels: (copies.argmax(1) == labels).float().mean(), "Compare answers with answers"),
            (lambda logits, copies, labels: 0.0, "difference of accuracies"),
            (lambda logits, copies, labels: (logits.argmax(1) == copies.argmax(1)).float().mean(), "the share that stays"),
            (lambda logits, copies, labels: (logits.argmax(1) != copies.argmax(1)).sum(), "divide by the number"),
            (lambda logits, copies, labels: (logits != copies).float().mean(), "An answer is the larger logit"),
            (lambda logits, copies, labels: logits.argmax(1) != copies.argmax(1), "take the mean"),
        ],
    ),
    "standardise_codes": (
        standardise,
        lambda training, others: ...,
        [
            (lambda training, others: (others - training.mean(0)) / training.std(), "one deviation for all numbers"),
            (lambda training, others: (others - training.mean(0)) / training.std(correction=0), "one deviation for all numbers"),
            (lambda training, others: (others - training.mean()) / training.std(), "one deviation for all numbers"),
            (lambda training, others: (others - training.mean(0)) / training.std(0, correction=0), "The floor is missing"),
            (lambda training, others: (others - training.mean(0)) / training.std(0), "The floor is missing"),
            (
                lambda training, others: (
                    (others - training.mean(0)) / training.std(0).clamp_min(0.5 * training.std(0).square().mean().sqrt())
                ),
                "N and not N - 1",
            ),
            (lambda training, others: (others - others.mean(0)) / own_floor(others), "from the training codes"),
            (
                lambda training, others: (
                    (others - training.mean(0))
                    / training.std(0, correction=0).clamp_min(0.5 * training.std(0, correction=0).mean())
                ),
                "root mean square of the deviations",
            ),
            (lambda training, others: (training - training.mean(0)) / own_floor(training), "out came (40, 5)"),
            (lambda training, others: others / own_floor(training), "Subtract the mean"),
        ],
    ),
    "radius_of_a_step": (
        radius_of,
        lambda z, start: ...,
        [
            (lambda z, start: (z - start).norm(dim=1), "Divide by the root of D"),
            (lambda z, start: (z - start).norm(dim=1) / z.shape[1], "divided by D"),
            (lambda z, start: (z - start).norm() / z.shape[1] ** 0.5, "the norm of each code"),
            (lambda z, start: (z - start).square().mean(dim=1), "the root is missing"),
            (lambda z, start: (z - start).abs().mean(dim=1), "root of the mean square"),
            (lambda z, start: (z - start) / z.shape[1] ** 0.5, "three numbers are wanted"),
        ],
    ),
    "walk_along_a_factor": (
        slope,
        lambda codes, factor: ...,
        [
            (lambda codes, factor: factor @ codes / factor.square().sum(), "Subtract the mean"),
            (lambda codes, factor: slope(codes, factor) * 4, "4 times what it should be"),
            (lambda codes, factor: -slope(codes, factor), "mind the sign"),
            (halves, "two halves"),
            (lambda codes, factor: codes.mean(dim=0), "Got ("),
            (lambda codes, factor: codes @ codes.T @ factor, "a direction has four"),
        ],
    ),
}


def correlation(read: Tensor, copied: Tensor) -> Tensor:
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(read.T, copied.T, strict=True)])


def between(one: Tensor, other: Tensor, share: float) -> Tensor:
    mixed = (1 - share) * one + share * other
    norm = (1 - share) * one.norm(dim=1, keepdim=True) + share * other.norm(dim=1, keepdim=True)
    return mixed / mixed.norm(dim=1, keepdim=True) * norm


ROWS |= {
    "worst_kept": (
        lambda read, copied: correlation(read, copied).argmin(),
        lambda read, copied: ...,
        [
            (lambda read, copied: (read - copied).square().mean(0).argmax(), "error is large in its unit"),
            (lambda read, copied: ((read - copied).mean(0).abs() / read.std(0)).argmax(), "a constant shift is no loss"),
            (lambda read, copied: (copied.std(0) / read.std(0)).argmin(), "has faded"),
        ],
    ),
    "between_codes": (
        between,
        lambda one, other, share: ...,
        [
            (lambda one, other, share: (1 - share) * one + share * other, "the straight mixture"),
            (lambda one, other, share: torch.nn.functional.normalize((1 - share) * one + share * other), "All codes have norm 1"),
            (lambda one, other, share: 8 * torch.nn.functional.normalize((1 - share) * one + share * other), "norm root of D"),
            (lambda one, other, share: between(other, one, share), "direction or norm is another"),
        ],
    ),
}
