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
from tsynd.data.medmnist.registry import REGISTRY
from tsynd.synthetic.decisions import Decision, read_review, write_review
from tsynd.utils.atomic_files import write_npz

Command = Callable[..., tuple[int, str, str]]
FEW = {"train": 6, "val": 2, "test": 3}  # images a class, or a label


def official(folder: Path, name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """A file that stands in for a published one: its facts but for the number of images and the checksum; its arrays."""
    facts, random = REGISTRY[name], np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for split, few in FEW.items():
        labels = np.repeat(np.arange(len(facts.classes)), few)
        shape = (len(labels), size, size, 3) if facts.channels == 3 else (len(labels), size, size)
        arrays[f"{split}_images"] = random.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = labels[:, None].astype(np.uint8)
        if facts.task == "multi-label":  # two images without a label, the others with one or more
            several = np.eye(len(facts.classes), dtype=np.uint8)[labels]
            several |= random.random(several.shape) < 0.1
            several[:2] = 0
            arrays[f"{split}_labels"] = several
    path = folder / facts.file(size)
    write_npz(path, **arrays)
    train, val, test = (few * len(facts.classes) for few in FEW.values())
    md5 = facts.md5 | {size: hashlib.md5(path.read_bytes()).hexdigest()}
    monkeypatch.setitem(REGISTRY, name, replace(facts, counts=(train, val, test), md5=md5))
    monkeypatch.setenv("TSYND_DATA", str(folder))
    return arrays


pytestmark = pytest.mark.deep


@pytest.mark.parametrize(
    ("name", "size"),
    [("breastmnist", 28), ("bloodmnist", 28), ("chestmnist", 28), ("retinamnist", 64), ("octmnist", 128), ("dermamnist", 224)],
)
def test_all_that_a_user_calls(name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    published = official(tmp_path, name, size, monkeypatch)
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
    np.testing.assert_array_equal(labels, published["train_labels"][sources])
    assert command("review", made, "--out", tmp_path / "review.html", "--quiet")[0] == 0

    assert command("predict", "--run", out, "--data", name, "--out", tmp_path / "p.csv", "--quiet")[0] == 0
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert len(rows) == sum(facts.counts)
    for row, label in zip(rows[:: len(rows) // 3], published["train_labels"].tolist()[:: len(rows) // 3], strict=False):
        chances = [float(row[f"probability_{name}"]) for name in facts.classes]
        if facts.task == "multi-label":
            assert row["label"] == (" ".join(str(number) for number, is_so in enumerate(label) if is_so) or "none")
            assert row["predicted"] == (" ".join(str(number) for number, p in enumerate(chances) if p > 0.5) or "none")
        else:
            assert row["label_name"] == facts.classes[label[0]]
            assert sum(chances) == pytest.approx(1, abs=1e-4)


def test_several_labels_are_reviewed_and_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    official(tmp_path, "chestmnist", 28, monkeypatch)
    options = ["--data", "chestmnist", "--budget", "smoke", "--device", "cpu", "--quiet", "--per-class", 3]
    assert command("run", *options, "--arm", "tsynd", "--out", tmp_path / "run")[0] == 0
    synthesis = tsynd.load_run(tmp_path / "run").synthesis
    assert synthesis is not None
    made = tmp_path / "run" / "synthetic.npz"
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
