"""Honest intervals for paired differences: seeds are few, and all of them share the test images.

Ten seeds that are tested on the same 156 images are not ten independent experiments: what is odd about these images is odd in
all ten. So both are resampled, crossed: seeds with replacement, and images with replacement once for all seeds (Owen 2007, "The
pigeonhole bootstrap", Annals of Applied Statistics 1(2), treats the design).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t  # type: ignore[import-untyped]

from tsynd.errors import TsyndError
from tsynd.utils.rules import validated, whole

__all__ = ["Interval", "crossed", "holm", "interval", "verdict"]

Array = npt.NDArray[np.float64]

RESAMPLES = 2000
MOST_RESAMPLES = 10**6
LEVEL = 0.95
SMALLEST = 0.01  # an effect whose interval ends below it is not worth having


Resamples = Annotated[int, whole(1, MOST_RESAMPLES)]


@dataclass(frozen=True)
class Interval:
    """A mean difference, its 95 % interval, and the p-value of no difference (two-sided).

    error, freedom: standard error and degrees of freedom, where the interval is Student's.
    """

    mean: float
    low: float
    high: float
    p: float
    error: float = 0.0
    freedom: float = math.inf


@validated
def resampled_images(
    labels_N: npt.NDArray[np.generic],
    generator: np.random.Generator,
    resamples: Resamples = RESAMPLES,
    *,
    groups_N: npt.NDArray[np.generic] | None = None,
) -> Array:
    """How often each image counts in each resample: (R, N), drawn with replacement within each class, for all seeds alike.

    With `groups_N`, such as a patient's number, groups are drawn instead of images, with all their images, whatever their
    class; a resample that lacks a class is drawn again.
    """
    counts_RN = np.zeros((resamples, len(labels_N)))
    if groups_N is None:
        for label in np.unique(labels_N):
            places = np.flatnonzero(labels_N == label)
            counts_RN[:, places] = generator.multinomial(len(places), np.full(len(places), 1 / len(places)), size=resamples)
        return counts_RN
    if groups_N.shape != labels_N.shape:
        raise TsyndError(f"groups must be one for each of {len(labels_N)} images, got shape {groups_N.shape}")
    names, group_N = np.unique(groups_N, return_inverse=True)
    members_NC = labels_N[:, None] == np.unique(labels_N)
    kept: list[Array] = []
    for _ in range(1000):
        drawn_RN = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)[:, group_N]
        kept.append(drawn_RN[((drawn_RN @ members_NC) > 0).all(axis=1)].astype(np.float64))
        if sum(map(len, kept)) >= resamples:
            return np.concatenate(kept)[:resamples]
    raise TsyndError(f"{len(names)} groups are too few to be resampled: hardly any resample has every class")


@validated
def resampled_seeds(seeds: int, generator: np.random.Generator, resamples: Resamples = RESAMPLES) -> Array:
    """How much each seed counts in each resample: (R, S), mean 1 in each.

    Drawn with replacement, and then pulled away from 1 by `widening`: a percentile interval of few seeds is too narrow.
    """
    wider = widening(seeds)
    counts_RS = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples).astype(np.float64)
    found: Array = 1.0 + wider * (counts_RS - 1.0)
    return found


@validated
def widening(seeds: int) -> float:
    """By how much the bootstrap of so few values is too narrow: sqrt(S / (S - 1)) t / z.

    The bootstrap divides by S where the variance wants S - 1, and takes the normal's quantile z where Student's t with S - 1
    degrees of freedom belongs (Hesterberg 2015, "What teachers should know about the bootstrap", section 4.1).

    >>> round(widening(10), 3), round(widening(1000), 3)
    (1.217, 1.002)
    """
    if seeds < 2:
        raise TsyndError(f"an interval needs at least 2 seeds, got {seeds}")
    share = (1 + LEVEL) / 2
    return math.sqrt(seeds / (seeds - 1)) * float(t.ppf(share, seeds - 1) / norm.ppf(share))


@validated
def crossed(differences_SR: Array, counts_RS: Array) -> Array:
    """The mean difference in each crossed resample: (R,).

    Args:
        differences_SR: of each seed, the difference under each resample of the images.
        counts_RS: from `resampled_seeds`.

    Raises:
        TsyndError: when the two do not fit together.
    """
    shapes = differences_SR.shape, counts_RS.shape
    if len(shapes[0]) != 2 or shapes[0][::-1] != shapes[1] or not np.isfinite(differences_SR).all():
        raise TsyndError(f"differences must be finite of shape (S, R) and counts of (R, S), got {shapes[0]} and {shapes[1]}")
    found: Array = (counts_RS * differences_SR.T).mean(axis=1)
    return found


@validated
def interval(mean: float, resampled_R: Array) -> Interval:
    """The percentile interval of resampled means, and the p-value that fits it: the level at which it would touch 0.

    The p-value counts the observed one as a resample, so that it is never 0 (Davison and Hinkley 1997, section 4.2).
    """
    if not np.size(resampled_R) or not np.isfinite(resampled_R).all():
        raise TsyndError(f"resampled means must be finite, at least one, got {np.size(resampled_R)} of them")
    low, high = np.quantile(resampled_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    fewer = min(int((resampled_R <= 0).sum()), int((resampled_R >= 0).sum()))
    return Interval(float(mean), float(low), float(high), min(1.0, 2 * (fewer + 1) / (len(resampled_R) + 1)))


@validated
def two_way(means_S: Array, under_SR: Array, images: int) -> Interval:
    """The interval of a mean difference from its components of variance: seeds and test images, crossed.

    The crossed bootstrap counts what seeds and images have jointly more than once, and errs on the wide side (Owen 2007). Here
    each component counts once. With differences d_s and, between two seeds, the covariance c of their differences over resampled
    images, the variance of the mean of S seeds is s^2 / S + c: the first term is the scatter of the seeds, which holds their own
    effect and that of seed and image together; the second is what all seeds share, the effect of the images. The quantile is
    Student's, with Satterthwaite's degrees of freedom (Searle, Casella and McCulloch 1992, "Variance components", section 5).

    Args:
        means_S: the difference at each seed, on the images as they are.
        under_SR: the same under each resample of the images.
        images: how many test images there are.

    >>> means, under = np.array([0.1, 0.2, 0.3]), np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    >>> found = two_way(means, under, images=1000)  # images make no difference: a t-interval over the seeds
    >>> round(found.low, 3), round(found.high, 3)
    (-0.048, 0.448)
    """
    seeds = len(means_S)
    if seeds < 2 or under_SR.ndim != 2 or len(under_SR) != seeds or under_SR.shape[1] < 2 or not np.isfinite(under_SR).all():
        raise TsyndError(
            f"a two-way interval needs (S,) and (S, R), S and R at least 2, got {means_S.shape} and {under_SR.shape}"
        )
    of_seeds = float(np.var(means_S, ddof=1)) / seeds
    covariance_SS = np.cov(under_SR)
    of_images = max(0.0, float(covariance_SS.sum() - np.trace(covariance_SS)) / (seeds * (seeds - 1)))
    return _students(float(np.mean(means_S)), [(of_seeds, seeds - 1), (of_images, max(1, images - 1))])


def mean_of(intervals: Sequence[Interval]) -> Interval:
    """The interval of the mean of independent differences, such as those of several data sets, each with a Student's interval."""
    parts = [(each.error**2 / len(intervals) ** 2, each.freedom) for each in intervals]
    return _students(float(np.mean([each.mean for each in intervals])), parts)


def _students(mean: float, parts: Sequence[tuple[float, float]]) -> Interval:
    """Student's interval of a mean whose variance is a sum of parts, each with its degrees of freedom (Satterthwaite)."""
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Interval(mean, mean, mean, float(mean == 0))
    error, freedom = math.sqrt(variance), variance**2 / sum(part**2 / of for part, of in parts)
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Interval(mean, mean - half, mean + half, float(2 * t.sf(abs(mean) / error, freedom)), error, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for asking several questions: step-down, so that the chance of any false answer stays below the level.

    The smallest is multiplied by their number, the next by one fewer, and none may be smaller than one before (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


@validated
def verdict(low: float, high: float) -> str:
    """What an interval says of a claim that the difference is above 0: supported, not supported, or undecided.

    >>> verdict(0.002, 0.03), verdict(-0.02, 0.008), verdict(-0.02, 0.03)
    ('supported', 'not supported', 'undecided')
    """
    if not low <= high:
        raise TsyndError(f"an interval has low <= high, got {low} and {high}")
    if low > 0:
        return "supported"
    return "not supported" if high < SMALLEST else "undecided"
