"""A run whose images are cropped, and whose folder has more in it than images, is read back and predicts alike."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

import tsynd
from tsynd.runs.prediction import write_predictions
from tsynd.runs.report.page import command as command_of
from tsynd.runs.run import load_run


def test_cropped_and_ignored_from_the_command_line_to_predictions(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = np.zeros((24, 72), np.uint8)
        pixels[:, 24:48] = random.integers(0, 120, (24, 24)) + 120 * (number % 2)
        for name in ("", "masks/"):
            file = tmp_path / "set" / "ab"[number % 2] / f"{name}{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    config = tsynd.RunConfig(
        str(tmp_path / "set"), "pixel-ridge", budget="smoke", crop=True, ignore=("masks",), changes={"draws": 1, "limit": 8}
    )
    run = tsynd.run(config, tmp_path / "run")
    assert len(run.data.train) == 28 and float((run.data.train.images == 0).float().mean()) < 0.05
    assert "--crop --ignore masks" in command_of(run.config, tmp_path)
    again = load_run(tmp_path / "run")
    assert again.metrics["clean"] == run.metrics["clean"] and again.config["ignore"] == ["masks"]
    folder = tmp_path / "set" / "a"  # a folder beside the run's data is read as the run's
    assert write_predictions(tmp_path / "p.csv", again, str(folder)) == 20
    assert write_predictions(tmp_path / "q.csv", again, str(tmp_path / "set")) == 40
    rows = {Path(row["image"]).name: row for row in csv.DictReader((tmp_path / "q.csv").read_text().splitlines())}
    for row in csv.DictReader((tmp_path / "p.csv").read_text().splitlines()):
        assert row["probability_a"] == rows[Path(row["image"]).name]["probability_a"]
