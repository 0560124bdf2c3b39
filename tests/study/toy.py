"""Studies that take no time: a run that only pretends, and small files."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tsynd.runs.config import RunConfig
from tsynd.study import runner
from tsynd.study.plan import Study, Tier
from tsynd.study.records import read_records


def study(**changed: Any) -> Study:
    """Two sets, two seeds, three arms."""
    arms: dict[str, Any] = {"none": ("none", {}), "guarded": ("guarded", {}), "far": ("guarded", {"radius": 0.5})}
    tier = Tier("all", changed.pop("sets", (("phantom", 20), ("phantom:seed=1", 20))), changed.pop("seeds", (0, 1)), arms)
    tier.arms.update(changed.pop("more", {}))  # type: ignore[attr-defined]
    for name in changed.pop("without", ()):
        del tier.arms[name]  # type: ignore[attr-defined]
    return Study("toy", (tier,), **{"budget": "smoke", **changed})


def few(folder: Path) -> Path:
    """A set of few images: 12 a class to train on, 4 to test on."""
    random, arrays = np.random.default_rng(0), dict[str, np.ndarray]()
    for split, count in (("train", 24), ("val", 4), ("test", 8)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 2)[:, None]
    np.savez(folder / "few.npz", allow_pickle=False, **arrays)
    return folder / "few.npz"


def results(folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """What the records of a study's folder say, without times: equal for equal studies, to the bit."""
    found = {}
    for record in read_records(folder):
        metrics = {name: value for name, value in record["metrics"].items() if name != "seconds"}
        with np.load(folder / "runs" / f"{record['key']}.npz") as answers:
            found[record["key"]] = repr(metrics), {name: answers[name].tolist() for name in answers.files}
    return found


def answered(config: RunConfig) -> Any:
    """What a run gives back, as far as a study looks at it; its accuracy is the seed plus a tenth of the arm's length."""
    value = config.seed + len(config.arm) / 10
    clean = dict.fromkeys(("accuracy", "balanced_accuracy", "auroc", "nll", "ece"), value)
    metrics = {
        "clean": clean,
        "test_time_augmentation": {"outside": {"mean": value}},
        "corruptions": {"blur": {"1": value, "2": value + 1}},
        "attacks": {"pgd": {"0.0078": value, "0.0157": value}},
        "subgroups": {},
        "seconds": {"warmup": 1.0, "targeting": 2.0, "training": 3.0, "evaluation": 9.0},
        "weights_hash": f"{config.arm}-{config.seed}",
    }
    half = torch.tensor([0.0, 0.5, 1.0])
    answers = {
        "labels": torch.tensor([0, 1, 1]),
        "probs": torch.full((3, 2), 0.5),
        "chosen": torch.arange(3),
        "mutual_information": half,
        "test_time_augmentation inside": half,
        "test_time_augmentation outside": half,
        "corruption blur": half,
        "corruption noise": torch.ones(3),
        "pgd 0.0078": torch.tensor([0.0, 1.0, 1.0]),
        "pgd 0.0157": torch.zeros(3),
    }
    return SimpleNamespace(metrics=metrics, answers=answers, config=config.resolved())


def pretend(monkeypatch: pytest.MonkeyPatch, before: Callable[[RunConfig], None]) -> list[str]:
    """As the fixture `ran`, but `before` is called first and may raise."""
    names: list[str] = []

    def run(config: RunConfig, **_: Any) -> Any:
        before(config)
        names.append(f"{config.data} {config.arm} {config.seed}")
        return answered(config)

    monkeypatch.setattr(runner, "run", run)
    return names
