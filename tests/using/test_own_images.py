"""A run on a folder with a damaged image: refused, or left out and said so everywhere."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tsynd
from tsynd.errors import TsyndError
from tsynd.utils.progress import Step


def test_a_run_that_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(60):
        path = tmp_path / "my images é" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (30, 20), dtype=np.uint8)).save(path)
    path.write_bytes(b"")
    data = str(tmp_path / "my images é")
    with pytest.raises(TsyndError, match=r"59\.png cannot be read as an image"):
        tsynd.run(tsynd.RunConfig(data, arm="none", budget="smoke", device="cpu"))
    config = tsynd.RunConfig(data, arm="none", budget="smoke", device="cpu", skip_unreadable=True)
    told: list[str] = []

    def hear(step: Step) -> None:
        told.extend([step.text] if step.stage == "note" else [])

    run = tsynd.run(config, tmp_path / "run", progress=hear)
    assert told == list(run.data.notes) == run.metrics["notes"]
    assert "1 image(s) left out, since they cannot be read: b/59.png" in told
    assert "59 image(s) are not square: resized in proportion, and padded by repeating the edge" in told
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "they cannot be read: b/59.png" in report and "--skip-unreadable" in report
    assert len(tsynd.load_run(tmp_path / "run").data.train) == len(run.data.train)
