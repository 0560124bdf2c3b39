"""Paired differences from a study's folder: what is paired, what is averaged, and what is resampled together."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.study.toy import answered
from tsynd.runs.config import RunConfig
from tsynd.study.comparisons import MEAN, Answers, Difference, main_sizes
from tsynd.utils.atomic_files import write_npz, write_text
from tsynd.utils.environment import METHOD_VERSION

MEASURE = "pgd_2_255"
LABELS = np.arange(40) % 2


def write_run(folder: Path, data: str, arm: str, seed: int, right: float | np.ndarray) -> None:
    """A run that is done, with the share of draws in which each image is right; `right` may be one for all images."""
    key = f"{data}-{arm}-{seed}"
    probs = np.full((len(LABELS), 2), 0.5, np.float32)
    shares = dict.fromkeys(("augmented", "corrupted", MEASURE), np.broadcast_to(right, LABELS.shape))
    write_npz(folder / "runs" / f"{key}.npz", labels=LABELS, probs=probs, **shares)
    what = {"key": key, "status": "done", "data": data, "size": 28, "per_class": 20, "arm": arm, "seed": seed}
    what |= {"metrics": answered(RunConfig("phantom", seed=seed)).metrics, "error": None, "method_version": METHOD_VERSION}
    write_text(folder / "runs" / f"{key}.json", json.dumps(what))


def difference(folder: Path, data: str) -> Difference:
    found = Answers(folder).difference((data, "20"), "tsynd", "none", MEASURE)
    assert found is not None
    return found[0]


def mean_difference(folder: Path, *sets: str) -> Difference:
    found = Answers(folder).mean_difference("tsynd", "none", MEASURE, dict.fromkeys(sets, "20"))
    assert found is not None
    return found


def test_what_the_seed_and_the_image_do_to_both_arms_is_not_in_their_difference(tmp_path: Path) -> None:
    """Both arms are right on the same images, which differ from seed to seed: unpaired, the interval would be wide."""
    for seed in range(4):
        same = (np.random.default_rng(seed).random(len(LABELS)) < 0.2 + 0.2 * seed).astype(float)
        write_run(tmp_path, "a", "none", seed, same * 0.5)
        write_run(tmp_path, "a", "tsynd", seed, same * 0.5 + 0.125)
    found = difference(tmp_path, "a").found
    assert (found.mean, found.low, found.high) == pytest.approx((0.125, 0.125, 0.125))
    assert found.p == pytest.approx(2 / 2001)


def test_what_differs_between_images_is_in_the_interval(tmp_path: Path) -> None:
    for seed in range(4):
        write_run(tmp_path, "a", "none", seed, 0.0)
        write_run(tmp_path, "a", "tsynd", seed, (LABELS + np.arange(40) // 2) % 2)  # right on half of each class, for all seeds
    found = difference(tmp_path, "a").found
    half = 1.96 * (0.25 / 40) ** 0.5
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=0.03)


def test_one_pair_of_seeds_is_no_comparison(tmp_path: Path) -> None:
    for arm, seeds in (("none", (0, 1)), ("tsynd", (1, 2))):
        for seed in seeds:
            write_run(tmp_path, "a", arm, seed, 0.5)
    assert Answers(tmp_path).difference(("a", "20"), "tsynd", "none", MEASURE) is None
    assert Answers(tmp_path).mean_difference("tsynd", "none", MEASURE, {"a": "20"}) is None


def test_the_mean_over_sets_resamples_the_seeds_of_each_set_on_its_own(tmp_path: Path) -> None:
    """Two sets with the same differences: their mean has the same centre, and an interval that is narrower by sqrt(2)."""
    for data in ("a", "b"):
        for seed in range(8):
            write_run(tmp_path, data, "none", seed, 0.0)
            write_run(tmp_path, data, "tsynd", seed, 0.1 * seed)
    one, both = difference(tmp_path, "a").found, mean_difference(tmp_path, "a", "b").found
    assert one.mean == both.mean == pytest.approx(0.35)
    assert (both.high - both.low) / (one.high - one.low) == pytest.approx(0.5**0.5, rel=0.08)


def test_the_mean_over_sets_has_the_seeds_of_the_set_with_the_fewest(tmp_path: Path) -> None:
    for data, seeds, gain in (("a", 4, 0.5), ("b", 2, 0.25)):
        for seed in range(seeds):
            write_run(tmp_path, data, "none", seed, 0.0)
            write_run(tmp_path, data, "tsynd", seed, gain)
    found = mean_difference(tmp_path, "a", "b", "c")  # nothing was run on c
    assert (found.place, found.seeds) == ((MEAN, "2"), 2)
    assert found.found.mean == pytest.approx(0.375)


def test_claims_are_decided_at_the_size_of_the_first_tier_that_has_a_set() -> None:
    first = [{"data": "a", "per_class": 20}, {"data": "b", "per_class": "all"}]
    second = [{"data": "a", "per_class": 50}, {"data": "c", "per_class": 10}]
    assert main_sizes({"tiers": [{"sets": first}, {"sets": second}]}) == {"a": "20", "b": "all", "c": "10"}
