"""Study files: what they say, what they may not say, and which runs they mean."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tsynd.errors import TsyndError
from tsynd.study import read_study
from tsynd.study.plan import Study, Tier
from tsynd.study.records import check_study, read_yaml

ROOT = Path(__file__).parents[2]
TIER = "{sets: [{data: phantom, per_class: 20}], seeds: 0-1, arms: [none, tsynd]}"
CLAIM = "{name: c, text: It helps, arm: tsynd, others: [none], measures: [auroc]}"


@pytest.mark.parametrize(
    "path", sorted(set((ROOT / "studies").glob("*.yaml")) - {ROOT / "studies/confirmation.yaml"}), ids=lambda path: path.stem
)
def test_the_project_s_studies_can_be_read(path: Path) -> None:
    found = read_study(path)
    assert found.name == path.stem
    assert len({each.key for each in found.runs()}) == len(found.runs()) > 0


def test_the_main_study_has_what_was_planned_before_it() -> None:
    found = read_study(ROOT / "studies/main.yaml")
    first = found.tiers[0]
    assert found.primaries == ("auroc", "augmented", "pgd_2_255")
    assert first.seeds == tuple(range(10))
    assert len(first.arms) == 23  # twenty that were planned, and the refined recipe with its two controls
    assert [per_class for _, per_class in first.sets] == [60, 25, 25, 60]
    assert found.tiers[2].sets[0] == ("breastmnist", None)


def test_runs_come_seed_by_seed_with_the_arms_of_a_block_together(written: Callable[[str], Path]) -> None:
    two = "{sets: [{data: phantom, per_class: 20}, {data: 'phantom:seed=1', per_class: all}], seeds: [3, 1], arms: [none, tsynd]}"
    found = read_study(written(f"name: toy\ntiers: [{two}]"))
    order = [(each.config.seed, each.config.data, each.config.per_class, each.arm) for each in found.runs()]
    assert order == [
        (3, "phantom", 20, "none"),
        (3, "phantom", 20, "tsynd"),
        (3, "phantom:seed=1", None, "none"),
        (3, "phantom:seed=1", None, "tsynd"),
        (1, "phantom", 20, "none"),
        (1, "phantom", 20, "tsynd"),
        (1, "phantom:seed=1", None, "none"),
        (1, "phantom:seed=1", None, "tsynd"),
    ]


def test_a_run_that_two_tiers_name_is_one_run(written: Callable[[str], Path]) -> None:
    assert len(read_study(written(f"name: toy\ntiers: [{TIER}, {TIER}]")).runs()) == 4


def test_changes_of_an_arm_and_of_the_study_reach_its_runs_and_change_their_keys(written: Callable[[str], Path]) -> None:
    arms = "[guarded, {name: far, arm: guarded, changes: {radius: 0.5}}]"
    tier = f"{{sets: [{{data: phantom, per_class: 20}}], seeds: 0, arms: {arms}}}"
    text = f"name: toy\nbudget: smoke\nchanges: {{steps: 7}}\ntiers: [{tier}]"
    near, far = read_study(written(text)).runs()
    assert (near.config.recipe.radius, far.config.recipe.radius) == (0.25, 0.5)
    assert near.config.evaluation.limit is None
    assert near.config.recipe.steps == far.config.recipe.steps == 7
    assert near.key != far.key


def test_the_key_is_of_all_that_matters_and_not_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**changed: object) -> str:
        return Study("toy", (Tier("all", (("phantom", 20),), (0,), {"none": ("none", {})}),), **changed).runs()[0].key  # type: ignore[arg-type]

    assert key() == key(question="another text")
    assert len({key(), key(size=32), key(budget="smoke"), key(evaluate="val"), key(changes={"radius": 0.1})}) == 5
    before = key()
    monkeypatch.setattr("tsynd.runs.config.METHOD_VERSION", 99)
    assert key() != before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "cannot be read as YAML"),
        (f"name: toy\ntiers: [{TIER}]\nclaims: [{{name: a}}]", "a claim must have name, text, arm, others and measures"),
        (
            f"name: toy\ntiers: [{TIER}]\nclaims: [{CLAIM.replace('auroc', 'aurok')}]",
            "unknown measure 'aurok': did you mean 'auroc'",
        ),
        (f"name: toy\ntiers: [{TIER}]\nclaims: [{CLAIM.replace('[none]', 'none')}]", "others of a claim must be a list of texts"),
        ("- none", "a study must be `key: value` pairs"),
        (f"tiers: [{TIER}]", "a study lacks name"),
        ("name: toy\ntiers: []", "tiers must be a list with at least one entry"),
        (f"name: toy\nteirs: 1\ntiers: [{TIER}]", "unknown key of a study 'teirs': did you mean 'tiers'"),
        (f"name: 3\ntiers: [{TIER}]", "name must be a text, got 3"),
        (f"name: toy\nprimaries: [auroc, acuracy]\ntiers: [{TIER}]", "unknown measure 'acuracy': did you mean 'accuracy'"),
        (f"name: toy\nbudget: gpuu\ntiers: [{TIER}]", "unknown budget 'gpuu': did you mean 'gpu'"),
        (f"name: toy\nchanges: {{radios: 1}}\ntiers: [{TIER}]", "unknown setting 'radios': did you mean 'radius'"),
        (f"name: toy\nchanges: {{limit: 64}}\ntiers: [{TIER}]", "a study tests on all images, got limit 64: leave it out"),
        (f"name: toy\nchanges: {{radius: -1}}\ntiers: [{TIER}]", "radius must be >= 0, got -1"),
        ("name: toy\ntiers: [{sets: [{data: phantom}], seeds: 0, arms: [none]}]", "a set lacks per_class"),
        (f"name: toy\ntiers: [{TIER.replace('20', 'few')}]", "per_class must be a whole number, got 'few'"),
        (f"name: toy\ntiers: [{TIER.replace('0-1', '[0, 1, 0]')}]", "seed 0 stands twice in tier 1"),
        (f"name: toy\ntiers: [{TIER.replace('0-1', '9-0')}]", "seeds must be whole numbers >= 0, as 0-9 or [0, 1, 2], got '9-0'"),
        (f"name: toy\ntiers: [{TIER.replace('0-1', '[]')}]", "seeds must be whole numbers"),
        (f"name: toy\ntiers: [{TIER.replace('none, tsynd', 'gaurded')}]", "arm 'gaurded': unknown arm 'gaurded': did you mean"),
        (f"name: toy\ntiers: [{TIER.replace('none, tsynd', 'none, none')}]", "arm 'none' stands twice in tier 1"),
        (
            f"name: toy\ntiers: [{TIER.replace('tsynd', '{name: same, arm: none}')}]",
            "arms 'none' and 'same' are the same run",
        ),
    ],
)
def test_a_wrong_study_file_is_named_with_what_would_be_right(written: Callable[[str], Path], text: str, words: str) -> None:
    path = written(text)
    with pytest.raises(TsyndError) as caught:
        read_study(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_study_file(tmp_path: Path) -> None:
    with pytest.raises(TsyndError, match=r"no.yaml is missing: name a study file"):
        read_study(tmp_path / "no.yaml")


def test_committed_results_are_those_of_the_study_file_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys last: an option that comes later may not orphan what was measured before it, by the method's version of then."""
    for path in sorted((ROOT / "results").glob("*/study.yaml")):
        for module in ("runs.config", "study.records"):
            monkeypatch.setattr(f"tsynd.{module}.METHOD_VERSION", read_yaml(path)["method_version"])
        study = read_study(ROOT / "studies" / f"{path.parent.name}.yaml")
        planned = {each.key for each in study.runs()}
        done = {file.stem for file in (path.parent / "runs").glob("*.json")}
        assert done <= planned, path
        check_study(path.parent, study)


def test_a_later_option_changes_the_key_when_it_is_on(written: Callable[[str], Path]) -> None:
    pixels, latent = (
        "{name: pixels, arm: guarded, changes: {space: pixel}}",
        "{name: latent, arm: tsynd, changes: {space: latent}}",
    )
    arms = f"[guarded, {pixels}, {latent}, tsynd]"
    tier = f"{{sets: [{{data: phantom, per_class: 20}}], seeds: 0, arms: {arms}}}"
    with pytest.raises(TsyndError, match="arms 'latent' and 'tsynd' are the same run"):
        read_study(written(f"name: toy\ntiers: [{tier}]"))
    near, far = read_study(written(f"name: toy\ntiers: [{tier.replace(', tsynd]', ']')}]")).runs()[:2]
    assert near.key != far.key
