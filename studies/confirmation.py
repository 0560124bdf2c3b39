"""The registered confirmation: run it on the data sets of a folder, decide its hypotheses, and write the book's page.

    TSYND_CONFIRMATION=FOLDER python studies/confirmation.py --out results/confirmation --jobs 2 --hours 6

What is run and how it is decided stands in `studies/confirmation.yaml`, which was registered before the data were seen;
nothing here chooses anything. Called again, it goes on. Without the folder, or with `--report`, it runs nothing and writes the
page from what is there. `--out` gets a study's folder for each tier, `differences.csv`, `verdicts.json`, and `sets.json`, which
sets took part.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from confirmation_page import VARIABLE, page, waiting

from tsynd.data.splits import proportional
from tsynd.errors import TsyndError
from tsynd.study.comparisons import Answers, Difference
from tsynd.study.plan import Study, Tier
from tsynd.study.records import RUNS, read_records
from tsynd.study.runner import run_study
from tsynd.study.statistics import SMALLEST, holm
from tsynd.utils.atomic_files import write_json, write_npz, write_text
from tsynd.utils.environment import METHOD_VERSION
from tsynd.utils.safe_parsing import open_npz

HERE = Path(__file__).resolve().parent
REGISTERED, PAGE = HERE / "confirmation.yaml", HERE.parent / "book" / "confirmation.md"
SPLITS = ("train", "val", "test")


def registration(path: Path = REGISTERED) -> dict[str, Any]:
    """What was registered."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def prepare(source: Path, target: Path, most: Mapping[str, int]) -> dict[str, Any]:
    """Write a set as it takes part: at most so many images of a split; and say what it is, for `sets.json`.

    Raises:
        TsyndError: for a multi-label set, or a file that is not in MedMNIST layout.
    """
    with open_npz(source) as file:
        arrays = {name: file[name] for name in file.files if name.split("_")[0] in SPLITS}
    if missing := [f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels") if f"{split}_{kind}" not in arrays]:
        raise TsyndError(f"{source.name} lacks {', '.join(missing)}")
    if arrays["train_labels"].ndim == 2 and arrays["train_labels"].shape[1] > 1:
        raise TsyndError(f"{source.name} is multi-label, which the registered measures do not cover")
    classes = tuple(map(str, np.unique(arrays["train_labels"])))
    for split, limit in most.items():
        labels = torch.from_numpy(arrays[f"{split}_labels"].astype(np.int64).ravel())
        if len(labels) > limit:
            kept = proportional(labels, classes, limit / len(labels), seed=0).numpy()
            for name in [name for name in arrays if name.startswith(f"{split}_")]:
                arrays[name] = arrays[name][kept]
    write_npz(target, **arrays)
    counts = {split: len(arrays[f"{split}_labels"]) for split in SPLITS}
    smallest = int(np.unique(arrays["train_labels"], return_counts=True)[1].min())
    patients = {"test_patients": len(np.unique(arrays["test_groups"]))} if "test_groups" in arrays else {}
    return counts | {"classes": len(classes), "smallest_class": smallest} | patients


def tiers(plan: Mapping[str, Any], sets: Mapping[str, Mapping[str, Any]]) -> dict[str, Study]:
    """A study for each tier, of the sets that have enough images for it."""
    first, last = map(int, plan["seeds"].split("-"))
    found = {}
    for tier in plan["tiers"]:
        count = tier["per_class"]
        places = tuple((f"{name}.npz", count) for name, facts in sets.items() if facts["smallest_class"] >= count)
        arms = {name: (plan["arms"][name]["arm"], plan["arms"][name].get("changes", {})) for name in tier["arms"]}
        one = Tier(tier["name"], places, tuple(range(first, last + 1)), arms)
        settings = {name: plan[name] for name in ("budget", "evaluate", "changes", "question", "decision")}
        found[tier["name"]] = Study(f"confirmation-{tier['name']}", (one,) if places else (), size=tier["size"], **settings)
    return found


def expected_hours(study: Study, done: Sequence[tuple[Study, Path]], jobs: int) -> float | None:
    """How long the runs of a tier will take, by the runs of all tiers that are done, in proportion to their pixels."""
    times: dict[str, list[float]] = {}
    for other, folder in done:
        for record in read_records(folder) if (folder / RUNS).exists() else ():
            if isinstance(record.get("elapsed"), int | float):
                scaled = record["elapsed"] * (study.size / other.size) ** 2
                for name in (record["arm"], ""):
                    times.setdefault(name, []).append(scaled)
    if not times:
        return None
    mean = {name: float(np.mean(values)) for name, values in times.items()}
    return sum(mean.get(each.arm, mean[""]) for each in study.runs()) / 3600 / jobs


def run(plan: Mapping[str, Any], folder: Path, out: Path, *, jobs: int, hours: float, cache: Path) -> None:
    """Run the tiers in order, those that fit into the hours."""
    started, sets, refused = time.monotonic(), dict[str, Any](), dict[str, str]()
    for source in sorted(folder.glob("*.npz")):
        try:
            most = {"train": plan["most_train"], "test": plan["most_test"]}
            sets[source.stem] = prepare(source, cache / source.name, most)
        except TsyndError as error:
            refused[source.stem] = str(error)
    if not sets:
        raise TsyndError(f"{VARIABLE} must name a folder with data sets as .npz files in MedMNIST layout, found none that fits")
    for name in sets:  # a bootstrap of patients needs to know whose image each is, also when the sets are gone
        with open_npz(cache / f"{name}.npz") as file:
            if "test_groups" in file.files:
                write_npz(out / "patients" / f"{name}.npz", groups=np.unique(file["test_groups"], return_inverse=True)[1])
    told: dict[str, Any] = {"sets": sets, "refused": refused, "cut": []}
    studies = tiers(plan, sets)
    done: list[tuple[Study, Path]] = []
    for name, study in studies.items():
        expected = expected_hours(study, done, jobs)
        left = hours - (time.monotonic() - started) / 3600
        if expected is not None and (told["cut"] or expected > left):
            told["cut"].append({"tier": name, "expected_hours": round(expected, 1), "left_hours": round(left, 1)})
            continue
        if study.tiers:
            with chdir(cache):  # so that records name a set and no folder of this machine
                run_study(study, out / name, jobs=jobs)
            done.append((study, out / name))
    write_json(out / "sets.json", told)


def groups_of(out: Path) -> dict[str, Any]:
    """The patient of each test image, for the sets that say it."""
    found = {}
    for path in sorted((out / "patients").glob("*.npz")):
        with open_npz(path) as file:
            found[path.name] = file["groups"]
    return found


def decide(plan: Mapping[str, Any], found: Mapping[tuple[str, str], Mapping[str, Difference]]) -> list[dict[str, Any]]:
    """The verdict on each hypothesis.

    Args:
        plan: the registration.
        found: for each hypothesis and measure, the differences by set, and that of the mean under the empty name.
    """
    rows = []
    for hypothesis in plan["hypotheses"]:
        at = found.get((hypothesis["name"], hypothesis["primary"]), {})
        rows.append({"hypothesis": hypothesis["name"], "difference": at.get(""), "sets": {k: v for k, v in at.items() if k}})
    adjusted = holm([row["difference"].found.p if row["difference"] else 1.0 for row in rows])
    for row, hypothesis, p in zip(rows, plan["hypotheses"], adjusted, strict=True):
        difference, over = row["difference"], row["sets"]
        safe = {
            name: (found.get((hypothesis["name"], name), {}).get(""), margin) for name, margin in hypothesis["safety"].items()
        }
        ahead = sum(each.found.mean > 0 for each in over.values())
        row |= {"p_holm": p, "ahead": ahead, "verdict": "undecided"}
        if difference is None or len(over) < plan["least_sets"]:
            continue
        broken = [name for name, (each, margin) in safe.items() if each is not None and each.found.high < -margin]
        kept = all(each is not None and each.found.low > -margin for each, margin in safe.values())
        if difference.found.high < SMALLEST or broken:
            row["verdict"] = "refuted"
        elif difference.found.low > 0 and p <= 0.05 and 3 * ahead >= 2 * len(over) and kept:
            row["verdict"] = "supported"
    return rows


def compared(plan: Mapping[str, Any], answers: Answers) -> dict[tuple[str, str], dict[str, Difference]]:
    """Every difference that a hypothesis asks for: by hypothesis and measure, then by set, the mean under the empty name."""
    found: dict[tuple[str, str], dict[str, Difference]] = {}
    sizes = dict(answers.places())
    for hypothesis in plan["hypotheses"]:
        arm, other = hypothesis["arm"], hypothesis["other"]
        for name in (hypothesis["primary"], *hypothesis["safety"]):
            at = {place[0]: answers.difference(place, arm, other, name) for place in answers.places()}
            one = {data: each[0] for data, each in at.items() if each is not None}
            if one and (mean := answers.mean_difference(arm, other, name, sizes)):
                found[hypothesis["name"], name] = one | {"": mean}
    return found


def report(plan: Mapping[str, Any], out: Path) -> str:
    """Decide what has been run, write the tables into `out`, and return the page."""
    lines, verdicts = list[dict[str, Any]](), None
    for tier in plan["tiers"]:
        folder = out / tier["name"]
        if not (folder / RUNS).exists():
            continue
        found = compared(plan, Answers(folder, groups=groups_of(out)))
        for (hypothesis, name), places in found.items():
            for where, each in places.items():
                interval = {end: round(getattr(each.found, end), 5) for end in ("mean", "low", "high", "p")}
                wide = {f"components_{end}": round(getattr(each.components, end), 5) for end in ("low", "high")}
                head = {"tier": tier["name"], "hypothesis": hypothesis, "measure": name, "set": where or "mean over sets"}
                lines.append(head | {"seeds": each.seeds} | interval | wide)
        if tier == plan["tiers"][0]:
            verdicts = decide(plan, found)
    if verdicts is None:
        return waiting(plan)
    write_text(out / "differences.csv", pd.DataFrame(lines).to_csv(index=False))
    kept = ("hypothesis", "verdict", "p_holm", "ahead")
    write_json(out / "verdicts.json", [{name: row[name] for name in kept} | {"sets": len(row["sets"])} for row in verdicts])
    return page(plan, out, verdicts, lines)


def main() -> int:
    """Run, report and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--jobs", type=int, default=2, help="processes on this machine")
    parser.add_argument("--hours", type=float, default=6.0, help="tiers that are not expected to fit in are left out")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page of the book to write")
    parser.add_argument("--report", action="store_true", help="run nothing")
    options = parser.parse_args()
    plan, folder, out = registration(), os.environ.get(VARIABLE), options.out.absolute()
    if plan["method_version"] != METHOD_VERSION:
        parser.error(f"version {plan['method_version']} of the method is registered, this is {METHOD_VERSION}")
    if folder and not options.report:
        with tempfile.TemporaryDirectory() as cache:
            run(plan, Path(folder).absolute(), out, jobs=options.jobs, hours=options.hours, cache=Path(cache))
    write_text(options.page, report(plan, out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
