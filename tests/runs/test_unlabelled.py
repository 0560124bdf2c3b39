"""Runs with images without labels: the rest of the training split, a folder, a run that was stopped, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.study.toy import few
from tsynd.cli import app
from tsynd.errors import TsyndError
from tsynd.runs.config import RunConfig
from tsynd.runs.pipeline import run
from tsynd.runs.run import load_run
from tsynd.runs.synthesize import synthesize
from tsynd.utils.progress import Step

TINY: dict[str, Any] = {"steps": 8, "batch_size": 8, "refresh_every": 2, "refresh_count": 4, "capacity": 8, "samples": 4}
TINY |= {"autoencoder_steps": 2, "ascent_steps": 1, "draws": 1, "attack_steps": 1, "unlabelled_batch": 8}
pytestmark = pytest.mark.usefixtures("undrawn")


def config(folder: Path, arm: str, **changes: Any) -> RunConfig:
    more = changes.pop("changes", {})
    return RunConfig(str(few(folder)), arm, 4, budget="smoke", device="cpu", changes=TINY | more, **changes)


def test_the_rest_of_the_training_split_takes_part_and_is_what_searches_start_from(tmp_path: Path) -> None:
    out = tmp_path / "run"
    finished = run(config(tmp_path, "consistency+tsynd+mixup"), out)
    assert finished.config["unlabelled"] == "rest" and "unlabelled_fingerprint" in finished.config
    assert finished.synthesis is not None and finished.synthesis.decode == "residual"
    assert not torch.isin(finished.synthesis.sources, finished.chosen).any()  # positions in train, of images without labels
    audited = finished.metrics["audit"]["groups"]["targeted"]
    assert audited["sharpness"]["mean"] > 0 and audited["n"] == len(finished.synthesis)
    again = load_run(out)
    assert again.recipe.decode == "residual" and again.synthesis is not None and again.synthesis.decode == "residual"
    made = synthesize(again, 3)
    assert synthesize(again, 3, decode="image").decode == "image"
    assert made.decode == "residual" and torch.isin(made.sources, finished.chosen).all()  # a set to keep has real labels


def test_a_run_that_was_stopped_goes_on_to_the_same_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsynd.runs.pipeline.CHECKPOINT_EVERY", 2)
    plan = config(tmp_path, "consistency+tsynd", changes={"alignment": 1.0})
    expected = run(plan, audited=False)

    class Stop(Exception):
        pass

    def stop(step: Step) -> None:
        if step.stage == "training" and step.done == 7:
            raise Stop

    with pytest.raises(Stop):
        run(plan, tmp_path / "run", progress=stop, audited=False)
    found = run(plan, tmp_path / "run", audited=False)
    assert found.metrics["weights_hash"] == expected.metrics["weights_hash"]


def test_a_folder_of_images_without_labels(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(5):
        Image.new("L", (28, 28), 40 * number).save(images / f"{number}.png")
    options = ["--per-class", "all", "--budget", "smoke", "--quiet"]
    for name, value in TINY.items():
        options += ["--set", f"{name}={value}"]
    command = ["run", "--data", str(few(tmp_path)), "--arm", "consistency+tsynd", "--unlabelled", str(images), *options]
    found = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    read = load_run(tmp_path / "run")
    assert read.synthesis is not None and read.synthesis.sources.max() < 5
    assert read.metrics["audit"] is None  # nobody knows the labels of these sources


@pytest.mark.parametrize(
    ("arm", "settings", "message"),
    [
        ("tsynd", {"unlabelled": "rest"}, "arm 'tsynd' has no use for images without labels"),
        ("consistency", {"unlabelled": "nowhere"}, "unlabelled must be 'rest' or a folder of images, got 'nowhere'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, arm: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        run(config(tmp_path, arm, **settings))


def test_named_methods_are_runs_like_any_other() -> None:
    named, spelt = (RunConfig("phantom", arm).recipe for arm in ("refined", "guarded+mixup+trivialaugment"))
    assert named.share == 0.25 and spelt.share == 0.5
    assert RunConfig("phantom", "refined", changes={"share": 0.1}).recipe.share == 0.1
    assert RunConfig("phantom", "recommended+unlabelled", 25).unlabelled == "rest"
    assert RunConfig("phantom", "lvat", 25).unlabelled is None  # on the training images, unless it is asked for
    assert RunConfig("phantom", "lvat", 25, unlabelled="rest").resolved()["unlabelled"] == "rest"
