"""Targeted sets: made as in training, in MedMNIST layout, with a card that says what they are and are not."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tsynd
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.runs.card import describe
from tsynd.runs.config import RunConfig
from tsynd.runs.run import Run
from tsynd.runs.synthesize import synthesize
from tsynd.synthetic.npz import save_synthesis
from tsynd.synthetic.sets import read_set, write_set
from tsynd.targeting.synthesis import identity
from tsynd.training import ARMS
from tsynd.utils.atomic_files import write_npz

Command = Callable[..., tuple[int, str, str]]


def test_a_larger_set_begins_with_the_smaller_one_and_another_seed_gives_another(finished: Run) -> None:
    small, large, other = synthesize(finished, 5), synthesize(finished, 11), synthesize(finished, 5, seed=1)
    assert len(large) == 11
    assert torch.equal(large.images[:5], small.images)
    assert identity(large[torch.arange(5)]) == identity(small) != identity(other)
    assert set(large.sources.tolist()) <= set(finished.chosen.tolist())
    assert torch.equal(finished.data.train.labels[large.sources], large.labels)
    assert large.latent_displacement.max() <= finished.recipe.radius + 1e-5
    assert large.latent_displacement.max() > 0


def test_networks_and_global_randomness_are_as_before(finished: Run) -> None:
    before, state = {name: tensor.clone() for name, tensor in finished.classifier.state_dict().items()}, torch.get_rng_state()
    synthesize(finished, 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in finished.classifier.state_dict().items())
    assert not finished.classifier.training


def test_the_file_is_what_a_user_of_medmnist_expects(folder: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "set.npz"
    code, said, _ = command("synthesize", "--run", folder, "--count", 9, "--out", out, "--png", tmp_path / "png")
    assert code == 0
    assert "NOT anonymous" in said
    with np.load(out, allow_pickle=False) as arrays:
        assert arrays["train_images"].shape == (9, 28, 28) and arrays["train_images"].dtype == np.uint8
        assert arrays["train_labels"].shape == (9, 1)
        for split in ("val", "test"):
            assert arrays[f"{split}_images"].shape == (0, 28, 28)
            assert arrays[f"{split}_labels"].shape == (0, 1)
        provenance = {"source_index", "mutual_information_before", "mutual_information_after", "latent_displacement"}
        assert provenance | {"pixel_displacement", "log_prob_fall", "seed", "method_version"} <= set(arrays.files)
        pictures = sorted((tmp_path / "png").glob("*.png"))
        assert len(pictures) == 9
        assert (np.asarray(Image.open(pictures[3])) == arrays["train_images"][3]).all()
        assert f"class-{arrays['train_labels'][3, 0]}" in pictures[3].name
        assert pictures[3].name.endswith(f"_source-{arrays['source_index'][3]:05d}.png")
    with pytest.raises(TsyndError, match=r"synthetic images, for training only.*--synthetic"):
        tsynd.load(out)


def test_the_card_says_what_it_is_and_that_it_is_not_anonymous(folder: Path, command: Command, tmp_path: Path) -> None:
    command("synthesize", "--run", folder, "--count", 9, "--out", tmp_path / "set.npz", "--seed", 3, "--quiet")
    card = json.loads((tmp_path / "set.json").read_text())
    assert sum(card["classes"].values()) == card["images"] == 9
    assert card["anonymity"]["anonymous"] is False
    assert "NOT anonymous" in card["anonymity"]["statement"]
    assert card["data"]["licence"] == "CC BY 4.0"
    assert card["command"].endswith("--seed 3")
    synthetic, run = read_set(tmp_path / "set.npz"), tsynd.load_run(folder)
    assert card["identity"] == identity(synthetic)
    real = run.data.train.images[run.chosen].float() / 255
    by_hand = ((synthetic.images[:, None] - real[None]) ** 2).flatten(2).mean(2).sqrt().amin(1)
    assert card["anonymity"]["synthetic_to_nearest_training_image"]["min"] == pytest.approx(float(by_hand.min()), abs=1e-4)
    assert card["anonymity"]["synthetic_to_nearest_training_image"]["median"] == pytest.approx(float(by_hand.median()), abs=1e-4)


@pytest.mark.parametrize(
    ("arm", "words", "parts"),
    [
        ("guarded+pixel", "is unsure .*, then changed by one gradient step", {"guard", "pixel_eps"}),
        ("sham", "that of an untrained classifier", {"guard"}),
        ("entropy", "high entropy", {"guard"}),
        ("cross-entropy", "loss on their label is high", {"guard"}),
        ("random", "in a random direction", {"guard"}),
        ("reconstruction", "not moved", {"guard"}),
    ],
)
def test_the_card_says_how_its_arm_made_the_images(finished: Run, arm: str, words: str, parts: set[str]) -> None:
    recipe = finished.config["recipe"] | {"guard_hard": True}
    other = replace(finished, config=finished.config | {"arm": arm, "recipe": recipe})
    card = describe(other, synthesize(finished, 2), "")
    assert re.search(words, card["what"])
    assert ("is unsure" in card["what"]) == (arm in ("guarded+pixel", "sham"))
    assert set(card["search"]) - {"objective", "arm", "radius", "decode", "steps", "means"} == parts
    assert card["search"]["guard"] == ({"weight": 3.0, "bound": 0.5, "hard": True} if arm == "guarded+pixel" else None)
    assert card["search"].get("pixel_eps") == (recipe["pixel_eps"] if arm == "guarded+pixel" else None)


def test_the_distances_between_training_images_are_those_by_hand(finished: Run) -> None:
    card = describe(finished, synthesize(finished, 2), "")
    real = finished.data.train.images[finished.chosen].float() / 255
    apart = ((real[:, None] - real[None]) ** 2).flatten(2).mean(2).sqrt()
    others = apart[~torch.eye(len(real), dtype=torch.bool)].view(len(real), -1)
    found = card["anonymity"]
    assert found["training_image_to_nearest_other"]["median"] == pytest.approx(float(others.amin(1).median()), abs=1e-4)
    assert found["two_training_images"]["median"] == pytest.approx(float(others.median()), abs=1e-4)


def test_nothing_is_replaced_without_force(folder: Path, command: Command, tmp_path: Path) -> None:
    out, png = tmp_path / "set.npz", tmp_path / "png"
    png.mkdir()
    (png / "mine.txt").write_text("precious")
    for options, message in (
        (["--png", png], "is not empty: name a new folder, or use --force"),
        (["--png", png / "mine.txt"], "is a file: name a folder"),
        (["--count", 0], "count must be >= 1, got 0"),
        (["--seed", -1], "seed must be >= 0, got -1"),
        (["--out", tmp_path / "set.zip"], "must name a file that ends in .npz"),
    ):
        code, _, said = command("synthesize", "--run", folder, "--count", 2, "--out", out, *options)
        assert code == 2 and said.count("\n") == 1 and message in said
        assert sorted(path.name for path in tmp_path.iterdir()) == ["png"]
    (tmp_path / "set.json").write_text("precious")
    assert "set.json exists: use --force" in command("synthesize", "--run", folder, "--count", 2, "--out", out)[2]
    assert command("synthesize", "--run", folder, "--count", 2, "--out", out, "--png", png, "--force")[0] == 0
    assert (png / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("arm", ["sham", "guarded+pixel", "none"])
def test_every_arm_with_an_autoencoder_synthesizes(arm: str) -> None:
    run = tsynd.run(RunConfig("phantom:count=12", arm=arm, per_class=8, budget="smoke", device="cpu"))
    if arm == "none":
        with pytest.raises(TsyndError, match=r"arm 'none' has no autoencoder .* reconstruction, random, .*guarded"):
            synthesize(run, 2)
    else:
        made = synthesize(run, 16)
        assert made.images.shape == (16, 1, 28, 28)
        assert made.latent_displacement.max() > 0  # the guard may leave some where they started


@pytest.mark.parametrize("seed", ["a", 1.5, True])
def test_a_seed_that_is_no_whole_number_is_refused(finished: Run, seed: Any) -> None:
    with pytest.raises(TsyndError, match=f"seed must be a whole number of at most 64 bits, got {seed!r}"):
        synthesize(finished, 1, seed=seed)


def test_force_removes_the_pictures_of_the_earlier_set_and_nothing_else(folder: Path, command: Command, tmp_path: Path) -> None:
    out, png = tmp_path / "set.npz", tmp_path / "png"
    mine = {"mine.png", "00000_class-x.png"}
    for count in (4, 2):
        made = command("synthesize", "--run", folder, "--count", count, "--out", out, "--png", png, "--force")
        assert made[0] == 0
        for name in mine:
            (png / name).write_text("precious")
    names = {path.name for path in png.iterdir()}
    assert mine < names and len(names - mine - {"README.md", "metadata.csv", "croissant.json"}) == 2
    assert all((png / name).read_text() == "precious" for name in mine)


def test_an_interruption_leaves_no_set_beside_the_card_of_another(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    first, second = synthesize(finished, 2), synthesize(finished, 3)
    write_set(tmp_path / "set.npz", first, describe(finished, first, ""))
    for name in ("write_json", "save_synthesis"):
        with monkeypatch.context() as patch:
            patch.setattr(f"tsynd.synthetic.sets.{name}", interrupted)
            with pytest.raises(KeyboardInterrupt):
                write_set(tmp_path / "set.npz", second, describe(finished, second, ""), force=True)
        assert not (tmp_path / "set.npz").exists()


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="no such file"):
        read_set(tmp_path / "none.npz")
    (tmp_path / "a.npz").write_bytes(b"PK no")
    with pytest.raises(TsyndError, match="is not a whole file of synthetic images"):
        read_set(tmp_path / "a.npz")


def test_images_of_another_type_are_refused(finished: Run, tmp_path: Path) -> None:
    save_synthesis(tmp_path / "set.npz", synthesize(finished, 2))
    with np.load(tmp_path / "set.npz") as file:
        arrays = dict(file)
    write_npz(tmp_path / "set.npz", **arrays | {"train_images": arrays["train_images"] / 255})
    with pytest.raises(TsyndError, match=r"images must be 8-bit \(uint8, 0 to 255\), got float64"):
        read_set(tmp_path / "set.npz")


@pytest.mark.parametrize("arm", [name for name, arm in ARMS.items() if arm.objective])
def test_the_card_says_in_words_what_an_arm_does_to_images(arm: str, finished: Run) -> None:
    run = replace(finished, config=finished.config | {"arm": arm})
    assert ("control" in describe(run, synthesize(finished, 2), "")["what"]) == (arm in ("random", "reconstruction", "sham"))
