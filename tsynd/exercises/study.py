"""Exercises of the chapter on the study: a paired difference, one crossed resample, Holm by hand, and four studies judged."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tsynd.exercises.checking import NotYet, checker
from tsynd.study.statistics import holm

FLAWS = ("sound", "one seed", "not paired", "wrong control", "best of many")
# Of each team, in the order of the exercise: its verdict, and why.
STUDIES = {
    "Ada": ("wrong control", "Ada's baseline never saw the autoencoder: its blur may be the whole gain."),
    "Boris": (
        "best of many",
        "Boris looked at 24 differences and reports the one below .05: by chance alone he would expect one.",
    ),
    "Chiara": ("sound", "Chiara wrote down beforehand what decides, pairs her runs, and resamples what is shared."),
    "Deniz": ("one seed", "Deniz's interval is over images only: it says how this one network does, not how the method does."),
    "Ewa": ("not paired", "Ewa's arms have other subsets and starts: their luck is in the difference."),
}


@checker
def paired_difference(answer: Callable[[Any, Any], Any]) -> str:
    """Check `paired(ours, theirs)`: the mean difference and its standard error, of runs that share seeds."""
    ours, theirs = np.array([0.80, 0.90, 0.70, 0.85]), np.array([0.78, 0.89, 0.66, 0.84])
    value = answer(ours.copy(), theirs.copy())
    if isinstance(value, Tensor):
        value = value.tolist()
    if not isinstance(value, Sequence) or len(value) != 2:
        raise NotYet(f"Two numbers are asked for, the mean difference and its standard error, got {value!r}.")
    mean, error = (float(each) for each in value)
    differences = ours - theirs
    right = differences.std(ddof=1) / 2
    if abs(mean - differences.mean()) > 1e-9:
        raise NotYet(f"The mean of ours minus theirs is {differences.mean():.3f}, yours is {mean:.3f}.")
    apart = np.sqrt(ours.var(ddof=1) / 4 + theirs.var(ddof=1) / 4)
    if abs(error - apart) < 1e-6:
        raise NotYet("This is the error of two independent means. The runs are paired: take the spread of the *differences*.")
    if abs(error - 2 * right) < 1e-6:
        raise NotYet(
            "This is the standard deviation of a difference. The error of their mean is smaller, by the root of their number."
        )
    if abs(error - differences.std() / 2) < 1e-6:
        raise NotYet("You divide by the number of seeds; with so few, divide by one less (ddof=1), or the error is too small.")
    if abs(error - right) > 1e-9:
        raise NotYet(f"The standard error of the mean difference is {right:.5f}, yours is {error:.5f}.")
    return "Seeds that are hard for one arm are hard for the other: in the difference that cancels, and the error shrinks."


@checker
def crossed_resample(answer: Callable[[Any, Any], Any]) -> str:
    """Check `resample(differences, generator)`: the mean of a table of seeds by images, both drawn with replacement once."""
    seeds, images = np.arange(5.0)[:, None], 100 * np.arange(7.0)[None, :]
    table = seeds + images  # the digits say which seeds and which images were drawn
    found = np.array([float(answer(table.copy(), np.random.default_rng(number))) for number in range(300)])
    if float(answer(table.copy(), np.random.default_rng(0))) != float(answer(table.copy(), np.random.default_rng(0))):
        raise NotYet("The same generator gives two different resamples: draw from `generator`, and from nothing else.")
    if found.std() < 1e-9:
        raise NotYet("Every resample is the same. Draw rows and columns with replacement: generator.integers(0, n, n).")
    spread = float(found.std())
    both = np.sqrt(images.var() / 7 + seeds.var() / 5)
    rows_only, each_anew = np.sqrt(seeds.var() / 5), np.sqrt(images.var() / 35 + seeds.var() / 5)
    if abs(spread - rows_only) < 0.3 * rows_only:
        raise NotYet("Only the seeds are resampled. The test images are a sample as well, and all seeds share it.")
    if abs(spread - each_anew) < 0.25 * each_anew:
        raise NotYet(
            "Each seed draws its own images. But all seeds were tested on the same ones: draw images once, for all rows."
        )
    if abs(spread - both) > 0.2 * both or abs(found.mean() - table.mean()) > 4 * both / 300**0.5:
        wanted = f"{table.mean():.1f} and {both:.1f}"
        raise NotYet(f"Your resamples have the mean {found.mean():.1f} and spread {spread:.1f}; {wanted} are right.")
    return "Rows for the seeds, columns for the images, once for all rows: what is odd about an image is odd for every seed."


@checker
def holm_by_hand(answer: Callable[[Any], Any]) -> str:
    """Check `adjust(p_values)`: Holm's p-values, in the order given."""
    for values in ([0.01, 0.04, 0.03], [0.02, 0.02, 0.6, 0.001], [0.5, 0.9]):
        given = answer(list(values))
        found = [float(each) for each in (given.tolist() if isinstance(given, Tensor) else given)]
        right = holm(values)
        if len(found) != len(values):
            raise NotYet(f"One number for each of {len(values)} p-values is asked for, got {len(found)}.")
        if np.allclose(found, right, atol=1e-9):
            continue
        told = f"Of {values} Holm makes {[round(each, 4) for each in right]}, yours are {[round(each, 4) for each in found]}."
        if np.allclose(found, np.minimum(1, np.array(values) * len(values)), atol=1e-9):
            raise NotYet(
                f"{told} This is Bonferroni: after the smallest only the rest are left, so the factor shrinks by one each time."
            )
        if np.allclose(np.sort(found), np.sort(right), atol=1e-9):
            raise NotYet(f"{told} The numbers are right, in another order than they were given.")
        if any(each > 1 for each in found):
            raise NotYet(f"{told} A p-value above 1 is none: cut at 1.")
        raise NotYet(f"{told} Mind that an adjusted one may not be smaller than the one before it in the order of size.")
    return (
        "The smallest times their number, the next times one fewer, never falling: the chance of any false alarm stays below 5 %."
    )


@checker
def judge_a_study(verdicts: Any) -> str:
    """Check the verdicts on five studies: a tuple of five words."""
    if isinstance(verdicts, Mapping):
        verdicts = tuple(verdicts.values())
    if isinstance(verdicts, str) or len(verdicts) != len(STUDIES):
        raise NotYet(f"Five verdicts are asked for, one for each of {', '.join(STUDIES)}, got {verdicts!r}.")
    for (team, (right, reason)), verdict in zip(STUDIES.items(), verdicts, strict=True):
        word = str(verdict).strip().lower()
        if word not in FLAWS:
            raise NotYet(f"{str(verdict)!r} is none of the verdicts: {', '.join(FLAWS)}.")
        if word != right:
            raise NotYet(f"{team} is not {word!r}. {reason}")
    return "Ask of any study: how many seeds, paired how, against what, and how many other things were looked at?"
