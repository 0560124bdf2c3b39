"""The pipeline end to end: files, contract of metrics.json, resumption, refusals, any data."""

import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import tsynd
from tsynd.errors import TsyndError
from tsynd.runs import config as configuration
from tsynd.runs import pipeline
from tsynd.runs.config import Budget, Evaluation, RunConfig
from tsynd.runs.run import LOCK, Run
from tsynd.training import Recipe
from tsynd.utils.atomic_files import write_npz
from tsynd.utils.environment import METHOD_VERSION
from tsynd.utils.locks import at_once
from tsynd.utils.progress import Step
from tsynd.utils.tensor_files import read_tensors, write_tensors

SECTIONS = {
    "schema", "config", "split", "n", "clean", "test_time_augmentation", "corruptions", "attacks", "uncertainty", "synthesis",
    "audit", "conditions", "subgroups", "seconds", "versions", "device", "method_version", "positive_class", "weights_hash",
    "intervals", "by_class", "verdicts",
}  # fmt: skip
STAGES = {"load", "autoencoder", "warmup", "targeting", "training", "evaluation", "audit", "report"}
DATA = "phantom:count=30"


RECIPE = Recipe(steps=16, batch_size=16, refresh_count=8, refresh_every=4, capacity=16, samples=8, autoencoder_steps=10)
SHORT = Budget(RECIPE, Evaluation(draws=1, attack_steps=2, limit=20))


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(autouse=True)
def tiny_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smoke budget, shorter still."""
    monkeypatch.setitem(configuration.BUDGETS, "smoke", SHORT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A finished run with synthetic images, and its folder: to be looked at only."""
    return finished_run(tmp_path_factory.mktemp("whole"), "guarded")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """The same without synthetic images."""
    return finished_run(tmp_path_factory.mktemp("plain"), "none")


def finished_run(folder: Path, arm: str) -> tuple[Path, Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration.BUDGETS, "smoke", SHORT)
        patch.setenv("TSYND_CACHE", str(folder / "cache"))
        return folder / "run", run(folder / "run", arm)


