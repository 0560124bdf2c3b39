"""Exercises of the quickstart."""

from collections.abc import Sequence
from statistics import fmean, pstdev, stdev
from typing import Any

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

ROWS = {
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
