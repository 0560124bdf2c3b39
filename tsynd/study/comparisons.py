"""From a study's folder to paired differences: every comparison of the claims, for each set and for the mean over sets."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsynd.errors import TsyndError
from tsynd.metrics.weighted import LOWER_IS_BETTER, has, measure
from tsynd.study.claims import Claim
from tsynd.study.records import RUNS, read_records
from tsynd.study.statistics import Array, Interval, crossed, interval, mean_of, resampled_images, resampled_seeds, two_way
from tsynd.utils.rng import seed_for
from tsynd.utils.safe_parsing import open_npz

MEAN = "mean over sets"
Place = tuple[str, str]
"""A set with its number of images of each class, as text."""


@dataclass(frozen=True)
class Difference:
    """One comparison at one place: the arm minus another, by seeds that both have; better is above 0, also for losses.

    found: the interval of the crossed bootstrap, which decides. components: the one from components of variance.
    """

    arm: str
    other: str
    measure: str
    place: Place
    seeds: int
    found: Interval
    components: Interval


class Answers:
    """The answers of a study's runs, and every measure of them under the same resamples of images and seeds.

    groups: by the name of a set, (N,) numbers of the patients of its test images: these are then resampled, with all images.

    Raises:
        TsyndError: when it holds no runs, runs of several versions of the method, or lacks the answers of one that is done.
    """

    def __init__(self, folder: Path, groups: Mapping[str, npt.NDArray[np.generic]] | None = None) -> None:
        self.folder, self.records, self.groups = folder, read_records(folder), groups or {}
        if not self.records:
            raise TsyndError(f"{folder} holds no runs: name the folder of a study (--out of `tsynd study run`)")
        if len(versions := sorted({record["method_version"] for record in self.records})) > 1:
            raise TsyndError(f"{folder} holds runs of method versions {', '.join(map(str, versions))}: they cannot be compared")
        self.keys: dict[Place, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
        for record in self.records:
            if record["status"] == "done":
                self.keys[record["data"], str(record["per_class"])][record["arm"]][record["seed"]] = record["key"]
        self._weights: dict[Place, Array] = {}
        self._known: dict[tuple[str, str], tuple[float, Array]] = {}
        self._arrays: dict[str, dict[str, npt.NDArray[np.generic]]] = {}

    def places(self) -> list[Place]:
        """Sets and numbers of images, sorted."""
        return sorted(self.keys)

    def arrays(self, key: str) -> dict[str, npt.NDArray[np.generic]]:
        """The answers of one run."""
        if key not in self._arrays:
            path = self.folder / RUNS / f"{key}.npz"
            try:
                with open_npz(path) as file:
                    found = {name: file[name] for name in ("labels", "probs", "augmented", "corrupted")}
                    self._arrays[key] = found | {name: file[name] for name in file.files if name not in found}
            except Exception as error:  # numpy raises a different one for each kind of damage
                raise TsyndError(f"{path} cannot be read: {error}: run `tsynd study run` again") from error
        return self._arrays[key]

    def measured(self, place: Place, key: str, name: str) -> tuple[float, Array]:
        """A measure of one run on the images as they are, and under each resample."""
        if (key, name) not in self._known:
            answers = self.arrays(key)
            if place not in self._weights:
                generator = np.random.default_rng(seed_for(0, f"images of {place}"))
                groups_N = self.groups.get(place[0])
                self._weights[place] = resampled_images(answers["labels"], generator, groups_N=groups_N)
            weights_RN = self._weights[place]
            if len(answers["labels"]) != weights_RN.shape[1]:
                raise TsyndError(
                    f"runs on {place[0]} were tested on {weights_RN.shape[1]} and on {len(answers['labels'])} images"
                )
            self._known[key, name] = float(measure(name, answers)[0]), measure(name, answers, weights_RN)
        return self._known[key, name]

    def difference(self, place: Place, arm: str, other: str, name: str) -> tuple[Difference, Array] | None:
        """The paired difference at a place with its resamples; None with fewer than two pairs that have the measure."""
        ours, theirs = self.keys[place].get(arm, {}), self.keys[place].get(other, {})
        seeds = [
            seed
            for seed in sorted(ours.keys() & theirs.keys())
            if has(name, self.arrays(ours[seed])) and has(name, self.arrays(theirs[seed]))
        ]
        if len(seeds) < 2:
            return None
        pairs = [(self.measured(place, ours[seed], name), self.measured(place, theirs[seed], name)) for seed in seeds]
        sign = -1.0 if name in LOWER_IS_BETTER else 1.0
        means_S = sign * np.array([a[0] - b[0] for a, b in pairs])
        under_SR = sign * np.stack([a[1] - b[1] for a, b in pairs])
        generator = np.random.default_rng(seed_for(0, f"seeds of {place}, {len(seeds)}"))
        resampled_R = crossed(under_SR, resampled_seeds(len(seeds), generator))
        bootstrap = interval(float(means_S.mean()), resampled_R)
        components = two_way(means_S, under_SR, self._weights[place].shape[1])
        return Difference(arm, other, name, place, len(seeds), bootstrap, components), resampled_R

    def mean_difference(self, arm: str, other: str, name: str, per_class: Mapping[str, str]) -> Difference | None:
        """The mean over sets, each resampled on its own; `per_class` says at which number of images each set is taken."""
        found = [self.difference((data, count), arm, other, name) for data, count in sorted(per_class.items())]
        there = [each for each in found if each is not None]
        if not there:
            return None
        mean = float(np.mean([one.found.mean for one, _ in there]))
        resampled_R = np.mean([resamples for _, resamples in there], axis=0)
        fewest = min(one.seeds for one, _ in there)
        bootstrap, components = interval(mean, resampled_R), mean_of([one.components for one, _ in there])
        return Difference(arm, other, name, (MEAN, str(len(there))), fewest, bootstrap, components)


def main_sizes(study: Mapping[str, Any]) -> dict[str, str]:
    """Of each set the number of images in the first tier that has it: what claims are decided on."""
    sizes: dict[str, str] = {}
    for tier in study["tiers"]:
        for each in tier["sets"]:
            sizes.setdefault(each["data"], str(each["per_class"]))
    return sizes


def compared(answers: Answers, claims: Sequence[Claim], sizes: Mapping[str, str]) -> Iterator[tuple[Claim, Difference]]:
    """Every comparison of every claim: at each place, and the mean over sets."""
    for claim in claims:
        for other in claim.others:
            for name in (*claim.measures, *claim.beside):
                for place in answers.places():
                    if found := answers.difference(place, claim.arm, other, name):
                        yield claim, found[0]
                if mean := answers.mean_difference(claim.arm, other, name, sizes):
                    yield claim, mean


def against(answers: Answers, other: str, names: Sequence[str]) -> Iterator[Difference]:
    """Every arm minus one other, at every place, by some measures."""
    for place in answers.places():
        for arm in sorted(answers.keys[place]):
            for name in names:
                if arm != other and (found := answers.difference(place, arm, other, name)):
                    yield found[0]
