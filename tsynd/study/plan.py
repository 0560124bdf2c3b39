"""A study: what is compared, read from a YAML file that is written before anything is run, such as `studies/smoke.yaml`.

A tier is every set with every seed and every arm; `claims` (as in `studies/main.yaml`) say what the report decides. A *block* is
a set, a number of images and a seed: its arms train on the same images from the same start, on one machine.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tsynd.errors import TsyndError, unknown
from tsynd.runs.config import FACTORIES, NETWORKS, RunConfig
from tsynd.study.claims import Claim
from tsynd.study.table import MEASURES, PRIMARIES
from tsynd.training.recipe import OPTIONS_SINCE
from tsynd.utils.atomic_files import digest
from tsynd.utils.rules import validated
from tsynd.utils.safe_parsing import from_yaml
from tsynd.utils.validation import check_kind, check_name

TEXTS = ("name", "question", "decision")
STUDY_KEYS = (*TEXTS, "primaries", "budget", "size", "evaluate", "changes", "tiers", "claims", "elsewhere")
TIER_KEYS = ("name", "sets", "seeds", "arms")
SET_KEYS = ("data", "per_class")
ARM_KEYS = ("name", "arm", "changes")
# Of one tier; more are a slip of the keyboard.
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Planned:
    """One run of a study: the arm's name there, its configuration, and the key that names its files."""

    arm: str
    config: RunConfig

    @property
    def block(self) -> tuple[str, int | None, int]:
        """Data, images of each class (None for all) and seed, which its arms share."""
        return self.config.data, self.config.per_class, self.config.seed  # type: ignore[return-value]

    @property
    def key(self) -> str:
        """A hash of the resolved configuration with the version of the method; the device is not part of it.

        Options that came later are left out at the value that means none, so that older results keep their keys.
        """
        resolved = {name: value for name, value in self.config.resolved().items() if name != "device"}
        for name in FACTORIES:  # what a factory and its weights are says their content, not where they lie
            if f"{name}_identity" in resolved:
                resolved[name] = resolved[name].rpartition(":")[2]
            resolved.pop(f"{name}_weights", None)
        return digest(resolved | {"recipe": without_later(resolved["recipe"])})


