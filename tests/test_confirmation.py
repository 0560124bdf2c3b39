"""The registered confirmation: it is frozen, its recipes are those that users call, and its one command runs on stand-in sets."""

import hashlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import confirmation
import numpy as np
import pytest
from confirmation_page import waiting

from tests.study.toy import few
from tsynd.errors import TsyndError
from tsynd.study.comparisons import MEAN, Difference
from tsynd.study.statistics import Interval, resampled_images, two_way
from tsynd.training import METHODS, parse_arm
from tsynd.training.arms import recipe_for

FROZEN = "47f2a189919508d91cd1a2c9c43aa407a4e26f56bdf93bc4e017306ae21cae02"
PLAN = confirmation.registration()
TINY = {"steps": 6, "batch_size": 8, "refresh_every": 2, "refresh_count": 4, "capacity": 8, "samples": 4, "ascent_steps": 1}
TINY |= {"autoencoder_steps": 2, "draws": 1, "attack_steps": 1, "unlabelled_batch": 8}


def test_what_is_registered_is_frozen() -> None:
    """To amend it before the data are seen: add to `amendments` and change the hash here. Afterwards it stays as it is."""
    assert hashlib.sha256(confirmation.REGISTERED.read_bytes()).hexdigest() == FROZEN


@pytest.mark.parametrize("name", ["recommended", "recommended+unlabelled", "fixmatch"])
def test_the_recipes_that_are_registered_are_those_that_users_call(name: str) -> None:
    registered = PLAN["arms"][name]
    assert parse_arm(registered["arm"]) == parse_arm(name)
    assert replace(recipe_for(registered["arm"]), **registered.get("changes", {})) == recipe_for(name)
    assert name in METHODS


def test_every_hypothesis_is_about_arms_of_the_first_tier() -> None:
    assert {each[which] for each in PLAN["hypotheses"] for which in ("arm", "other")} <= set(PLAN["tiers"][0]["arms"])
    assert {arm for tier in PLAN["tiers"] for arm in tier["arms"]} == set(PLAN["arms"])


def test_until_it_is_run_the_page_says_that_it_waits() -> None:
    assert confirmation.PAGE.read_text(encoding="utf-8") == waiting(PLAN)


