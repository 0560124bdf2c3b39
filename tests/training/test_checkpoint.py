"""Checkpoints: a training that was stopped goes on to the same bits; a damaged or foreign file is refused."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tsynd.autoencoding import build_autoencoder
from tsynd.classification import build_classifier
from tsynd.errors import TsyndError
from tsynd.targeting import Synthesis
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.training.checkpoint import load_checkpoint, save_checkpoint
from tsynd.utils.progress import Step
from tsynd.utils.tensor_files import tensors_hash, weights_hash

QUICK = Recipe(steps=12, batch_size=8, refresh_every=3, refresh_count=6, capacity=12, samples=8, ascent_steps=2)
LABELS = torch.arange(12) % 2
IMAGES = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5 * LABELS.view(-1, 1, 1, 1)


class Stop(Exception):
    """What a progress callback raises to stop a training."""


def train(arm: str, recipe: Recipe = QUICK, stop_after: int | None = None, **options: Any) -> dict[str, Any]:
    """Everything that must be equal between two trainings. `initial` is the seed of the first weights."""

    def progress(step: Step) -> None:
        steps.append(step.done - 1)
        if step.done == stop_after:
            raise Stop

    steps: list[int] = []
    settings: dict[str, Any] = {"images": IMAGES, "initial": 2, "autoencoder": 1} | options
    autoencoder = build_autoencoder(1, 28, seed=settings.pop("autoencoder")).eval()
    autoencoder.standardise(IMAGES)
    classifier = build_classifier(1, 28, 2, seed=settings.pop("initial"))
    images = settings.pop("images")
    history, synthesis = train_classifier(
        classifier, images, LABELS, parse_arm(arm), recipe, autoencoder=autoencoder, progress=progress, **settings
    )
    recorded = {name: value for name, value in asdict(history).items() if name != "seconds"}
    bank = tensors_hash({name: value for name, value in vars(synthesis).items() if torch.is_tensor(value)}) if synthesis else None
    return {"weights": weights_hash(classifier), "bank": bank, "steps": steps, **recorded}


def stopped(path: Path, arm: str, recipe: Recipe = QUICK, stop_after: int = 8, every: int = 5, **options: Any) -> None:
    with pytest.raises(Stop):
        train(arm, recipe, stop_after, checkpoint=path, checkpoint_every=every, **options)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("arm", "settings"),
    [
        ("guarded", {}),
        ("sham", {}),
        ("guarded+pixel", {"sources": "uncertain", "soft_labels": 0.5}),
        ("mixup+pgd", {}),
        ("guarded+trivialaugment", {}),
        ("tsynd+mixup", {"ema": 0.9, "sources": "hard"}),
    ],
)
def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path: Path, arm: str, settings: dict[str, Any]) -> None:
    recipe, path = replace(QUICK, **settings), tmp_path / "checkpoint.safetensors"
    expected = train(arm, recipe)
    stopped(path, arm, recipe)
    torch.manual_seed(1)  # the global state plays no part
    again = train(arm, recipe, initial=9, checkpoint=path, checkpoint_every=5)  # the first weights come from the file too
    assert again.pop("steps") == list(range(5, 12))
    assert expected.pop("steps") == list(range(12))
    assert again == expected


def test_checkpoints_change_nothing_and_are_written_on_time(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    expected = train("guarded")
    assert train("guarded", checkpoint=path, checkpoint_every=5) == expected
    again = train("guarded", checkpoint=str(path))  # the last one of a finished training is still there: it goes on from step 10
    assert again.pop("steps") == [10, 11] and expected.pop("steps")
    assert again == expected
    path.unlink()
    with pytest.raises(Stop):
        train("guarded", stop_after=4, checkpoint=path, checkpoint_every=5)
    assert not path.exists()


def test_an_interruption_leaves_the_classifier_and_the_random_state_in_order() -> None:
    classifier, before = build_classifier(1, 28, 2, seed=2), torch.get_rng_state()

    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_classifier(classifier, IMAGES, LABELS, parse_arm("none"), QUICK, progress=interrupt)
    assert not classifier.training and all(parameter.is_contiguous() for parameter in classifier.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_given_images_are_not_copied_into_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    given = given_images()
    expected = train("mixup", synthetic=given)
    stopped(path, "mixup", synthetic=given)
    assert path.stat().st_size < 3 * 4 * sum(p.numel() for p in build_classifier(1, 28, 2, seed=0).parameters()) + 2**17
    again = train("mixup", synthetic=given, checkpoint=path)
    assert (again["weights"], again["loss"]) == (expected["weights"], expected["loss"])
    stopped(path, "mixup", synthetic=given, stop_after=11)
    with pytest.raises(TsyndError, match="synthetic: "):
        train("mixup", checkpoint=path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, r"checkpoint of another training \(seed: 0, not 1\): name another file, or delete it"),
        ({"arm": "tsynd"}, r"arm\.guard: True, not False"),
        ({"recipe": replace(QUICK, share=0.25)}, r"recipe\.share: 0\.5, not 0\.25"),
        ({"images": IMAGES.flip(0)}, "data: "),
        ({"autoencoder": 2}, "autoencoder: "),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    stopped(path, "guarded", stop_after=2, every=1)
    content = path.read_bytes()
    settings: dict[str, Any] = {"arm": "guarded", "checkpoint": path} | options
    with pytest.raises(TsyndError, match=message):
        train(**settings)
    assert path.read_bytes() == content


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"weights": torch.arange(100.0), "losses": [0.5, 0.25], "state": {0: {"step": torch.tensor(3.0)}}}, {})
    whole = path.read_bytes()
    for where in (10, whole.index(b"0.25"), len(whole) - 1):
        path.write_bytes(whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :])
        with pytest.raises(TsyndError, match=r"checkpoint\.safetensors is .*damaged"):
            load_checkpoint(path, {})
    path.write_bytes(whole[:200])
    with pytest.raises(TsyndError, match="or is damaged"):
        load_checkpoint(path, {})
    path.write_bytes(whole)
    state = load_checkpoint(path, {})
    assert torch.equal(state["weights"], torch.arange(100.0)) and state["losses"] == [0.5, 0.25]
    assert state["state"][0]["step"] == 3 and state["state"][0]["step"].shape == ()


def test_a_checkpoint_every_so_often_only() -> None:
    with pytest.raises(TsyndError, match="checkpoint_every must be >= 1, got 0"):
        train("none", checkpoint_every=0)


def given_images() -> Synthesis:
    """What a search of another training found."""
    autoencoder, classifier = build_autoencoder(1, 28, seed=1), build_classifier(1, 28, 2, seed=2)
    found = train_classifier(classifier, IMAGES, LABELS, parse_arm("tsynd"), QUICK, autoencoder=autoencoder)[1]
    assert found is not None
    return found