@dataclass(frozen=True)
class Tier:
    """Every set with every seed and every arm."""

    name: str
    sets: tuple[tuple[str, int | None], ...]
    seeds: tuple[int, ...]
    arms: Mapping[str, tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Study:
    """What a study file says, with every default written out.

    Raises:
        TsyndError: for a run that cannot be, named by its arm; for a run that stands under two names.
    """

    name: str
    tiers: tuple[Tier, ...]
    question: str = ""
    decision: str = ""
    primaries: tuple[str, ...] = PRIMARIES
    budget: str = "cpu"
    size: int = 28
    evaluate: str = "test"
    changes: Mapping[str, Any] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kind(str, name=self.name)
        check_kind(tuple, tiers=self.tiers)
        for tier in self.tiers:
            check_kind(Tier, tier=tier)
        names: dict[str, str] = {}
        for planned in (each for tier in self.tiers for each in self.runs_of(tier)):
            if names.setdefault(planned.key, planned.arm) != planned.arm:
                raise TsyndError(f"study {self.name}: arms {names[planned.key]!r} and {planned.arm!r} are the same run")

    def runs(self) -> list[Planned]:
        """Every run, once: tier by tier, seed by seed, set by set, so that whatever is finished is finished for all arms."""
        return list({planned.key: planned for tier in self.tiers for planned in self.runs_of(tier)}.values())

    def runs_of(self, tier: Tier) -> Iterator[Planned]:
        """The runs of one tier, seed by seed, set by set."""
        for seed in tier.seeds:
            for data, per_class in tier.sets:
                for name, (arm, changes) in tier.arms.items():
                    try:
                        config = RunConfig(
                            data, arm, per_class, self.size, seed, self.budget, self.evaluate, **self._changed(changes)
                        )
                    except TsyndError as error:
                        raise TsyndError(f"study {self.name}, arm {name!r}: {error}") from error
                    yield Planned(name, config)

    def _changed(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """The networks and changes of an arm with those of the study.

        All images are tested, by any budget: runs are paired image by image.
        """
        changes = {**self.changes, **more}
        if changes.get("limit") is not None:
            raise TsyndError(f"a study tests on all images, got limit {changes['limit']}: leave it out")
        networks = {name: changes.pop(name) for name in NETWORKS if name in changes}
        return networks | {"changes": changes | {"limit": None}}

    def resolved(self) -> dict[str, Any]:
        """The study with all defaults of the method, as `study.yaml` in its folder holds it."""
        common = RunConfig("phantom", "none", size=self.size, budget=self.budget, evaluate=self.evaluate, **self._changed({}))
        written = common.resolved()
        kept = {name: written[name] for name in ("budget", "size", "evaluate", "method_version", "recipe", "evaluation")}
        tiers = [
            {
                "name": tier.name,
                "sets": [{"data": data, "per_class": per_class or "all"} for data, per_class in tier.sets],
                "seeds": list(tier.seeds),
                "arms": [{"name": name, "arm": arm, "changes": dict(changes)} for name, (arm, changes) in tier.arms.items()],
            }
            for tier in self.tiers
        ]
        texts = {name: getattr(self, name) for name in TEXTS}
        decided = {"claims": [_written(claim) for claim in self.claims], "elsewhere": dict(self.elsewhere)}
        decided = {name: value for name, value in decided.items() if value}
        return texts | {"primaries": list(self.primaries)} | kept | {"tiers": tiers} | decided


def _written(claim: Claim) -> dict[str, Any]:
    """A claim as a study file has it: what is left at its default is left out."""
    found = {each.name: (getattr(claim, each.name), each.default) for each in fields(Claim)}
    return {n: list(value) if isinstance(value, tuple) else value for n, (value, default) in found.items() if value != default}


def without_later(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without the options that came later, where they are off (see `tsynd.training.recipe.OPTIONS_SINCE`)."""
    return {name: value for name, value in recipe.items() if name not in OPTIONS_SINCE or value != OPTIONS_SINCE[name]}


@validated
def read_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises:
        TsyndError: naming the file, the key and what would have been right.
    """
    path = Path(path)
    try:
        found = from_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TsyndError(f"{path} is missing: name a study file, such as studies/smoke.yaml") from error
    except (OSError, ValueError) as error:
        raise TsyndError(f"{path} cannot be read as YAML: {error}") from error
    try:
        return _study(found)
    except TsyndError as error:
        raise TsyndError(f"{path}: {error}") from error


def _study(found: object) -> Study:
    given = _mapping(found, "a study", STUDY_KEYS, needed=("name", "tiers"))
    for name in TEXTS:
        if not isinstance(given.get(name, ""), str):
            raise TsyndError(f"{name} must be a text, got {given[name]!r}")
    tiers = tuple(_tier(each, number) for number, each in enumerate(_list(given["tiers"], "tiers"), 1))
    primaries = tuple(_list(given.get("primaries", list(PRIMARIES)), "primaries"))
    for name in primaries:
        check_name("measure", name, MEASURES)
    settings = {name: given[name] for name in ("question", "decision", "budget", "size", "evaluate") if name in given}
    changes = _mapping(given.get("changes", {}), "changes")
    claims = tuple(Claim.read(each) for each in given.get("claims", []))
    elsewhere = {str(text): str(where) for text, where in _mapping(given.get("elsewhere", {}), "elsewhere").items()}
    return Study(given["name"], tiers, primaries=primaries, changes=changes, claims=claims, elsewhere=elsewhere, **settings)


def _tier(found: object, number: int) -> Tier:
    given = _mapping(found, f"tier {number}", TIER_KEYS, needed=("sets", "seeds", "arms"))
    sets = []
    for each in _list(given["sets"], "sets"):
        one = _mapping(each, "a set", SET_KEYS, needed=SET_KEYS)
        sets.append((one["data"], None if one["per_class"] == "all" else one["per_class"]))
    arms: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for each in _list(given["arms"], "arms"):
        one = {"arm": each} if isinstance(each, str) else _mapping(each, "an arm", ARM_KEYS, needed=("arm",))
        name = one.get("name", one["arm"])
        if not isinstance(name, str):
            raise TsyndError(f"an arm must have a text as its name, got {name!r}")
        if name in arms:
            raise TsyndError(f"arm {name!r} stands twice in tier {number}: give one of them another name")
        arms[name] = one["arm"], _mapping(one.get("changes", {}), f"changes of arm {name!r}")
    seeds = _seeds(given["seeds"])
    listed: dict[str, list[Any]] = {"set": sets, "seed": seeds}
    for what, values in listed.items():
        if repeated := [value for value in values if values.count(value) > 1]:
            raise TsyndError(f"{what} {repeated[0]} stands twice in tier {number}")
    return Tier(str(given.get("name", f"tier {number}")), tuple(sets), tuple(seeds), arms)


def _seeds(found: object) -> list[int]:
    """`0-9`, one number, or a list of numbers."""
    span = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", found) if isinstance(found, str) else None
    if span and (first := int(span[1])) <= (last := int(span[2])):
        if last - first >= MOST_SEEDS:
            raise TsyndError(f"seeds must be at most {MOST_SEEDS}, got {last - first + 1}: {found}")
        return list(range(first, last + 1))
    seeds: list[Any] = found if isinstance(found, list) else [found]
    if not seeds or not all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds):
        raise TsyndError(f"seeds must be whole numbers >= 0, as 0-9 or [0, 1, 2], got {found!r}")
    return seeds


def _mapping(found: object, what: str, known: tuple[str, ...] = (), needed: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise TsyndError(f"{what} must be `key: value` pairs, got {found!r}")
    for name in found:
        if known and name not in known:
            raise unknown(f"key of {what}", str(name), known)
    if missing := [name for name in needed if name not in found]:
        raise TsyndError(f"{what} lacks {', '.join(missing)}")
    return dict(found)


def _list(found: object, what: str) -> list[Any]:
    if not isinstance(found, list) or not found:
        raise TsyndError(f"{what} must be a list with at least one entry, got {found!r}")
    return found
