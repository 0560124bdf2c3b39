"""The loss on images without labels: its targets, its schedule, its searches, its checkpoints, and the methods made of it."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tsynd.augmentation.trivialaugment import rand_augment, trivial_augment
from tsynd.autoencoding import build_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset, Split
from tsynd.data.image_folder.unlabelled import unlabelled_images
from tsynd.errors import TsyndError
from tsynd.targeting import Synthesis
from tsynd.training import ARMS, METHODS, Recipe, parse_arm, train_classifier
from tsynd.training.arms import recipe_for
from tsynd.training.bank import Bank
from tsynd.training.consistency import Consistency, sharpen
from tsynd.training.state import History
from tsynd.utils.progress import Step
from tsynd.utils.tensor_files import weights_hash

QUICK = Recipe(
    steps=12, batch_size=8, refresh_every=3, refresh_count=6, capacity=12, samples=8, ascent_steps=2, unlabelled_batch=8
)
LABELS = torch.arange(12) % 2
IMAGES = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5 * LABELS.view(-1, 1, 1, 1)
UNLABELLED = torch.rand(30, 1, 28, 28, generator=torch.Generator().manual_seed(1))
SETTINGS: dict[str, Any] = {"alignment": 0.0, "power": 2.0, "hard": False}


def train(arm: str, recipe: Recipe = QUICK, **options: Any) -> tuple[Classifier, History, Synthesis | None]:
    autoencoder = build_autoencoder(1, 28, seed=1).eval()
    autoencoder.standardise(IMAGES)
    classifier, found = build_classifier(1, 28, 2, seed=2), parse_arm(arm)
    images = None if not found.consistency or recipe_for(arm).consistency_images == "training" else UNLABELLED
    settings = {"autoencoder": autoencoder, "unlabelled": images, **options}
    history, synthesis = train_classifier(classifier, IMAGES, LABELS, found, recipe_for(arm, recipe), **settings)
    return classifier, history, synthesis


def test_targets_are_sharpened_as_the_definition_says() -> None:
    probs, even = torch.tensor([[0.8, 0.2], [0.5, 0.5]]), torch.tensor([0.5, 0.5])
    targets, confidence = sharpen(probs, even, even, **SETTINGS)
    torch.testing.assert_close(targets, torch.tensor([[0.64 / 0.68, 0.04 / 0.68], [0.5, 0.5]]))
    torch.testing.assert_close(confidence, torch.tensor([0.8, 0.5]))
    assert sharpen(probs, even, even, **SETTINGS | {"hard": True})[0][0].tolist() == [1.0, 0.0]
    assert torch.equal(sharpen(probs, even, even, **SETTINGS | {"power": 1.0})[0], probs)


def test_alignment_draws_a_teacher_that_drifts_back_to_the_shares_of_the_classes() -> None:
    """A teacher whose mean answer is (.9, .1), though both classes are equally frequent."""
    probs, mean, prior = torch.tensor([[0.9, 0.1]]), torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.5])
    aligned = sharpen(probs, mean, prior, **SETTINGS | {"alignment": 1.0})[0]
    torch.testing.assert_close(aligned, torch.tensor([[0.5, 0.5]]))
    half = sharpen(probs, mean, prior, **SETTINGS | {"alignment": 0.5, "power": 1.0})[0]
    torch.testing.assert_close(half, torch.tensor([[0.75, 0.25]]))  # sqrt(9) : 1


def test_each_of_several_labels_is_sharpened_by_itself() -> None:
    probs = torch.tensor([[[0.2, 0.8], [0.6, 0.4]]])
    even = torch.full((2, 2), 0.5)
    targets, confidence = sharpen(probs, even, even, **SETTINGS)
    torch.testing.assert_close(targets[0, 1], torch.tensor([0.36 / 0.52, 0.16 / 0.52]))
    assert confidence.tolist() == pytest.approx([0.6])


def made(**changes: Any) -> Consistency:
    recipe = replace(recipe_for("consistency", QUICK), **changes)
    return Consistency(build_classifier(1, 28, 2, seed=2), recipe, UNLABELLED, LABELS, seed=0)


def test_the_weight_is_zero_then_rises_then_stays() -> None:
    weights = [made().weight(step, 600) for step in (0, 99, 100, 199, 299, 599)]
    assert weights == pytest.approx([0.0, 0.0, 1 / 200, 0.5, 1.0, 1.0])
    assert made(unlabelled_start=0.0, unlabelled_ramp=0.0).weight(0, 600) == 1.0


def test_only_confident_answers_count_where_a_threshold_is_set() -> None:
    second = made(threshold=0.95, pseudo_labels="hard")
    with torch.no_grad():
        second.teacher.head[-1].bias.copy_(torch.tensor([9.0, -9.0]))  # type: ignore[operator]
    targets, counts = second.answer(UNLABELLED[:4])
    assert targets.tolist() == [[1.0, 0.0]] * 4 and counts.tolist() == [1.0] * 4
    assert made(threshold=0.95).answer(UNLABELLED[:4])[1].tolist() == [0.0] * 4  # a new classifier is never so sure


def test_a_share_of_the_batch_comes_from_the_searches() -> None:
    second, bank = made(), Bank(parse_arm("consistency+tsynd"), QUICK, seed=0)
    batch = second.batch(bank, searching=True)
    assert batch is not None and len(batch[0]) == 5  # three of eight are kept for a bank that is still empty
    _, _, found = train("consistency+tsynd")
    assert found is not None
    bank._hold([found])
    batch = second.batch(bank, searching=True)
    assert batch is not None and [len(each) for each in batch] == [8, 8, 8]
    assert all(any(torch.equal(image, other) for other in found.images) for image in batch[0][5:])
    plain = second.batch(bank, searching=False)
    assert plain is not None and not any(torch.equal(image, other) for image in plain[0] for other in found.images)


def test_the_teacher_is_the_average_and_with_decay_0_the_classifier_itself() -> None:
    second, student = made(teacher_decay=0.0), build_classifier(1, 28, 2, seed=5)
    second.average.update_parameters(student)
    second.average.update_parameters(student)
    assert weights_hash(second.teacher) == weights_hash(student)


@pytest.mark.parametrize("arm", ["consistency+mixup", "consistency+tsynd", "consistency+sham", "consistency+pixel", "lvat"])
def test_images_without_labels_change_the_training_and_searches_start_from_them(arm: str) -> None:
    (network, history, found), (again, _, _) = train(arm), train(arm)
    assert weights_hash(network) == weights_hash(again)
    assert history.loss[:2] == train(arm, replace(QUICK, unlabelled_start=1.0))[1].loss[:2] or arm == "lvat"
    assert (found is None) == (arm == "consistency+mixup")
    if found is not None:
        assert found.sources.max() < (12 if arm == "lvat" else 30)
        assert arm == "lvat" or found.sources.max() >= 12  # numbers among the unlabelled images
        assert found.decode == ("image" if arm == "lvat" else "residual")
    if arm == "consistency+pixel":
        assert found is not None and (found.images - found.reconstructions).abs().max() <= 2 / 255 + 1e-6


def test_labels_of_the_training_images_play_no_part_in_the_second_loss() -> None:
    assert weights_hash(train("consistency", replace(QUICK, unlabelled_weight=0.0))[0]) == weights_hash(train("none")[0])


def test_several_labels_an_image() -> None:
    labels = torch.stack([LABELS, 1 - LABELS, torch.zeros_like(LABELS)], 1)
    classifier = build_classifier(1, 28, 3, seed=2, multi_label=True)
    autoencoder = build_autoencoder(1, 28, seed=1).eval()
    recipe = recipe_for("consistency+tsynd", replace(QUICK, alignment=1.0))
    arm = parse_arm("consistency+tsynd")
    history, found = train_classifier(classifier, IMAGES, labels, arm, recipe, autoencoder=autoencoder, unlabelled=UNLABELLED)
    assert torch.tensor(history.loss).isfinite().all()
    assert found is not None and found.labels.shape == (12, 3)


class Stop(Exception):
    """The training is stopped."""


@pytest.mark.parametrize("arm", ["consistency+tsynd+mixup", "fixmatch"])
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path, arm: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    recipe = replace(QUICK, alignment=1.0)
    if arm == "fixmatch":
        recipe = replace(recipe, steps=6)
    expected, history, _ = train(arm, recipe)

    def stop(step: Step) -> None:
        if step.done == recipe.steps - 2:
            raise Stop

    with pytest.raises(Stop):
        train(arm, recipe, checkpoint=path, checkpoint_every=2, progress=stop)
    assert path.exists()
    found, again, _ = train(arm, recipe, checkpoint=path)
    assert weights_hash(found) == weights_hash(expected) and again.loss == history.loss
    with pytest.raises(TsyndError, match="unlabelled: "):
        train(arm, recipe, checkpoint=path, unlabelled=UNLABELLED.flip(0))


@pytest.mark.parametrize(
    ("arm", "unlabelled", "message"),
    [
        ("consistency", None, "needs images without labels, got None"),
        ("tsynd", UNLABELLED, "no use for images without labels"),
        ("consistency", UNLABELLED.expand(-1, 3, -1, -1), r"unlabelled must have shape \(B, 1, 28, 28\)"),
        ("consistency", UNLABELLED.to("meta"), "unlabelled must be on the classifier's device, cpu, got meta"),
    ],
)
def test_images_without_labels_that_do_not_fit_are_refused(arm: str, unlabelled: Tensor | None, message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        train(arm, unlabelled=unlabelled)


def test_methods_are_made_of_parts_and_bring_their_numbers() -> None:
    assert parse_arm("refined") == parse_arm("guarded+mixup+trivialaugment")
    assert recipe_for("refined+pixel").share == 0.25
    assert parse_arm("mixup+consistency+pixel+trivialaugment") == replace(
        parse_arm("consistency+pixel+mixup"), trivialaugment=True
    )
    assert recipe_for("consistency+pixel+mixup").space == "pixel" and recipe_for("consistency+tsynd+pixel").space == "latent"
    assert recipe_for("consistency+tsynd").decode == "residual"
    assert parse_arm("fixmatch") == ARMS["consistency"] and recipe_for("fixmatch").threshold == 0.95
    for name, method in METHODS.items():
        assert parse_arm(name) == parse_arm(method.parts)
        assert recipe_for(name) != recipe_for("none") or not method.settings
    assert set(METHODS).isdisjoint(ARMS)
    with pytest.raises(TsyndError, match="did you mean 'fixmatch'"):
        parse_arm("fixmtch")


def data(count: int = 20) -> Dataset:
    split = Split((UNLABELLED[:count] * 255).byte(), torch.arange(count) % 2)
    return Dataset("toy", split, split, split, ("a", "b"), "binary", "CC BY 4.0")


def test_the_rest_is_what_is_not_chosen_and_fewer_are_part_of_more() -> None:
    chosen = torch.tensor([0, 1, 5])
    rest = unlabelled_images("rest", data(), chosen)
    assert rest.index is not None and rest.index.tolist() == [i for i in range(20) if i not in (0, 1, 5)]
    assert torch.equal(rest.images, data().train.images[rest.index])
    some, more = (unlabelled_images("rest", data(), chosen, count=n, seed=3).index for n in (4, 9))
    assert some is not None and more is not None and len(some) == 4
    assert set(some.tolist()) < set(more.tolist()) <= set(rest.index.tolist())
    with pytest.raises(TsyndError, match="'rest' is empty: all 20 training images of toy"):
        unlabelled_images("rest", data(), torch.arange(20))


def test_a_folder_of_any_images_is_fitted(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "deep").mkdir()
    for name, side in (("a.png", 40), ("deep/b.png", 28)):
        Image.new("L", (side, side), 90).save(tmp_path / name)
    found = unlabelled_images(str(tmp_path), data(), torch.arange(2))
    assert found.index is None and found.images.shape == (2, 1, 28, 28) and (found.images == 90).all()
    Image.new("RGB", (28, 28), (255, 0, 0)).save(tmp_path / "c.png")
    with pytest.raises(TsyndError, match="RGB image with colour, the labelled images are grey"):
        unlabelled_images(str(tmp_path), data(), torch.arange(2))
    with pytest.raises(TsyndError, match="must be 'rest' or a folder of images, got 'nowhere'"):
        unlabelled_images("nowhere", data(), torch.arange(2))


def test_randaugment_cuts_a_square_and_is_the_same_twice() -> None:
    one, same = (rand_augment(UNLABELLED, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(one, same) and one.min() >= 0 and one.max() <= 1
    grey = (one == 0.5).float().mean(dim=(1, 2, 3))
    assert 0.05 < grey.mean() < 0.27 and grey.max() >= 0.24  # a quarter where the square lies inside
    assert ((trivial_augment(UNLABELLED, torch.Generator().manual_seed(0)) == 0.5).float().mean() < 0.02).item()
    assert copy.copy(one).shape == UNLABELLED.shape
