"""The same seed gives the same bytes on a CPU, whatever the process; the whole method runs on the meta device and in bf16."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.study.toy import few, results
from tsynd.augmentation import mixup
from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.augmentation.trivialaugment import trivial_augment
from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.classification import build_classifier, classification_loss
from tsynd.posterior import Ensemble, FullDropout, HeadDropout, Posterior
from tsynd.robustness import CORRUPTIONS, apgd, corrupt, pgd
from tsynd.study import run_study
from tsynd.study.plan import Study, Tier
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.uncertainty import mutual_information

META = torch.device("meta")
LOOKED_AT = {"jpeg", "shot_noise"}  # kornia looks whether values lie in [0, 1]; Poisson numbers are drawn on the CPU, by value
LITTLE: dict[str, Any] = {"steps": 12, "batch_size": 8, "refresh_every": 4, "refresh_count": 4, "capacity": 8, "samples": 4}
CHANGES = LITTLE | {"autoencoder_steps": 4, "draws": 1, "attack_steps": 1}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def in_a_process(folder: Path, config: dict[str, Any], **environment: str) -> bytes:
    """metrics.json of a run in a process of its own, less its times, as bytes."""
    code = "import sys, json, tsynd; tsynd.run(tsynd.RunConfig(**json.loads(sys.argv[1])), sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, json.dumps(config), str(folder)], check=True, env=os.environ | environment)
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["seconds"]
    return json.dumps(metrics).encode()


def test_another_process_writes_the_same_metrics(tmp_path: Path) -> None:
    """Whatever the order of hashing, and wherever the folder is."""
    config = {"data": str(few(tmp_path)), "arm": "guarded+mixup", "budget": "smoke", "device": "cpu", "per_class": 8}
    config["changes"] = CHANGES
    first = in_a_process(tmp_path / "first", config, PYTHONHASHSEED="1")
    assert first == in_a_process(tmp_path / "elsewhere" / "second", config, PYTHONHASHSEED="2")
    assert first != in_a_process(tmp_path / "third", config | {"seed": 1}, PYTHONHASHSEED="1")


def test_any_number_of_processes_gives_the_same_study(tmp_path: Path) -> None:
    arms: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in ("mixup+pgd", "guarded")}
    tier = Tier("all", ((str(few(tmp_path)), 8),), (0, 1), arms)
    study = Study("toy", (tier,), budget="smoke", changes=CHANGES)
    for jobs in (1, 2):
        assert run_study(study, tmp_path / str(jobs), jobs=jobs)["done"] == 4
    assert results(tmp_path / "1") == results(tmp_path / "2")


@pytest.mark.parametrize("channels", [1, 3])
def test_each_part_of_the_method_runs_on_the_meta_device(channels: int) -> None:
    """From images to a step of training, up to the first number that must be looked at: no tensor is made elsewhere.

    A whole search on the meta device is in test_networks.py.
    """
    images = torch.rand(4, channels, 28, 28, device=META)
    labels = torch.zeros(4, dtype=torch.int64, device=META)
    autoencoder, classifier = build_autoencoder(channels, 28, seed=0).to(META), build_classifier(channels, 28, 2, seed=0).to(META)

    changed = trivial_augment(augment(images, TRAIN_RANGE, generator()), generator())
    codes = autoencoder.encode(changed).requires_grad_()
    decoded = autoencoder.decode(codes)
    assert decoded.shape == images.shape
    posteriors: list[Posterior] = [
        HeadDropout.of(classifier, 4, generator()),
        FullDropout(classifier, 4, generator()),
        Ensemble([classifier, build_classifier(channels, 28, 2, seed=1).to(META)]),
    ]
    for posterior in posteriors:
        value = mutual_information(posterior(decoded))
        (gradient,) = torch.autograd.grad(value.sum(), codes, retain_graph=True)
        assert value.device == gradient.device == META
    targets = torch.nn.functional.one_hot(torch.zeros(4, dtype=torch.int64), 2).float().to(META)
    mixed, targets = mixup(changed, targets, 0.2, generator())
    optimiser = torch.optim.AdamW(classifier.parameters())
    classification_loss(classifier(mixed), targets, multi_label=False, smoothing=0.1).backward()
    optimiser.step()
    assert pgd(classifier.eval(), images, labels, eps=2 / 255, steps=2, generator=generator()).device == META


@pytest.mark.parametrize("name", sorted(CORRUPTIONS.keys() - LOOKED_AT))
def test_each_corruption_runs_on_the_meta_device(name: str) -> None:
    images = torch.rand(2, 3 if CORRUPTIONS[name].colour else 1, 28, 28, device=META)
    assert corrupt(images, name, 3, generator()).device == META


def test_the_whole_method_runs_in_bf16() -> None:
    """Training, search and attack under autocast: all numbers finite, entropies in single precision, images in [0, 1]."""
    images, labels = torch.rand(16, 1, 28, 28, generator=generator()), torch.arange(16) % 2
    autoencoder, classifier = build_autoencoder(1, 28, seed=0), build_classifier(1, 28, 2, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        train_autoencoder(autoencoder, images, steps=4)
        history, bank = train_classifier(
            classifier, images, labels, parse_arm("guarded+mixup"), Recipe(**LITTLE), autoencoder=autoencoder
        )
        log_probs = HeadDropout.of(classifier, 8, generator())(images)
        attacked = apgd(classifier.eval(), images, labels, eps=2 / 255, steps=3, generator=generator())
    assert bank is not None and torch.isfinite(torch.tensor(history.loss)).all()
    assert log_probs.dtype == mutual_information(log_probs).dtype == bank.mutual_information_after.dtype == torch.float32
    assert ((bank.images >= 0) & (bank.images <= 1)).all()
    assert ((attacked - images).abs() <= 2 / 255 + 1e-6).all()
    assert {parameter.dtype for parameter in classifier.parameters()} == {torch.float32}
