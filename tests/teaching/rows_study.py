"""Exercises of the chapter on the study: solutions, stubs and plausible wrong answers."""

from typing import Any

import numpy as np


def stub(*_: Any) -> Any: ...


def paired(ours: Any, theirs: Any) -> tuple[float, float]:
    differences = ours - theirs
    return differences.mean(), differences.std(ddof=1) / len(differences) ** 0.5


def unpaired(ours: Any, theirs: Any) -> tuple[float, float]:
    return ours.mean() - theirs.mean(), np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))


def resample(table: Any, generator: np.random.Generator) -> float:
    seeds, images = table.shape
    rows, columns = generator.integers(0, seeds, seeds), generator.integers(0, images, images)
    return float(table[rows][:, columns].mean())


def resample_by_counts(table: Any, generator: np.random.Generator) -> float:
    counts = [generator.multinomial(size, np.full(size, 1 / size)) for size in table.shape]
    return float(counts[0] @ table @ counts[1] / table.size)


def resample_seeds(table: Any, generator: np.random.Generator) -> float:
    return float(table[generator.integers(0, len(table), len(table))].mean())


def resample_nested(table: Any, generator: np.random.Generator) -> float:
    seeds, images = table.shape
    return float(
        np.mean([table[row, generator.integers(0, images, images)].mean() for row in generator.integers(0, seeds, seeds)])
    )


def resample_images(table: Any, generator: np.random.Generator) -> float:
    return float(table[:, generator.integers(0, table.shape[1], table.shape[1])].mean())


def resample_pairs(table: Any, generator: np.random.Generator) -> float:
    seeds, images = table.shape
    return float(table[generator.integers(0, seeds, seeds), generator.integers(0, images, seeds)].mean())


def resample_but_the_last(table: Any, generator: np.random.Generator) -> float:
    seeds, images = table.shape
    return float(table[generator.integers(0, seeds - 1, seeds)][:, generator.integers(0, images, images)].mean())


def resample_permuted(table: Any, generator: np.random.Generator) -> float:
    return resample_images(table[generator.permutation(len(table))], generator)


def resample_globally(table: Any, generator: np.random.Generator) -> float:
    return resample(table, np.random.default_rng())


def adjust(values: Any) -> list[float]:
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def adjust_uncut(values: Any) -> list[float]:
    order = sorted(range(len(values)), key=lambda place: values[place])
    raised = np.maximum.accumulate([(len(values) - rank) * values[place] for rank, place in enumerate(order)])
    return [float(raised[order.index(place)]) for place in range(len(values))]


def adjust_without_cut(values: Any) -> list[float]:
    order = sorted(range(len(values)), key=lambda place: values[place])
    return [(len(values) - order.index(place)) * value for place, value in enumerate(values)]


VERDICTS = ("wrong control", "best of many", "sound", "one seed", "not paired")

ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "paired_difference": (
        paired,
        stub,
        [
            (unpaired, "two independent means"),
            (lambda a, b: ((a - b).mean(), (a - b).std(ddof=1)), "standard deviation of a difference"),
            (lambda a, b: ((a - b).mean(), (a - b).std() / len(a) ** 0.5), "ddof=1"),
            (lambda a, b: ((b - a).mean(), 0.0), "ours minus theirs"),
            (lambda a, b: (a - b).mean(), "Two numbers"),
            (lambda a, b: (abs(a - b).mean(), 0.0), "ours minus theirs"),
            (lambda a, b: (float("nan"), float("nan")), "ours minus theirs"),
            (lambda a, b: (paired(a, b)[0], float("nan")), "standard error of the mean difference"),
        ],
    ),
    "crossed_resample": (
        resample,
        stub,
        [
            (resample_seeds, "Only the seeds"),
            (resample_nested, "Each seed draws its own images"),
            (resample_globally, "same generator"),
            (resample_images, "Only the images"),
            (resample_permuted, "Only the images"),
            (resample_pairs, "Where only images differ"),
            (resample_but_the_last, "Where only seeds differ"),
            (lambda table, generator: table.mean(), "Every resample is the same"),
        ],
    ),
    "holm_by_hand": (
        adjust,
        stub,
        [
            (lambda values: [min(1.0, len(values) * value) for value in values], "Bonferroni"),
            (lambda values: sorted(adjust(values)), "another order"),
            (adjust_without_cut, "may not be smaller"),
            (adjust_uncut, "cut at 1"),
            (lambda values: values[:1], "One number for each"),
        ],
    ),
    "judge_a_study": (
        VERDICTS,
        ...,
        [
            (("sound", *VERDICTS[1:]), "Ada is not 'sound'"),
            (("wrong control", "sound", *VERDICTS[2:]), "by chance alone"),
            ((*VERDICTS[:3], "sound", "not paired"), "this one network"),
            ((*VERDICTS[:4], "sound"), "Their luck".lower()[:4]),
            (VERDICTS[:2], "Five words"),
        ],
    ),
}

ALSO_RIGHT: dict[str, list[Any]] = {
    "paired_difference": [
        lambda ours, theirs: np.array(paired(ours, theirs)),
        lambda ours, theirs: [float(np.float32(each)) for each in paired(ours, theirs)],
        lambda ours, theirs: list(paired(ours, theirs)),
    ],
    "crossed_resample": [resample_by_counts],
    "holm_by_hand": [lambda values: np.array(adjust(values))],
    "judge_a_study": [
        [word.title() for word in VERDICTS],
        dict(reversed(list(zip(("Ada", "Boris", "Chiara", "Deniz", "Ewa"), VERDICTS, strict=True)))),
    ],
}


def non_inferiority(low: float, high: float, margin: float) -> str:
    return "not worse" if low >= -margin else "worse" if high < -margin else "undecided"


def alarms(p_SL: Any, level: float) -> tuple[float, float]:
    return (p_SL[:, -1] < level).mean(), (p_SL < level).any(axis=1).mean()


ROWS |= {
    "not_worse": (
        non_inferiority,
        lambda low, high, margin: ...,
        [
            (
                lambda low, high, margin: "not worse" if low > 0 else "worse" if high < 0 else "undecided",
                "nothing in it is a loss",
            ),
            (lambda low, high, margin: "not worse" if (low + high) / 2 > -margin else "worse", "to contain 0 is not to be equal"),
            (lambda low, high, margin: "not worse" if low > -margin else "worse", "to contain 0"),
            (lambda low, high, margin: "not worse" if high > -margin else "worse", "to contain 0"),
            (lambda low, high, margin: "equal", "none of"),
        ],
    ),
    "peeking": (
        alarms,
        lambda p, level: ...,
        [
            (lambda p, level: alarms(p, level)[::-1], "exchanged"),
            (lambda p, level: ((p[:, -1] < level).mean(), (p < level).mean()), "share of *looks*"),
            (lambda p, level: ((p[:, 0] < level).mean(), (p < level).any(1).mean()), "not at the first look"),
            (lambda p, level: ((p[:, -1] < level).mean(), (p < level).all(1).mean()), "One is enough"),
            (lambda p, level: ((p[:, -1] < level).mean(), (p.mean(1) < level).mean()), "mean of the p-values"),
            (lambda p, level: (level, level), "are right, yours are"),
        ],
    ),
}