def test_one_command_runs_reports_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stand-in sets, one with patients; two seeds, two arms, two tiers, of which one has too few images for the sets."""
    (tmp_path / "sets").mkdir()
    with np.load(few(tmp_path)) as file:
        arrays = dict(file)
    np.savez(tmp_path / "sets" / "one.npz", **arrays)
    random = np.random.default_rng(1)
    arrays |= {"test_images": random.integers(0, 256, (30, 28, 28), dtype=np.uint8), "test_labels": np.arange(30)[:, None] % 2}
    np.savez(tmp_path / "sets" / "two.npz", **arrays, test_groups=np.array([f"patient {i // 3}" for i in range(30)]))
    np.savez(tmp_path / "sets" / "several.npz", **arrays | {"train_labels": np.ones((24, 3), dtype=np.uint8)})
    arms = ["mixup+trivialaugment", "recommended+unlabelled"]
    shapes = ({"name": "first", "size": 28, "per_class": 4}, {"name": "second", "size": 28, "per_class": 20})
    plan = PLAN | {"tiers": [shape | {"arms": arms} for shape in shapes], "seeds": "0-1", "budget": "smoke", "changes": TINY}
    plan |= {"least_sets": 2, "most_test": 20}
    monkeypatch.setattr(confirmation, "registration", lambda: plan)
    monkeypatch.setenv("TSYND_CONFIRMATION", str(tmp_path / "sets"))
    out, written = tmp_path / "out", tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["confirmation.py", "--out", str(out), "--jobs", "1", "--page", str(written)])
    assert confirmation.main() == 0
    said = written.read_text(encoding="utf-8")
    assert "waits" not in said and "`several` did not take part: several.npz is multi-label" in said
    verdicts = {each["hypothesis"]: each for each in json.loads((out / "verdicts.json").read_text())}
    assert verdicts["unlabelled"]["sets"] == 2 and verdicts["unlabelled"]["verdict"] in ("supported", "undecided", "refuted")
    assert verdicts["field"]["sets"] == 0 and verdicts["field"]["verdict"] == "undecided"  # its arms were not run
    told = json.loads((out / "sets.json").read_text())
    assert told["sets"]["two"]["test"] == 20 and told["sets"]["two"]["test_patients"] <= 10
    records = [json.loads(path.read_text()) for path in (out / "first" / "runs").glob("*.json")]
    assert len(records) == 8 and {record["status"] for record in records} == {"done"}
    assert {record["data"] for record in records} == {"one.npz", "two.npz"}  # no folder of this machine
    before = said
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--report"])
    assert confirmation.main() == 0 and written.read_text(encoding="utf-8") == before


def test_a_tier_that_does_not_fit_is_cut_with_all_after_it(tmp_path: Path) -> None:
    studies = confirmation.tiers(PLAN, {"a": {"smallest_class": 200}, "b": {"smallest_class": 50}})
    assert [len(study.runs()) for study in studies.values()] == [140, 30, 60, 30]
    first, third = studies["28-px-25"], studies["64-px-25"]
    assert confirmation.expected_hours(first, [], 2) is None
    (tmp_path / "runs").mkdir()
    record = dict.fromkeys(("key", "metrics", "size")) | {"status": "failed", "error": "no", "method_version": 4}
    record |= {"key": "k", "data": "a.npz", "per_class": 25, "arm": "recommended", "seed": 0, "elapsed": 36.0}
    (tmp_path / "runs" / "k.json").write_text(json.dumps(record))
    expected = 60 * 36.0 * (64 / 28) ** 2 / 3600 / 2
    assert confirmation.expected_hours(third, [(first, tmp_path)], 2) == pytest.approx(expected)


def difference(mean: float, half: float, p: float) -> Difference:
    one = Interval(mean, mean - half, mean + half, p)
    return Difference("a", "b", "auroc", (MEAN, "6"), 10, one, one)


def verdict(primary: tuple[float, float, float], safety: float = 0.0, ahead: int = 6, sets: int = 6) -> str:
    """The verdict on `search` with this difference in its primary measure, and this one in all measures of safety."""
    places = {f"set {i}": difference(0.1 if i < ahead else -0.1, 0.2, 0.5) for i in range(sets)}
    found = {("search", "pgd_2_255"): {"": difference(*primary)} | places}
    found |= {("search", name): {"": difference(safety, 0.005, 0.5)} | places for name in ("auroc", "balanced_accuracy")}
    return {row["hypothesis"]: row["verdict"] for row in confirmation.decide(PLAN, found)}["search"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"primary": (0.1, 0.05, 0.001)}, "supported"),
        ({"primary": (0.1, 0.05, 0.02)}, "undecided"),  # .1 by Holm over five hypotheses
        ({"primary": (0.1, 0.15, 0.2)}, "undecided"),
        ({"primary": (0.0, 0.005, 0.9)}, "refuted"),
        ({"primary": (0.1, 0.05, 0.001), "safety": -0.008}, "undecided"),  # the lower end is below the margin of .01
        ({"primary": (0.1, 0.05, 0.001), "safety": -0.03}, "refuted"),
        ({"primary": (0.1, 0.05, 0.001), "ahead": 3}, "undecided"),
        ({"primary": (0.1, 0.05, 0.001), "sets": 5, "ahead": 5}, "undecided"),
    ],
)
def test_a_hypothesis_is_decided_as_registered(settings: dict[str, Any], expected: str) -> None:
    assert verdict(**settings) == expected


def test_patients_are_resampled_with_all_their_images() -> None:
    labels, groups = np.arange(12) % 2, np.arange(12) // 3
    counts = resampled_images(labels, np.random.default_rng(0), 50, groups_N=groups)
    assert counts.shape == (50, 12) and (counts.reshape(50, 4, 3) == counts.reshape(50, 4, 3)[:, :, :1]).all()
    assert all((counts[:, labels == label].sum(axis=1) > 0).all() for label in (0, 1))
    assert len(np.unique(counts, axis=0)) > 10
    with pytest.raises(TsyndError, match="one for each of 12 images"):
        resampled_images(labels, np.random.default_rng(0), groups_N=groups[:5])


def test_the_interval_from_components_holds_the_true_difference_as_often_as_it_says() -> None:
    """Seeds, images and both: of 400 studies some 95 % must hold the truth, and fewer where the images are forgotten."""
    random, held = np.random.default_rng(0), {"two-way": 0, "seeds": 0}
    for _ in range(400):
        table = 0.02 + random.normal(0, 0.05, (10, 1)) + random.normal(0, 0.4, (1, 150)) + random.normal(0, 0.5, (10, 150))
        under = table @ random.multinomial(150, np.full(150, 1 / 150), size=200).T / 150
        both, seeds = two_way(table.mean(axis=1), under, 150), two_way(table.mean(axis=1), np.zeros((10, 2)), 150)
        held["two-way"] += both.low <= 0.02 <= both.high
        held["seeds"] += seeds.low <= 0.02 <= seeds.high
        assert math.isclose(both.mean, table.mean())
    assert 0.91 <= held["two-way"] / 400 <= 0.98 and held["seeds"] / 400 < 0.85
