"""Small valid files of every kind that is read, by name: what the tests then damage."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import tsynd
from tests.bad.mutations import Files, contents
from tests.study.test_report import simulate
from tsynd.runs import config as configuration
from tsynd.runs.config import Budget, Evaluation, RunConfig
from tsynd.synthetic.decisions import Decision, write_review
from tsynd.synthetic.sets import read_set
from tsynd.training import Recipe
from tsynd.training.checkpoint import save_checkpoint

TINY = Recipe(steps=4, batch_size=8, refresh_count=4, refresh_every=2, capacity=4, samples=4, autoencoder_steps=4)
STUDY = """
name: toy
question: Q?
primaries: [auroc]
budget: smoke
changes: {steps: 5}
tiers:
  - name: first
    sets:
      - {data: "phantom:count=60", per_class: 20}
      - {data: phantom, per_class: all}
    seeds: 0-1
    arms: [none, {name: far, arm: guarded, changes: {radius: 0.5, sources: uniform}}]
"""
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF")


@pytest.fixture(scope="session")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A data set in MedMNIST layout."""
    random, arrays = np.random.default_rng(0), dict[str, np.ndarray]()
    for split, count in (("train", 6), ("val", 2), ("test", 4)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 16, 16), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count, dtype=np.uint8) % 2)[:, None]
    folder = tmp_path_factory.mktemp("npz")
    np.savez_compressed(folder / "own.npz", allow_pickle=False, **arrays)
    return contents(folder)


@pytest.fixture(scope="session")
def pictures() -> Files:
    """A folder of images, one file of each format and more, some of 16 bits or in colour, and a CSV of them."""
    random, files, rows = np.random.default_rng(1), Files(), ["path,label,group,split"]
    for number in range(24):
        kind = FORMATS[number % len(FORMATS)]
        pixels = random.integers(0, 256, (16, 16, 3) if number % 3 else (16, 16), dtype=np.uint8)
        if number in (14, 20):  # grey of 16 bits: a TIFF, a PNG
            pixels = random.integers(0, 65536, (16, 16), dtype=np.uint16)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        name = f"{'cat' if number % 2 else 'dog'}/{number:02d}.{kind.lower()}"
        files[name] = buffer.getvalue()
        rows.append(f"{name},{name[:3]},p{number // 2},{'train' if number < 12 else 'val' if number < 16 else 'test'}")
    return Files(files | {"labels.csv": "\n".join([*rows, ""]).encode()})


@pytest.fixture(scope="session")
def data_file(npz: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the finished run was trained on."""
    path = tmp_path_factory.mktemp("data") / "own.npz"
    path.write_bytes(npz["own.npz"])
    return path


@pytest.fixture(scope="session")
def run(data_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The folder of a finished run, with a review of its synthetic images."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration.BUDGETS, "smoke", Budget(TINY, Evaluation(draws=1, attack_steps=1, limit=4)))
        tsynd.run(RunConfig(str(data_file), per_class=3, budget="smoke", device="cpu"), folder, audited=False)
    (folder / "report.html").unlink()
    synthesis = read_set(folder / "synthetic.npz")
    made = {0: Decision("accept", None, "A", "2026-01-01"), 1: Decision("relabel", 1 - int(synthesis.labels[1]))}
    write_review(folder / "review.csv", synthesis, made)
    return contents(folder)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Weights of a network in both formats, and a checkpoint."""
    folder, network = tmp_path_factory.mktemp("weights"), nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    save_file(network.state_dict(), folder / "own.safetensors")
    torch.save(network.state_dict(), folder / "own.pt")
    state = {"step": 3, "list": [torch.zeros(2), {"a": torch.ones(3, dtype=torch.uint8)}], "weights": network.state_dict()}
    save_checkpoint(folder / "checkpoint.safetensors", state, {"seed": 1})
    return contents(folder)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The folder of a study that has been run."""
    folder = simulate(tmp_path_factory.mktemp("study"), sets=("a",), seeds=2, images=16)
    return contents(folder)
