"""A set that is too large for memory, and for floats, goes through the pipeline and gives what a small one would."""

from pathlib import Path

import numpy as np
import pytest

import tsynd
from tsynd.audit import auditing, measures
from tsynd.data.medmnist import memory_map
from tsynd.runs.config import RunConfig
from tsynd.utils import batching
from tsynd.utils.atomic_files import write_npz

pytestmark = pytest.mark.deep


def test_a_mapped_set_gives_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for split, count in (("train", 24), ("val", 4), ("test", 12)):
        arrays[f"{split}_labels"] = (np.arange(count) % 2)[:, None]
        pixels = random.integers(0, 128, (count, 28, 28, 3)) + 100 * arrays[f"{split}_labels"][..., None, None]
        arrays[f"{split}_images"] = pixels.astype(np.uint8)
    write_npz(tmp_path / "set.npz", **arrays)
    config = RunConfig(str(tmp_path / "set.npz"), arm="guarded", budget="smoke", device="cpu")
    small = tsynd.run(config)
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(memory_map, "LARGE", 1000)
    monkeypatch.setattr(batching, "LARGE", 1000)
    monkeypatch.setattr(measures, "DISTANCES", 50)  # two rows at a time
    large = tsynd.run(config, tmp_path / "run")
    assert large.config["data_fingerprint"] == small.config["data_fingerprint"]
    assert (tmp_path / "cache" / "unpacked").is_dir()
    for section, names in {"clean": ("auroc", "nll"), "synthesis": ("count", "mutual_information_after")}.items():
        for name in names:
            assert large.metrics[section][name] == pytest.approx(small.metrics[section][name], rel=0.1)
    assert large.metrics["audit"]["groups"]["source"]["purity"]["mean"] == pytest.approx(
        small.metrics["audit"]["groups"]["source"]["purity"]["mean"]
    )
    monkeypatch.setattr(auditing, "UNSEEN", 5)
    again = tsynd.load_run(tmp_path / "run")
    assert again.autoencoder is not None and again.synthesis is not None
    audited = auditing.audit(again.synthesis, again.classifier, again.autoencoder, again.data, recipe=again.recipe)
    assert audited.to_json()["groups"]["unseen"]["n"] == 5
