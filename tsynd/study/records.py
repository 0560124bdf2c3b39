"""A study's folder: a record for each run that was tried, the answers of each that was done, and the table of them.

study.yaml          the study with every default written out
runs/<key>.json     the record: what was run, on what, and its metrics, or why there are none
runs/<key>.npz      what it answered, image by image
runs.csv            a row a record
shared/, locks/     autoencoders that arms share, and who is at work: only while it runs
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from torch import Tensor

from tsynd.data import Split
from tsynd.errors import TsyndError, differences
from tsynd.runs.run import Run
from tsynd.study.plan import TEXTS, Planned, Study, without_later
from tsynd.study.table import COLUMNS, as_csv, row, withheld
from tsynd.utils.atomic_files import write_json, write_npz, write_text
from tsynd.utils.environment import METHOD_VERSION
from tsynd.utils.rules import validated
from tsynd.utils.safe_parsing import from_json, from_yaml

STUDY, RUNS, TABLE, SHARED, LOCKS = "study.yaml", "runs", "runs.csv", "shared", "locks"


def open_study(folder: Path, study: Study) -> None:
    """Make a study's folder ready: new, or that of the same study; nothing is written where `check_study` refuses."""
    check_study(folder, study)
    write_text(folder / STUDY, yaml.safe_dump(study.resolved(), sort_keys=False, allow_unicode=True, width=120))


def check_study(folder: Path, study: Study) -> None:
    """Whether a study may be run in a folder: sets, seeds and arms may have been added.

    Raises:
        TsyndError: when the folder is another study's; when a default has changed or runs would be left out, with the
            difference; when a record is of another version of the method.
    """
    if folder.exists() and not folder.is_dir():
        raise TsyndError(f"--out {folder} is a file: name a folder")
    present = {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.exists() else set()
    if STUDY in present:  # one look: another call may be writing it just now
        before = read_yaml(folder / STUDY)
        if differing := differences(_flat(before), _flat(study.resolved())):
            raise TsyndError(f"--out {folder} holds a study with other defaults ({differing}): name a new folder")
    elif present:
        raise TsyndError(f"--out {folder} is not empty and holds no study: name a new folder")
    planned = {each.key for each in study.runs()}
    for record in read_records(folder):
        named = f"{record['data']}, {record['per_class']} per class, seed {record['seed']}, arm {record['arm']}"
        if record["method_version"] != METHOD_VERSION:
            made = f"of method version {record['method_version']}, this tsynd has version {METHOD_VERSION}"
            raise TsyndError(f"--out {folder} holds a run {made} ({named}): name a new folder")
        if record["key"] not in planned:
            raise TsyndError(f"--out {folder} holds a run that the study file does not name, or has changed ({named})")


@validated
def read_records(folder: str | Path) -> list[dict[str, Any]]:
    """All records of a study's folder, sorted by key; TsyndError when one is damaged."""
    return [read_record(path) for path in sorted((Path(folder) / RUNS).glob("*.json")) if not path.name.startswith(".")]


def read_record(path: Path) -> dict[str, Any]:
    """One record; TsyndError when it is damaged or is none."""
    record = _parsed(path, from_json, "JSON")
    needed = ("key", "status", "data", "size", "per_class", "arm", "seed", "metrics", "error", "method_version")
    if not isinstance(record, dict) or any(name not in record for name in needed) or record["key"] != path.stem:
        raise TsyndError(f"{path} is not the record of a run: move it away, and the study runs that run again")
    return record


def finished(folder: Path, planned: Planned) -> bool:
    """Whether a run is done, with its answers."""
    path = folder / RUNS / f"{planned.key}.json"
    return path.exists() and path.with_suffix(".npz").exists() and read_record(path)["status"] == "done"


def write_done(folder: Path, planned: Planned, run: Run, facts: Mapping[str, Any]) -> None:
    """Write the answers, then the record: a run is done when its record says so."""
    path = folder / RUNS / planned.key
    write_npz(path.with_suffix(".npz"), **_answers(run))
    kept = {name: value for name, value in run.metrics.items() if name not in ("versions", "method_version")}
    write_json(path.with_suffix(".json"), _record(planned, "done", facts) | {"metrics": _rounded(kept)}, indent=None)


def write_undone(folder: Path, planned: Planned, status: str, error: str, facts: Mapping[str, Any]) -> None:
    """Record that a run failed, or that its data set is missing, and why."""
    write_json(folder / RUNS / f"{planned.key}.json", _record(planned, status, facts) | {"error": error})


def write_table(folder: Path) -> None:
    """Write `runs.csv` from the records."""
    write_text(folder / TABLE, as_csv(COLUMNS, map(row, read_records(folder))))


def _record(planned: Planned, status: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    config = planned.config
    what = {"data": config.data, "size": config.size, "per_class": config.per_class or "all", "arm": planned.arm}
    empty = {"seed": config.seed, "error": None, "metrics": None}
    resolved = {"method_version": METHOD_VERSION, "config": config.resolved()}
    return {"schema": 1, "key": planned.key, "status": status} | what | empty | dict(facts) | resolved


def _answers(run: Run) -> dict[str, np.ndarray]:
    """What the report is computed from, of the N test images in the order of the file."""
    if run.answers is None:
        raise TsyndError("a run that was read from its folder has no answers left: run it again")
    found = run.answers
    corrupted = [value for name, value in found.items() if name.startswith("corruption ")]
    arrays: dict[str, Tensor] = {
        "labels": found["labels"],
        "probs": found["probs"].float(),
        "augmented": found["test_time_augmentation outside"],
        "augmented_inside": found["test_time_augmentation inside"],
        "corrupted": sum(corrupted[1:], corrupted[0]) / len(corrupted),
        "pgd_2_255": found["pgd 0.0078"],
        "pgd_4_255": found["pgd 0.0157"],
        "information": found["mutual_information"].float(),
    }
    strong = {"apgd_4_255": "apgd 0.0157", "square_4_255": "squares 0.0157"}
    arrays |= {name: found[answer] for name, answer in strong.items() if answer in found}
    if hidden := withheld(run.config["data"]):
        split: Split = getattr(run.data, run.config["evaluate"])
        arrays["subgroup"] = split.subgroups[hidden]
    # Shares that are all 0 or 1 as bool: a tenth of the file.
    shares = {name: array for name, array in arrays.items() if array.is_floating_point() and array.ndim == 1}
    few = {name for name, array in shares.items() if bool(((array == 0) | (array == 1)).all())}
    return {name: (array.bool() if name in few else array).numpy() for name, array in arrays.items()}


def _rounded(value: Any) -> Any:
    """Numbers to six digits after the point, in whatever holds them."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def _flat(study: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a study as one level: what may not change."""
    kept = {name: study.get(name) for name in ("name", "primaries", "budget", "size", "evaluate", "method_version")}
    for section in ("recipe", "evaluation"):
        kept |= {f"{section}.{name}": value for name, value in without_later(study.get(section) or {}).items()}
    return kept


def _parsed(path: Path, parse: Callable[[str], Any], kind: str) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TsyndError(f"{path} cannot be read as {kind}: {error}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The resolved study of a folder; TsyndError when the file is missing or damaged."""
    found = _parsed(path, from_yaml, "YAML")
    if not isinstance(found, dict) or not {*TEXTS, "tiers", "primaries"} <= found.keys():
        raise TsyndError(f"{path} is not a study of `tsynd study run`: it lacks tiers, primaries or a text")
    return found
