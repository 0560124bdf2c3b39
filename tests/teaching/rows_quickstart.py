"""Exercises of the quickstart."""

from collections.abc import Sequence
from statistics import fmean, pstdev, stdev
from typing import Any

import torch
from torch import Tensor

from tsynd import RunConfig


def fair_pair(seed: int) -> tuple[RunConfig, RunConfig]:
    return RunConfig("phantom", "tsynd", 60, seed=seed), RunConfig("phantom", "none", 60, seed=seed)


def read(start_BCHW: Tensor, targeted_BCHW: Tensor, before_B: Tensor, after_B: Tensor) -> tuple[Any, Any, Any]:
    rise_B = after_B - before_B
    index = rise_B.argmax()
    return index, rise_B[index], (targeted_BCHW - start_BCHW)[index].abs().max()


def judge(differences: Sequence[float]) -> tuple[float, str]:
    mean, count = fmean(differences), len(differences)
    error = stdev(differences) / count**0.5 if count > 1 else float("inf")
    return mean, "cannot tell" if abs(mean) <= 2 * error else "better" if mean > 0 else "worse"


def judge_by(differences: Sequence[float], error: float) -> tuple[float, str]:
    mean = fmean(differences)
    return mean, "cannot tell" if len(differences) < 2 or abs(mean) <= 2 * error else "better" if mean > 0 else "worse"


def by_deviation(differences: Sequence[float]) -> tuple[float, str]:
    return judge_by(differences, stdev(differences) if len(differences) > 1 else 0)


def by_count(differences: Sequence[float]) -> tuple[float, str]:
    return judge_by(differences, pstdev(differences) / len(differences) ** 0.5)


ALSO_RIGHT = {"read_targeted": [lambda *given: tuple(map(float, read(*given)))]}

ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "run_pipeline": (
        fair_pair,
        lambda seed: (..., ...),
        [
            (lambda seed: (RunConfig("phantom", "tsynd", 60), RunConfig("phantom", "none", 60)), "seed is 0, and should be 3"),
            (lambda seed: [RunConfig("phantom", arm, 60, seed=seed) for arm in ("guarded", "none")], "without a guard"),
            (lambda seed: [RunConfig("phantom", arm, seed=seed) for arm in ("tsynd", "none")], "per_class is None"),
            (
                lambda seed: [
                    RunConfig("phantom", arm, 60, seed=seed, budget=budget)
                    for arm, budget in zip(("tsynd", "none"), ("cpu", "smoke"), strict=True)
                ],
                "differ in budget",
            ),
            (lambda seed: RunConfig("phantom", "tsynd", 60, seed=seed), "not of the kind"),
        ],
    ),
    "read_targeted": (
        read,
        lambda start_BCHW, targeted_BCHW, before_B, after_B: ...,
        [
            (lambda start, targeted, before, after: (after.argmax(), 0.0, 0.0), "uncertain at the end"),
            (lambda start, targeted, before, after: ((before - after).argmax(), 0.0, 0.0), "Look at after minus before"),
            (lambda start, targeted, before, after: (2, after[2], 0.2), "not 0.220 nats"),
            (lambda start, targeted, before, after: (2, 0.2, (targeted - start)[2].max()), "may also get darker"),
        ],
    ),
    "judge_one_run": (
        judge,
        lambda differences: ...,
        [
            (lambda differences: (fmean(differences), "better" if fmean(differences) > 0 else "worse"), "after one pair"),
            (lambda differences: (fmean(differences), "cannot tell"), "standard errors"),
            (by_deviation, "say 'cannot tell'. How far is their mean"),
            (by_count, "say 'better'. How far is their mean"),
            (lambda differences: (sum(differences), "cannot tell"), "the mean is not 0.240"),
            (lambda differences: (fmean(differences), "proved"), "must be one of better, worse, cannot tell"),
        ],
    ),
}


def seeds(gain: float, spread: float) -> int:
    return max(2, int((2 * spread / gain) ** 2 + 1e-9) + 1)


def search_did(source: Tensor, start: Tensor, targeted: Tensor) -> Tensor:
    return (targeted - start).square().mean((1, 2, 3)) > (start - source).square().mean((1, 2, 3))


ROWS |= {
    "how_many_seeds": (
        seeds,
        lambda gain, spread: ...,
        [
            (lambda gain, spread: int(2 * spread / gain) + 1, "with the *root*"),
            (lambda gain, spread: int((2 * spread / gain) ** 2 + 1e-9) + 1, "One difference has no spread"),
            (lambda gain, spread: max(2, int((2 * spread / gain) ** 2)), "round up"),
            (lambda gain, spread: max(2, int((spread / gain) ** 2) + 1), "one standard error"),
            (lambda gain, spread: 10, "when is gain"),
        ],
    ),
    "who_changed_more": (
        search_did,
        lambda source, start, targeted: ...,
        [
            (lambda source, start, targeted: search_did(start, source, targeted), "compare the targeted image with the *source*"),
            (
                lambda source, start, targeted: (targeted - start).mean((1, 2, 3)).abs() > (start - source).mean((1, 2, 3)).abs(),
                "they cancel",
            ),
            (lambda source, start, targeted: ~search_did(source, start, targeted), "*autoencoder* changed more"),
            (lambda source, start, targeted: True, "One True or False for each"),
            (lambda source, start, targeted: torch.ones(4), "Root mean square"),
        ],
    ),
}
