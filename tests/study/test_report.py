"""`tsynd study report` on a study whose effects are known."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tsynd.errors import TsyndError
from tsynd.study import write_report
from tsynd.study.claims import Claim
from tsynd.study.comparisons import MEAN, Difference
from tsynd.study.report import _adjust, _claims, _line
from tsynd.study.statistics import Interval
from tsynd.study.table import PRIMARIES
from tsynd.utils.atomic_files import write_npz, write_text
from tsynd.utils.environment import METHOD_VERSION

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = yaml.safe_load((ROOT / "studies" / "main.yaml").read_text(encoding="utf-8"))["claims"]
ARMS = {
    "none": 0.0, "reconstruction": 0.0, "random": 0.0, "sham": 0.0, "entropy": 0.0, "tsynd": 0.2, "mixup": 0.0, "pgd": 0.3,
    "mixup+pgd": 0.3, "guarded+mixup": 0.0, "guarded+mixup+pixel": 0.3, "label-smoothing": 0.0, "trivialaugment": 0.0,
}  # fmt: skip
"""By how much the chance to be right is above that of `none`, in every measure."""


def simulate(folder: Path, sets: tuple[str, ...] = ("a", "b"), seeds: int = 6, images: int = 120) -> Path:
    tier = {"name": "all", "sets": [{"data": data, "per_class": 20} for data in sets], "seeds": list(range(seeds)), "arms": []}
    study = {"name": "toy", "question": "Q?", "decision": "D.", "primaries": [*PRIMARIES], "tiers": [tier], "claims": CLAIMS}
    write_text(folder / "study.yaml", json.dumps(study))
    labels = np.arange(images) % 2
    for data in sets:
        for seed in range(seeds):
            for arm, gain in ARMS.items():
                key = f"{data}-{seed}-{arm}".replace("+", "_")
                random = np.random.default_rng([ord(data), seed, len(arm), len(key)])
                right = random.random(images) < 0.6 + gain
                sure = 0.5 + 0.4 * random.random(images)
                of_label = np.where(right, sure, 1 - sure)
                probs = np.stack(
                    [np.where(labels == 0, of_label, 1 - of_label), np.where(labels == 1, of_label, 1 - of_label)], 1
                )
                shares = dict.fromkeys(("augmented", "augmented_inside", "corrupted", "pgd_2_255", "pgd_4_255"), right * 1.0)
                write_npz(folder / "runs" / f"{key}.npz", labels=labels, probs=probs.astype(np.float32), **shares)
                write_text(folder / "runs" / f"{key}.json", json.dumps(record(key, data, seed, arm, right.mean())))
    return folder


def record(key: str, data: str, seed: int, arm: str, value: float) -> dict[str, Any]:
    what = {"key": key, "status": "done", "data": data, "size": 28, "per_class": 20, "arm": arm, "seed": seed, "error": None}
    metrics = {
        "clean": dict.fromkeys(("accuracy", "balanced_accuracy", "auroc", "nll", "ece"), value),
        "test_time_augmentation": {"outside": {"mean": value}},
        "corruptions": {"blur": {"1": value}},
        "attacks": {"pgd": {"0.0078": value, "0.0157": value}},
        "subgroups": {},
        "seconds": {"warmup": 1.0, "targeting": 1.0, "training": len(arm)},
    }
    return what | {"metrics": metrics, "method_version": METHOD_VERSION, "cpu": "a processor"}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = simulate(tmp_path_factory.mktemp("study"))
    write_report(folder)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_known_effects_get_their_verdicts(reported: Path) -> None:
    found = {each["claim"]: each["verdict"] for each in rows(reported / "report/claims.csv")}
    assert found["accuracy"] == found["augmentation"] == found["attacks"] == found["objective"] == "supported"
    assert found["ceiling"] == "not supported"  # .2 against .3
    assert found["recipe"] in ("undecided", "not supported")
    assert found["adversarial"] == "undecided"  # its strong attacks were not measured
    text = (reported / "report/report.md").read_text()
    assert "Not measured: APGD 4/255 against mixup+pgd" in text
    assert "156 runs are done, 0 failed, 0 lack their data. On: a processor." in text


def test_every_number_can_be_recomputed_from_the_answers(reported: Path) -> None:
    lines = rows(reported / "report/differences.csv")
    line = next(each for each in lines if (each["data"], each["other"], each["measure"]) == ("a", "random", "accuracy"))
    differences = []
    for seed in range(6):
        accuracy = {}
        for arm in ("tsynd", "random"):
            with np.load(reported / "runs" / f"a-{seed}-{arm}.npz") as answers:
                accuracy[arm] = (answers["probs"].argmax(1) == answers["labels"]).mean()
        differences.append(accuracy["tsynd"] - accuracy["random"])
    assert float(line["mean"]) == pytest.approx(np.mean(differences), abs=1e-4)
    assert float(line["low"]) < float(line["mean"]) < float(line["high"])
    mean = next(
        each for each in lines if (each["data"], each["other"], each["measure"]) == ("mean over sets", "random", "accuracy")
    )
    of_sets = [
        float(each["mean"])
        for each in lines
        if each["data"] in "ab" and (each["other"], each["measure"], each["claim"]) == ("random", "accuracy", "accuracy")
    ]
    assert float(mean["mean"]) == pytest.approx(np.mean(of_sets), abs=1e-4)
    assert float(mean["high"]) - float(mean["low"]) < float(line["high"]) - float(line["low"])


def test_losses_are_turned_so_that_better_is_positive(reported: Path) -> None:
    line = next(each for each in rows(reported / "report/differences.csv") if (each["measure"], each["other"]) == ("nll", "none"))
    assert float(line["mean"]) > 0


def test_holm_is_over_the_measures_that_decide_together(reported: Path) -> None:
    group = [
        each
        for each in rows(reported / "report/differences.csv")
        if (each["claim"], each["data"], each["other"]) == ("recipe", "a", "mixup")
    ]
    assert [each["measure"] for each in group] == ["auroc", "augmented", "pgd_2_255"]
    smallest = min(group, key=lambda each: float(each["p"]))
    assert float(smallest["p_holm"]) == pytest.approx(min(1.0, 3 * float(smallest["p"])), abs=2e-5)


@pytest.mark.parametrize(
    ("p_values", "verdicts"),
    [
        ((0.01, 0.02, 0.04), ["supported", "supported", "supported"]),
        ((0.02, 0.02, 0.04), ["undecided", "undecided", "undecided"]),  # the smallest times three is above .05
        ((0.01, 0.03, 0.04), ["supported", "undecided", "undecided"]),
    ],
)
def test_what_holm_does_not_let_pass_is_undecided(p_values: tuple[float, ...], verdicts: list[str]) -> None:
    claim = Claim("toy", "Toys", "tsynd", ("none",), PRIMARIES, every=True)
    found = [
        (claim, Difference("tsynd", "none", name, ("a", "20"), 9, Interval(0.1, 0.02, 0.2, p), Interval(0.1, 0.05, 0.15, p)))
        for name, p in zip(PRIMARIES, p_values, strict=True)
    ]
    lines = [_line(*each) for each in found]
    assert {line["verdict"] for line in lines} == {"supported"}
    _adjust(found, lines)
    assert [line["verdict"] for line in lines] == verdicts


@pytest.mark.parametrize(("others", "verdict"), [(("none",), "supported"), (("none", "random"), "undecided")])
def test_a_claim_is_not_supported_while_a_comparison_is_missing(others: tuple[str, ...], verdict: str) -> None:
    claim = Claim("toy", "Toys", "tsynd", others, ("auroc",))
    found = [
        (
            claim,
            Difference("tsynd", "none", "auroc", (MEAN, "1"), 9, Interval(0.1, 0.02, 0.2, 0.01), Interval(0.1, 0.05, 0.15, 0.01)),
        )
    ]
    (told,) = _claims(found, [_line(*each) for each in found], [])
    assert told["verdict"] == verdict
    assert ("Not measured: AUROC against random." in told["sentence"]) == (verdict == "undecided")


@pytest.mark.parametrize(("low", "verdict"), [(0.02, "supported"), (-0.02, "undecided")])
def test_a_claim_is_supported_when_every_comparison_is(low: float, verdict: str) -> None:
    claim = Claim("toy", "Toys", "tsynd", ("none", "random"), ("auroc",))
    intervals = {"none": Interval(0.1, 0.02, 0.2, 0.01), "random": Interval(0.1, low, 0.2, 0.01)}
    found = [(claim, Difference("tsynd", other, "auroc", (MEAN, "1"), 9, each, each)) for other, each in intervals.items()]
    (told,) = _claims(found, [_line(*each) for each in found], [])
    assert told["verdict"] == verdict


def test_one_run_on_a_machine_that_slept_does_not_spoil_the_cost(tmp_path: Path) -> None:
    folder = simulate(tmp_path, sets=("a",), seeds=5, images=20)
    path = folder / "runs" / "a-3-mixup.json"
    slept = json.loads(path.read_text())
    slept["metrics"]["seconds"]["training"] = 1e4
    path.write_text(json.dumps(slept))
    write_report(folder)
    means = {each["arm"]: each for each in rows(folder / "report/means.csv")}
    assert float(means["mixup"]["seconds"]) == 7
    assert float(means["mixup"]["cost"]) == pytest.approx(7 / 6, abs=1e-3)
    assert float(means["none"]["cost"]) == 1


def test_failed_checks_are_counted_and_named(tmp_path: Path) -> None:
    folder = simulate(tmp_path, sets=("a",), seeds=2, images=20)
    for seed in (0, 1):
        path = folder / "runs" / f"a-{seed}-pgd.json"
        checked = json.loads(path.read_text())
        checked["metrics"]["checks"] = [{"name": "steps", "passed": True}, {"name": "black box", "passed": seed == 0}]
        path.write_text(json.dumps(checked))
    write_report(folder)
    assert rows(folder / "report/checks.csv") == [{"arm": "pgd", "runs": "2", "failed": "1", "which": "a, seed 1: black box"}]
    assert "| `pgd` | 2 | 1 | a, seed 1: black box |" in (folder / "report/report.md").read_text()


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([{"name": "steps", "passed": True}], "supported"),
        ([{"name": "steps", "passed": True}, {"name": "black box", "passed": False}], "undecided"),
        ([], "undecided"),
    ],
)
def test_replacing_adversarial_training_asks_for_checks_and_not_for_the_likelihood(
    checks: list[dict[str, Any]], verdict: str, tmp_path: Path
) -> None:
    folder = simulate(tmp_path, sets=("a",), seeds=4, images=60)
    for path in folder.glob("runs/*.npz"):
        with np.load(path) as found:
            answers = dict(found)
        ours = "pixel" in path.name
        # Ours is always right, and hardly dares to say so: the likelihood is worse, all else better.
        shy = np.stack([1 - answers["labels"], answers["labels"]], 1) * 0.02 + 0.49
        probs = shy if ours else 0.02 + 0.96 * (answers["probs"] > 0.5)
        strong = {name: np.full(60, float(ours)) for name in ("pgd_4_255", "apgd_4_255", "square_4_255")}
        write_npz(path, **answers | strong | {"probs": probs.astype(np.float32)})
        told = json.loads(path.with_suffix(".json").read_text())
        if ours and checks:
            told["metrics"]["checks"] = checks
            path.with_suffix(".json").write_text(json.dumps(told))
    assert write_report(folder)["adversarial"] == verdict
    lines = [each for each in rows(folder / "report/differences.csv") if each["claim"] == "adversarial"]
    assert {each["measure"] for each in lines if each["verdict"] == "not supported"} == {"nll"}
    assert {each["p"] for each in lines} == {""}


def test_the_same_records_give_the_same_files(reported: Path) -> None:
    before = {path.name: path.read_bytes() for path in (reported / "report").iterdir()}
    write_report(reported)
    assert {path.name: path.read_bytes() for path in (reported / "report").iterdir()} == before
    tables = {"claims.csv", "differences.csv", "means.csv", "checks.csv"}
    assert set(before) == tables | {"report.md", "forest.svg", "pareto.svg"}


def test_a_seed_that_one_arm_lacks_is_left_out_of_its_pairs(tmp_path: Path) -> None:
    folder = simulate(tmp_path, sets=("a",), seeds=3, images=40)
    path = folder / "runs" / "a-1-tsynd.json"
    failed = json.loads(path.read_text()) | {"status": "failed", "metrics": None, "error": "planted"}
    path.write_text(json.dumps(failed))
    write_report(folder)
    seeds = {each["claim"]: each["seeds"] for each in rows(folder / "report/differences.csv") if each["data"] == "a"}
    assert (seeds["accuracy"], seeds["recipe"]) == ("2", "3")
    assert "seed 1, tsynd: planted" in (folder / "report/report.md").read_text()


def test_what_cannot_be_reported(tmp_path: Path) -> None:
    with pytest.raises(TsyndError, match="holds no runs: name the folder of a study"):
        write_report(tmp_path)
    folder = simulate(tmp_path, sets=("a",), seeds=2, images=20)
    (folder / "runs" / "a-0-none.npz").write_bytes(b"cut")
    with pytest.raises(TsyndError, match=r"a-0-none.npz cannot be read.*run `tsynd study run` again"):
        write_report(folder)
    path = folder / "runs" / "a-0-sham.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"method_version": 1}))
    with pytest.raises(TsyndError, match="holds runs of method versions 1, "):
        write_report(folder)
