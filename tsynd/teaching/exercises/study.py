"""Exercises of the chapter on the study: a paired difference, one crossed resample, Holm by hand, and four studies judged."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm as normal  # type: ignore[import-untyped]
from torch import Tensor

from tsynd.study.statistics import holm
from tsynd.teaching.exercises.checker import NotYet, checker, expect, judged

DRAWS = 600  # resamples that an answer is asked for: their spread is then known to some per cent


@checker
def paired_difference(answer: Callable[[Any, Any], Any]) -> str:
    """Check `paired(ours, theirs)`: the mean difference and its standard error, of runs that share seeds."""
    ours, theirs = np.array([0.80, 0.90, 0.70, 0.85, 0.75]), np.array([0.78, 0.89, 0.66, 0.87, 0.71])
    value = answer(ours, theirs)
    if isinstance(value, Tensor):
        value = value.tolist()
    if not isinstance(value, Sequence) or len(value) != 2:
        raise NotYet(f"Two numbers are asked for, the mean difference and its standard error, got {value!r}.")
    mean, error = (float(each) for each in value)
    apart, root = ours - theirs, len(ours) ** 0.5
    expect(mean, apart.mean(), {}, f"The mean of ours minus theirs is {apart.mean():.3f}, yours is {{found}}.", close=1e-6)
    mistakes = {
        "This is the error of two independent means. The runs are paired: take the spread of the *differences*.": (
            np.sqrt(ours.var(ddof=1) + theirs.var(ddof=1)) / root
        ),
        "This is the standard deviation of a difference. The error of their mean is smaller, by the root of their number.": (
            apart.std(ddof=1)
        ),
        "You divide by the number of seeds; with so few, divide by one less (ddof=1), or the error is too small.": (
            apart.std() / root
        ),
    }
    right = apart.std(ddof=1) / root
    told = f"The standard error of the mean difference is {right:.5f}, yours is {{found}}."
    expect(error, right, mistakes, told, close=1e-6)
    return "Seeds that are hard for one arm are hard for the other: in the difference that cancels, and the error shrinks."


@checker
def crossed_resample(answer: Callable[[Any, Any], Any]) -> str:
    """Check `resample(differences, generator)`: the mean of a table of seeds by images, both drawn with replacement once."""
    seeds, images = np.arange(5.0)[:, None], np.arange(7.0)[None, :]

    def resamples(table: Any) -> Any:
        return np.array([float(answer(table, np.random.default_rng(number))) for number in range(DRAWS)])

    # Two tables tell what is drawn: in one only seeds differ, in the other only images.
    of_seeds, of_images = resamples(seeds + 0 * images), resamples(images + 0 * seeds)
    if not np.array_equal(of_images, resamples(images + 0 * seeds)):
        raise NotYet("The same generator gives two different resamples: draw from `generator`, and from nothing else.")
    if of_seeds.std() < 1e-9 and of_images.std() < 1e-9:
        raise NotYet("Every resample is the same. Draw rows and columns with replacement: generator.integers(0, n, n).")
    if of_images.std() < 1e-9:
        raise NotYet("Only the seeds are resampled. The test images are a sample as well, and all seeds share it.")
    if of_seeds.std() < 1e-9:
        raise NotYet("Only the images are resampled. The seeds are a sample as well: draw rows with replacement too.")
    each_anew = np.sqrt(images.var() / 35)
    if abs(of_images.std() - each_anew) < 0.25 * each_anew:
        raise NotYet(
            "Each seed draws its own images. But all seeds were tested on the same ones: draw images once, for all rows."
        )
    for name, values, found in (("seeds", seeds, of_seeds), ("images", images, of_images)):
        right = np.sqrt(values.var() / values.size)
        if not abs(found.std() - right) < 0.12 * right or not abs(found.mean() - values.mean()) < 5 * right / DRAWS**0.5:
            told = f"Where only {name} differ, your resamples have the mean {found.mean():.2f} and the spread {found.std():.2f}"
            raise NotYet(f"{told}; {values.mean():.2f} and {right:.2f} are right: as many {name} as there are, all alike.")
    return "Rows for the seeds, columns for the images, once for all rows: what is odd about an image is odd for every seed."


@checker
def holm_by_hand(answer: Callable[[Any], Any]) -> str:
    """Check `adjust(p_values)`: Holm's p-values, in the order given."""
    for values in ([0.01, 0.04, 0.03], [0.02, 0.02, 0.6, 0.001], [0.7, 0.9]):
        found, right = np.array([float(each) for each in answer(values)]), np.array(holm(values))
        if len(found) != len(values):
            raise NotYet(f"One number for each of {len(values)} p-values is asked for, got {len(found)}.")
        told = f"Of {values} Holm makes {right.round(4).tolist()}, yours are {found.round(4).tolist()}. "
        bonferroni = "This is Bonferroni: after the smallest only the rest are left, so the factor shrinks by one each time."
        otherwise = "Mind that an adjusted one may not be smaller than the one before it in the order of size."
        if np.allclose(np.sort(found), np.sort(right), atol=1e-9):
            otherwise = "The numbers are right, in another order than they were given."
        elif (found > 1).any():
            otherwise = "A p-value above 1 is none: cut at 1."
        by_count = np.minimum(1, np.array(values) * len(values))
        expect(found, right, {told + bonferroni: by_count}, told + otherwise, close=1e-9)
    return "The smallest times their number, the next times one fewer, never falling: any false alarm stays below 5 %."


