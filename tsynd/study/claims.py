"""Claims: which arm is compared with which, by which measures. A study file lists its own, before its runs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tsynd.errors import TsyndError, unknown
from tsynd.metrics.weighted import WEIGHTED
from tsynd.utils.validation import check_name

MARGIN = 0.01  # how much worse counts as not worse


@dataclass(frozen=True)
class Claim:
    """An arm, what it is compared with, and the measures; the first one decides.

    every: all measures decide together: better by Holm over their p-values, not worse in each. not_worse: the claim is that the
    arm is not worse by more than `MARGIN`, in place of better. beside: measures that are shown too, and decide nothing. unmasked:
    the claim also asks that the checks of the arm's runs were made and found no masked gradient or weak attack; else it is
    undecided at best.
    """

    name: str
    text: str
    arm: str
    others: tuple[str, ...]
    measures: tuple[str, ...]
    every: bool = False
    not_worse: bool = False
    beside: tuple[str, ...] = ()
    unmasked: bool = False

    @classmethod
    def read(cls, found: object) -> "Claim":
        """Return the claim of one entry of a study file, if its keys, types and measures are right."""
        kinds = {each.name: each.type for each in fields(cls)}
        if not isinstance(found, Mapping) or not {"name", "text", "arm", "others", "measures"} <= found.keys():
            raise TsyndError(f"a claim must have name, text, arm, others and measures, got {found!r}")
        values: dict[str, Any] = {}
        for name, value in found.items():
            if name not in kinds:
                raise unknown("key of a claim", str(name), kinds)
            several = kinds[name] == tuple[str, ...]
            right = (
                isinstance(value, list) and all(isinstance(each, str) for each in value)
                if several
                else type(value) is kinds[name]
            )
            if not right:
                wanted = "a list of texts" if several else {str: "a text", bool: "true or false"}[kinds[name]]  # type: ignore[index]
                raise TsyndError(f"{name} of a claim must be {wanted}, got {value!r}")
            values[name] = tuple(value) if several else value
        for measure in (*values["measures"], *values.get("beside", ())):
            check_name("measure", measure, WEIGHTED)
        return cls(**values)
