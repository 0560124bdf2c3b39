"""Every task, grey and RGB, every published size: small files in MedMNIST's layout go through all that a user calls."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tsynd
from tsynd.data.registry import REGISTRY
from tsynd.files import write_npz

Command = Callable[..., tuple[int, str, str]]
FEW = {"train": 6, "val": 2, "test": 3}  # images a class, or a label


def official(folder: Path, name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that stands in for a published one: its facts but for the number of images and the checksum."""
    facts, random = REGISTRY[name], np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for split, few in FEW.items():
        labels = np.repeat(np.arange(len(facts.classes)), few)
        shape = (len(labels), size, size, 3) if facts.channels == 3 else (len(labels), size, size)
        arrays[f"{split}_images"] = random.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = labels[:, None].astype(np.uint8)
        if facts.task == "multi-label":  # the last label stands alone, images of the first have it and no other, or none
            several = np.eye(len(facts.classes), dtype=np.uint8)[labels] | (random.random((len(labels), 1)) < 0.3)
            several[:2], several[-1] = 0, several[-1]
            arrays[f"{split}_labels"] = several
    path = folder / facts.file(size)
    write_npz(path, **arrays)
    counts = tuple(few * len(facts.classes) for few in FEW.values())
    md5 = facts.md5 | {size: hashlib.md5(path.read_bytes()).hexdigest()}
    monkeypatch.setitem(REGISTRY, name, replace(facts, counts=counts, md5=md5))
    monkeypatch.setenv("TSYND_DATA", str(folder))


@pytest.mark.parametrize(
    ("name", "size"), [("breastmnist", 28), ("bloodmnist", 28), ("chestmnist", 28), ("retinamnist", 64), ("octmnist", 128)]
)
def test_all_that_a_user_calls(name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    official(tmp_path, name, size, monkeypatch)
    facts, out = REGISTRY[name], tmp_path / "run"
    options = ["--data", name, "--size", size, "--budget", "smoke", "--device", "cpu", "--quiet"]
    code, _, error = command("run", *options, "--arm", "guarded+mixup+pixel", "--out", out)
    assert (code, error) == (0, "")
    metrics = json.loads((out / "metrics.json").read_text())
    assert 0 <= metrics["clean"]["accuracy"] <= 1
    assert ("quadratic_kappa" in metrics["clean"]) == (facts.task == "ordinal")
    assert len(metrics["clean"].get("auroc_per_label", [])) == (14 if facts.task == "multi-label" else 0)
    assert metrics["attacks"]["pgd"]["0.0314"] <= metrics["attacks"]["pgd"]["0"]
    assert 0 <= metrics["audit"]["groups"]["targeted"]["judge_agrees"]["mean"] <= 1
    assert metrics["synthesis"]["mutual_information_after"] > 0
    assert "<html" in (out / "report.html").read_text()

    made = tmp_path / "set.npz"
    assert command("synthesize", "--run", out, "--count", 5, "--out", made, "--png", tmp_path / "png", "--quiet")[0] == 0
    assert len(list((tmp_path / "png").glob("*.png"))) == 5
    with np.load(made, allow_pickle=False) as arrays:
        labels, sources = arrays["train_labels"], arrays["source_index"]
        assert labels.shape == (5, 14 if facts.task == "multi-label" else 1)
        np.testing.assert_array_equal(labels, np.load(tmp_path / facts.file(size))["train_labels"][sources])
    assert command("review", made, "--out", tmp_path / "review.html", "--quiet")[0] == 0

    assert command("predict", "--run", out, "--data", name, "--out", tmp_path / "p.csv", "--quiet")[0] == 0
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert len(rows) == sum(facts.counts)
    known = np.load(tmp_path / facts.file(size))["train_labels"][len(rows[0]["label"]) :]
    assert len(known) > 0
    for row in rows[:3]:
        named = {facts.classes[int(number)] for number in row["label"].split() if number != "none"} or {"none"}
        assert set(row["label_name"].split("; ")) == named
        chances = [float(row[f"probability_{label}"]) for label in range(len(facts.classes))]
        if facts.task == "multi-label":
            decided = " ".join(str(label) for label, chance in enumerate(chances) if chance > 0.5) or "none"
            assert row["predicted"] == decided
        else:
            assert sum(chances) == pytest.approx(1, abs=1e-4)


def test_several_labels_are_reviewed_and_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    official(tmp_path, "chestmnist", 28, monkeypatch)
    options = ["--data", "chestmnist", "--budget", "smoke", "--device", "cpu", "--quiet", "--per-class", 3]
    assert command("run", *options, "--arm", "tsynd", "--out", tmp_path / "run")[0] == 0
    synthesis = tsynd.load_run(tmp_path / "run").synthesis
    assert synthesis is not None
    made = tmp_path / "run" / "synthetic.npz"
    from tsynd.decisions import Decision, read_review, write_review

    review = tmp_path / "review.csv"
    write_review(review, synthesis, {0: Decision("accept"), 1: Decision("reject"), 2: Decision("accept")})
    assert read_review(review, synthesis, 14)[1].decision == "reject"
    done = command("run", *options, "--arm", "none", "--synthetic", made, "--review", review, "--out", tmp_path / "again")
    assert done == (0, "", "")
    text = review.read_text().replace(",accept,", ",relabel,", 1).replace("relabel,,", "relabel,3,", 1)
    review.write_text(text)
    code, _, error = command("run", *options, "--arm", "none", "--synthetic", made, "--review", review, "--out", tmp_path / "no")
    assert (code, error.count("\n")) == (2, 1)
    assert "images with several labels are accepted or rejected, got the new label 3" in error