@checker
def judge_a_study(verdicts: Any) -> str:
    """Check the verdicts on five studies: a tuple of five words."""
    judged("judge_a_study", verdicts)
    return "Ask of any study: how many seeds, paired how, against what, and how many other things were looked at?"


@checker
def not_worse(answer: Callable[[float, float, float], str]) -> str:
    """Check `judge(low, high, margin)`: is a cheaper method "not worse", "worse" or is it "undecided"?

    low, high: the interval of cheaper minus dearer. margin: how much may be lost, above 0, named before the runs.
    """
    cases = {
        (-0.01, 0.03, 0.02): ("not worse", "The interval contains 0, and nothing in it is a loss of more than the margin."),
        (0.01, 0.05, 0.02): ("not worse", "Even the worst case is a gain."),
        (-0.015, -0.005, 0.02): (
            "not worse",
            "It is surely a little worse than 0, and surely by less than the margin: that was allowed.",
        ),
        (-0.05, 0.01, 0.02): ("undecided", "A loss of 0.05 is possible, and so is a gain: to contain 0 is not to be equal."),
        (-0.08, -0.03, 0.02): ("worse", "Even the best case loses more than the margin."),
        (-0.04, -0.01, 0.02): ("undecided", "A loss of 0.01 would be allowed and one of 0.04 would not."),
    }
    for (low, high, margin), (right, reason) in cases.items():
        word = str(answer(low, high, margin)).strip().lower()
        if word not in ("not worse", "worse", "undecided"):
            raise NotYet(f"{word!r} is none of 'not worse', 'worse' and 'undecided'.")
        if word != right:
            raise NotYet(f"From {low:+.3f} to {high:+.3f}, with a margin of {margin}, is not {word!r}. {reason}")
    return "The ends against minus the margin, never the middle, and never 0. A margin that is chosen afterwards proves anything."


@checker
def peeking(answer: Callable[[Any, float], Any]) -> str:
    """Check `alarms(p_SL, level)`: two shares of studies with a false alarm, for two rules of stopping.

    p_SL: the p-value of each study after each look, where nothing works. The first rule looks once, at the end; the second
    stops at the first look that is below the level.
    """
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(2000, 10)).cumsum(1) / np.sqrt(np.arange(1, 11))
    p = 2 * (1 - normal.cdf(np.abs(noise)))
    found = [float(each) for each in answer(p, 0.05)]
    once, ever = (p[:, -1] < 0.05).mean(), (p < 0.05).any(1).mean()
    mistakes = {
        "The two are exchanged: first the rule that looks once.": (ever, once),
        "Your second number is the share of *looks* that alarm. A study has stopped at its first one.": (once, (p < 0.05).mean()),
        "Looking once means at the end, not at the first look.": ((p[:, 0] < 0.05).mean(), ever),
        "Your second rule wants every look to alarm. One is enough to stop.": (once, (p < 0.05).all(1).mean()),
        "Your second rule takes the mean of the p-values. It stops at the first that is below the level.": (
            once,
            (p.mean(1) < 0.05).mean(),
        ),
    }
    told = f"{once:.3f} and {ever:.3f} are right, yours are {', '.join(f'{each:.3f}' for each in found)}."
    expect(found, (once, ever), mistakes, told)
    return (
        f"{once:.0%} and {ever:.0%}: ten looks at nothing make three or four false alarms of one. Fix the number of seeds first."
    )
