"""Exercises of the chapter on robustness: solutions, stubs and plausible wrong answers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def stub(*_: Any) -> Any: ...


def step(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    x = x + size * gradient.sign()
    return x.clamp(image - eps, image + eps).clamp(0, 1)


def step_with_numpy(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> np.ndarray:
    moved = x.numpy() + size * np.sign(gradient.numpy())
    return np.clip(np.clip(moved, 0, 1), image.numpy() - eps, image.numpy() + eps)


def step_by_displacement(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    return (image + (x + size * gradient.sign() - image).clamp(-eps, eps)).clamp(0, 1)


def step_downhill(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    return step(x, image, -gradient, size, eps)


def step_with_the_slope(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    return (x + size * gradient).clamp(image - eps, image + eps).clamp(0, 1)


def step_without_ball(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    return (x + size * gradient.sign()).clamp(0, 1)


def step_without_range(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    return (x + size * gradient.sign()).clamp(image - eps, image + eps)


def step_of_eps(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    return step(x, image, gradient, eps, eps)


def step_from_the_image(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    return step(image, image, gradient, size, eps)


def average(log_probs: Tensor) -> Tensor:
    return log_probs.logsumexp(dim=1)


def average_in_full(log_probs: Tensor) -> Tensor:
    return log_probs.logsumexp(dim=1) - torch.tensor(float(log_probs.shape[1])).log()


def average_of_logs(log_probs: Tensor) -> Tensor:
    return log_probs.mean(dim=1)


def average_as_probability(log_probs: Tensor) -> Tensor:
    return log_probs.exp().mean(dim=1)


def average_that_underflows(log_probs: Tensor) -> Tensor:
    return log_probs.exp().mean(dim=1).log()


def average_over_classes(log_probs: Tensor) -> Tensor:
    return log_probs.logsumexp(dim=2)


def first_version(log_probs: Tensor) -> Tensor:
    return log_probs[:, 0]


VERDICTS = ("weak attack", "gradient masking", "sound", "random defence", "no clean accuracy")

ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "attack_step": (
        step,
        stub,
        [
            (step_downhill, "up the loss"),
            (step_with_the_slope, "take its sign"),
            (step_without_ball, "Clip to image - eps"),
            (step_without_range, "Clip to [0, 1]"),
            (step_of_eps, "more than `size`"),
            (step_from_the_image, "may go to 0.54"),
            (lambda x, image, gradient, size, eps: 0.5, "shape of x"),
        ],
    ),
    "worst_case": (
        lambda held: held.all(dim=0).double().mean(),
        stub,
        [
            (lambda held: held.double().mean(dim=1).min(), "strongest single attack"),
            (lambda held: held.double().mean(), "mean over attacks"),
            (lambda held: held.any(dim=0).double().mean(), "best case"),
            (lambda held: held.all(dim=0), "One number"),
            (lambda held: held.all(dim=1).double().mean(), "0.25 is left"),
        ],
    ),
    "attack_the_average": (
        average,
        stub,
        [
            (average_of_logs, "mean of the logarithms"),
            (average_as_probability, "probabilities"),
            (average_that_underflows, "logsumexp"),
            (average_over_classes, "shape (3, 2)"),
            (first_version, "differ by"),
        ],
    ),
    "judge_a_report": (
        VERDICTS,
        ...,
        [
            (("sound", *VERDICTS[1:]), "Ada is not 'sound'"),
            (("weak attack", "weak attack", *VERDICTS[2:]), "without any finds more"),
            (("weak attack", "gradient masking", "gradient masking", *VERDICTS[3:]), "Chiara is not"),
            ((*VERDICTS[:4], "sound"), "can classify at all"),
            (VERDICTS[:3], "Five words"),
            ((*VERDICTS[:4], "robust"), "none of the words"),
        ],
    ),
}

ALSO_RIGHT: dict[str, list[Any]] = {
    "attack_step": [step_with_numpy, step_by_displacement],
    "worst_case": [lambda held: float(held.min(dim=0).values.float().mean()), lambda held: held.numpy().all(axis=0).mean()],
    "attack_the_average": [average_in_full],
    "judge_a_report": [dict(zip("abcde", VERDICTS, strict=True)), [word.upper() for word in VERDICTS]],
}


def norm_of(each: Tensor) -> Tensor:
    return each.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def round_step(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    offset = x + size * gradient / norm_of(gradient) - image
    return (image + offset * (eps / norm_of(offset)).clamp(max=1)).clamp(0, 1)


def round_unclamped(x: Tensor, image: Tensor, gradient: Tensor, size: float, eps: float) -> Tensor:
    offset = x + size * gradient / norm_of(gradient) - image
    return image + offset * (eps / norm_of(offset)).clamp(max=1)


ROWS |= {
    "round_step": (
        round_step,
        lambda *given: ...,
        [
            (lambda x, image, g, size, eps: (image + (x + size * g.sign() - image).clamp(-eps, eps)).clamp(0, 1), "other norm"),
            (lambda x, image, g, size, eps: round_step(x, image, g, size * norm_of(g) / g.norm(), eps), "whole batch"),
            (lambda x, image, g, size, eps: (x + size * g / norm_of(g)).clamp(0, 1), "the projection is missing"),
            (
                lambda x, image, g, size, eps: (image + (x + size * g / norm_of(g) - image).clamp(-eps, eps)).clamp(0, 1),
                "hold each pixel",
            ),
            (round_unclamped, "outside of [0, 1]"),
            (lambda x, image, g, size, eps: image, "unit vector of each image"),
        ],
    ),
    "accuracy_curve": (
        lambda broken, sizes: [(broken.amin(0) > size).double().mean() for size in sizes],
        lambda broken, sizes: ...,
        [
            (lambda broken, sizes: [(broken > size).double().mean() for size in sizes], "means over the attacks"),
            (lambda broken, sizes: [(broken.amin(0) >= size).double().mean() for size in sizes], "the size that broke it"),
            (lambda broken, sizes: [(broken.amax(0) > size).double().mean() for size in sizes], "broke *last*"),
            (lambda broken, sizes: [(broken.amin(0) <= size).double().mean() for size in sizes], "share that is broken"),
            (lambda broken, sizes: [(broken.amin(0)[1:] > size).double().mean() for size in sizes], "wrong before"),
            (lambda broken, sizes: [(broken > size).double().mean(1).min() for size in sizes], "best single attack"),
            (lambda broken, sizes: [0.0] * 5, "For each image"),
        ],
    ),
}