@pytest.fixture
def copied(whole: tuple[Path, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run, whose judge is still known."""
    monkeypatch.setenv("TSYND_CACHE", str(whole[0].parent / "cache"))
    return shutil.copytree(whole[0], tmp_path / "run")


@pytest.fixture
def plain_copied(plain: tuple[Path, Run], tmp_path: Path) -> Path:
    return shutil.copytree(plain[0], tmp_path / "run")


def run(out: Path | None, arm: str = "guarded", data: str = DATA, **settings: Any) -> Run:
    force = settings.pop("force", False)
    return tsynd.run(RunConfig(data, arm=arm, budget="smoke", device="cpu", per_class=20, **settings), out, force=force)


def measured(folder: Path) -> dict[str, Any]:
    """metrics.json without its times."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if key != "seconds"}


def npz(path: Path, channels: int = 3, classes: int = 5, size: int = 28, seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for split, per_class in (("train", 25), ("val", 2), ("test", 4)):
        labels = np.repeat(np.arange(classes), per_class)[:, None]
        shape = (len(labels), size, size, 3) if channels == 3 else (len(labels), size, size)
        arrays |= {f"{split}_images": generator.integers(0, 256, shape, dtype=np.uint8), f"{split}_labels": labels}
    write_npz(path, **arrays)
    return path


def test_a_run_writes_all_its_files_whole(whole: tuple[Path, Run]) -> None:
    folder, finished = whole
    names = {path.name for path in (folder).iterdir()}
    assert names == {
        "config.json", "metrics.json", "autoencoder.safetensors", "classifier.safetensors", "synthetic.npz", "report.html",
        "predictions.csv", "splits.csv", LOCK,
    }  # fmt: skip
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == SECTIONS
    assert set(metrics["seconds"]) == STAGES
    assert all(metrics["seconds"][stage] > 0 for stage in STAGES - {"report"})
    assert metrics["config"]["recipe"]["radius"] == Recipe().radius
    assert set(metrics["attacks"]["pgd"]) == {"0", "0.0039", "0.0078", "0.0157", "0.0314"}
    assert metrics["n"] == len(finished.data.test)
    with np.load(folder / "synthetic.npz", allow_pickle=False) as synthetic:
        assert synthetic["train_images"].dtype == np.uint8
        assert synthetic["train_images"].shape == (16, 28, 28)
        assert synthetic["val_images"].shape == synthetic["test_images"].shape == (0, 28, 28)
        assert synthetic["test_labels"].shape == (0, 1)
        labels = finished.data.train.labels[torch.from_numpy(synthetic["source_index"])]
        assert (labels.numpy()[:, None] == synthetic["train_labels"]).all()
        assert set(synthetic["source_index"]) <= set(finished.chosen.tolist())
        assert {"mutual_information_before", "mutual_information_after"} <= set(synthetic.files)
    report = (folder / "report.html").read_text()
    assert "http" not in report.replace("http://www.w3.org", "")
    assert report.count('alt="') == report.count("<img") == 7


def test_subgroups_of_phantoms_are_reported() -> None:
    data = "phantom:count=30,withheld=faint"
    on_test, on_val = (run(None, "none", data, evaluate=split).metrics["subgroups"] for split in ("test", "val"))
    assert set(on_test) == set(on_val) == {"small-irregular", "tall-smooth", "irregular-enhancing", "faint"}
    assert all(0 <= value <= 1 for value in on_test.values())
    assert on_val["faint"] is None


def test_an_arm_without_synthesis_has_no_autoencoder(plain: tuple[Path, Run]) -> None:
    folder, finished = plain
    assert not (folder / "autoencoder.safetensors").exists()
    assert finished.metrics["synthesis"] == {
        "count": 0, "mutual_information_before": None, "mutual_information_after": None, "latent_displacement": None,
        "pixel_displacement": None, "log_prob_fall": None,
    }  # fmt: skip
    assert finished.metrics["audit"] is None
    assert (
        finished.metrics["seconds"]["audit"]
        == finished.metrics["seconds"]["targeting"]
        == finished.metrics["seconds"]["autoencoder"]
        == 0
    )
    assert "real images only" in (folder / "report.html").read_text()


def test_rgb_and_five_classes_of_another_size(tmp_path: Path) -> None:
    finished = run(tmp_path / "run", data=str(npz(tmp_path / "colour.npz", size=40)))
    assert finished.config["size"] == 40
    assert "sensitivity_at_90_specificity" not in finished.metrics["clean"]
    assert finished.synthesis is not None
    assert finished.synthesis.images.shape[1:] == (3, 40, 40)
    with np.load(tmp_path / "run" / "synthetic.npz") as synthetic:
        assert synthetic["train_images"].shape[1:] == (40, 40, 3)


def test_the_same_run_twice_gives_the_same_numbers_and_another_seed_does_not(whole: tuple[Path, Run], tmp_path: Path) -> None:
    for name, seed in (("b", 0), ("c", 1)):
        run(tmp_path / name, seed=seed)
    assert measured(whole[0]) == measured(tmp_path / "b")
    assert measured(whole[0])["clean"] != measured(tmp_path / "c")["clean"]


@pytest.mark.parametrize("kept", [["config.json"], ["autoencoder.safetensors"], ["classifier.safetensors", "synthetic.npz"]])
def test_an_unfinished_run_goes_on_where_it_stopped(copied: Path, kept: list[str]) -> None:
    whole = measured(copied)
    kept = ["config.json", *kept, *(["autoencoder.safetensors"] if "classifier.safetensors" in kept else [])]
    for path in copied.iterdir():
        if path.name not in kept:
            path.unlink()
    before = {name: (copied / name).stat().st_mtime_ns for name in kept}
    time.sleep(0.01)
    run(copied)
    assert measured(copied) == whole
    assert {name: (copied / name).stat().st_mtime_ns for name in kept} == before


def test_a_run_that_was_interrupted_in_training_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt(name: str, stop_after: int | None = None) -> None:
        def progress(step: Step) -> None:
            if step.stage == "training":
                steps.append(step.done)
                if step.done == stop_after:
                    raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            tsynd.run(config, tmp_path / name, progress=progress)

    steps: list[int] = []
    monkeypatch.setattr(pipeline, "CHECKPOINT_EVERY", 5)
    config = RunConfig(DATA, arm="guarded+mixup", budget="smoke", device="cpu", per_class=20)
    attempt("whole")
    attempt("stopped", 11)
    attempt("stopped", 13)
    attempt("stopped")
    assert steps == [*range(1, 17), *range(1, 12), *range(11, 14), *range(11, 17)]
    assert measured(tmp_path / "stopped") == measured(tmp_path / "whole")
    assert not (tmp_path / "stopped" / "checkpoint.safetensors").exists()
    weights = [load_file(tmp_path / name / "classifier.safetensors") for name in ("whole", "stopped")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_a_damaged_checkpoint_is_named_and_force_removes_it(plain_copied: Path) -> None:
    for name in ("metrics.json", "classifier.safetensors"):
        (plain_copied / name).unlink()
    (plain_copied / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(TsyndError, match=r"checkpoint\.safetensors is not a checkpoint that tsynd wrote, or is damaged"):
        run(plain_copied, "none")
    run(plain_copied, "none", force=True)
    assert not (plain_copied / "checkpoint.safetensors").exists()


def test_a_classifier_without_its_synthetic_images_is_trained_again(copied: Path) -> None:
    whole = measured(copied)
    for name in ("metrics.json", "synthetic.npz"):
        (copied / name).unlink()
    run(copied)
    assert measured(copied) == whole


def test_data_that_changed_since_the_run_are_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", channels=1, classes=2)
    run(tmp_path / "run", "none", data=str(path))
    npz(path, channels=1, classes=2, seed=1)
    with pytest.raises(TsyndError, match="has changed since the run"):
        tsynd.load_run(tmp_path / "run")


def test_load_run_gives_the_networks_back(whole: tuple[Path, Run]) -> None:
    folder, finished = whole
    loaded = tsynd.load_run(folder)
    images = finished.data.test.images[:4].float() / 255
    with torch.no_grad():
        assert torch.equal(loaded.classifier(images), finished.classifier(images))
        assert loaded.autoencoder is not None
        assert finished.autoencoder is not None
        assert torch.equal(loaded.autoencoder(images), finished.autoencoder(images))
    assert loaded.config == finished.config
    assert loaded.history == finished.history


def test_a_run_of_another_version_or_without_its_settings_is_refused_in_one_line(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    older = config | {"method_version": 1}
    no_recipe = {name: value for name, value in older.items() if name != "recipe"}
    for settings, message in (
        (older, rf"was made with method version 1, this tsynd has version {METHOD_VERSION}: run it again$"),
        (no_recipe, "is not the configuration of a run: recipe missing$"),
    ):
        (copied / "config.json").write_text(json.dumps(settings))
        with pytest.raises(TsyndError, match=message):
            tsynd.load_run(copied)
    (copied / "config.json").write_text(json.dumps(config))
    for name, note in (("autoencoder", "loss"), ("classifier", "history")):
        path = copied / f"{name}.safetensors"
        tensors, notes = read_tensors(path, "network")
        write_tensors(path, tensors, {})
        with pytest.raises(TsyndError, match=rf"{name}\.safetensors is not the network of a run: its notes lack {note}$"):
            tsynd.load_run(copied)
        write_tensors(path, tensors, notes)


def test_a_finished_run_and_foreign_files_are_safe(plain_copied: Path) -> None:
    (plain_copied / "mine.txt").write_text("precious")
    with pytest.raises(TsyndError, match="holds this run, finished"):
        run(plain_copied, "none")
    with pytest.raises(TsyndError, match=r"another configuration .*seed: 0, not 1"):
        run(plain_copied, "none", seed=1)
    run(plain_copied, "mixup", force=True)
    assert measured(plain_copied)["config"]["arm"] == "mixup"
    assert (plain_copied / "mine.txt").read_text() == "precious"


def test_a_folder_that_another_run_writes_is_refused_even_with_force(plain_copied: Path) -> None:
    before = {path.name: path.read_bytes() for path in plain_copied.iterdir() if path.name != LOCK}
    written = pytest.raises(TsyndError, match="a run is being written there now: wait")
    with at_once(plain_copied / LOCK), written:
        run(plain_copied, "none", force=True)
    assert {path.name: path.read_bytes() for path in plain_copied.iterdir() if path.name != LOCK} == before
    run(plain_copied, "none", force=True)


def test_a_folder_that_is_no_run_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(TsyndError, match="not empty and holds no run"):
        run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TsyndError, match="is a file"):
        run(tmp_path / "file")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "file"}


def test_bad_input_creates_nothing(tmp_path: Path) -> None:
    for settings in ({"data": "brestmnist"}, {"data": str(tmp_path / "missing.npz")}, {"data": "phantom:count=5"}):
        with pytest.raises(TsyndError):
            run(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["autoencoder.safetensors", "classifier.safetensors", "synthetic.npz", "metrics.json"])
def test_a_damaged_file_is_named(copied: Path, name: str) -> None:
    (copied / name).write_bytes((copied / name).read_bytes()[:100])
    with pytest.raises(TsyndError, match=name):
        tsynd.load_run(copied)


def test_weights_carry_no_pickle(whole: tuple[Path, Run]) -> None:
    with safe_open(whole[0] / "classifier.safetensors", framework="pt") as file:
        assert set(json.loads(file.metadata()["tsynd"])) == {"history"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arm": "gaurded"}, "did you mean 'guarded'"),
        ({"budget": "cpuu"}, "did you mean 'cpu'"),
        ({"evaluate": "train"}, "known: test, val"),
        ({"per_class": 0}, "per_class must be >= 1 or all, got 0"),
        ({"size": 8}, "size must be between 16 and 1024 px, got 8"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"seed": "0"}, "seed must be a whole number, got '0'"),
        ({"per_class": 2.5}, r"per_class must be a whole number, got 2\.5"),
        ({"arm": None}, "arm must be a text, got None"),
    ],
)
def test_bad_configurations_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        RunConfig("phantom", **settings)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(TsyndError, match="device 'gpu' cannot be used here"):
        tsynd.run(RunConfig(DATA, budget="smoke", device="gpu"))


def test_runs_share_their_judge_and_a_damaged_one_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "cache"))
    first = run(None).metrics["audit"]
    (kept,) = (tmp_path / "cache" / "judges").iterdir()
    monkeypatch.setattr("tsynd.runs.evaluation.train_judge", lambda *_, **__: pytest.fail("trained again"))
    assert run(None).metrics["audit"] == first
    assert run(None, "tsynd").metrics["audit"]["judge"] == first["judge"]
    kept.write_bytes(b"cut off")
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        run(None)
    assert not kept.exists()
