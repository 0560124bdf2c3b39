"""What an ablation turns: the space of the search, an ensemble in place of dropout, real images in place of synthetic ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tsynd.autoencoding import ConvAutoencoder, build_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import Ensemble, HeadDropout
from tsynd.runs.config import RunConfig
from tsynd.runs.pipeline import run
from tsynd.targeting import Synthesis
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.training.state import History, State
from tsynd.utils.progress import Step
from tsynd.utils.tensor_files import weights_hash

QUICK = Recipe(steps=12, batch_size=8, refresh_every=3, refresh_count=6, capacity=12, samples=8, ascent_steps=2)
LABELS = torch.arange(12) % 2
IMAGES = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5 * LABELS.view(-1, 1, 1, 1)


def coder() -> ConvAutoencoder:
    autoencoder = build_autoencoder(1, 28, seed=1).eval()
    autoencoder.standardise(IMAGES)
    return autoencoder


def train(arm: str, recipe: Recipe, **options: Any) -> tuple[Classifier, History, Synthesis | None]:
    classifier = build_classifier(1, 28, 2, seed=2)
    history, synthesis = train_classifier(
        classifier, IMAGES, LABELS, parse_arm(arm), recipe, **{"autoencoder": coder(), **options}
    )
    return classifier, history, synthesis


def nearest(images_BCHW: Tensor) -> Tensor:
    """The largest difference of a pixel to the nearest of the training images, which are augmented by shifts and turns."""
    return torch.cdist(images_BCHW.flatten(1), IMAGES.flatten(1), p=float("inf")).min(dim=1).values


def test_in_pixel_space_the_search_stays_near_the_image_and_needs_no_autoencoder() -> None:
    found = train("tsynd", replace(QUICK, space="pixel", radius=0.02), autoencoder=object())[2]
    assert found is not None
    assert found.space == "pixel"
    assert (found.pixel_displacement <= 0.02 + 1e-6).all()
    assert found.pixel_displacement.max() > 0.01


def test_real_images_by_their_uncertainty_are_a_search_that_does_not_move() -> None:
    """Reconstruction in pixel space is the image itself: what is left is which images are drawn."""
    found = train("reconstruction", replace(QUICK, space="pixel", sources="uncertain"))[2]
    assert found is not None
    assert torch.equal(found.images, found.reconstructions)
    assert torch.equal(found.labels, LABELS[found.sources])


def test_an_ensemble_has_members_of_their_own_that_learn() -> None:
    recipe = replace(QUICK, posterior="ensemble", members=3)
    classifier = build_classifier(1, 28, 2, seed=2)
    state = State(classifier, parse_arm("guarded"), recipe, 0, None)
    assert isinstance(state.posterior, Ensemble)
    assert len(state.posterior) == 3
    before = [weights_hash(network) for network in (classifier, *(fellow.classifier for fellow in state.learners[1:]))]
    assert len(set(before)) == 3
    for fellow in state.learners[1:]:
        fellow.learn(IMAGES, torch.nn.functional.one_hot(LABELS).float(), 0.0)
    assert len({*before, *(weights_hash(fellow.classifier) for fellow in state.learners[1:])}) == 5
    assert State(classifier, parse_arm("none"), recipe, 0, None).learners[1:] == []
    assert isinstance(State(classifier, parse_arm("guarded"), QUICK, 0, None).posterior, HeadDropout)


def test_the_search_climbs_what_the_members_disagree_about() -> None:
    head, ensemble = (train("tsynd", replace(QUICK, posterior=kind))[2] for kind in ("head", "ensemble"))
    assert head is not None
    assert ensemble is not None
    assert not torch.allclose(head.latents, ensemble.latents)
    assert (
        ensemble.mutual_information_after >= ensemble.mutual_information_before - 1e-6
    ).all()  # the members are their own fresh samples


@pytest.mark.parametrize("changed", [{"posterior": "ensemble"}, {"space": "pixel", "radius": 0.02}])
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path, changed: dict[str, Any]) -> None:
    recipe = replace(QUICK, **changed)
    straight = weights_hash(train("guarded", recipe)[0])

    class Stop(Exception):
        pass

    def stop(step: Step) -> None:
        if step.done == 9:
            raise Stop

    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stop):
        train("guarded", recipe, checkpoint=file, checkpoint_every=3, progress=stop)
    assert weights_hash(train("guarded", recipe, checkpoint=file, checkpoint_every=3)[0]) == straight


def test_the_autoencoder_learns_from_the_subset_or_from_all_images(tmp_path: Path) -> None:
    quick = {"steps": 4, "autoencoder_steps": 3, "draws": 1, "attack_steps": 1, "limit": 4, "samples": 4}
    losses = []
    for which in ("subset", "all", "all"):
        config = RunConfig("phantom:count=30", "random", 5, budget="smoke", changes=quick | {"autoencoder_images": which})
        losses.append(run(config, shared=tmp_path, audited=False).autoencoder_loss)
    assert losses[0] != losses[1] == losses[2]
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_sources_of_a_search_get_trivialaugment_where_they_are_meant_to() -> None:
    """With a search that does not move in pixel space, what is found is the augmented source."""
    still = replace(QUICK, space="pixel", source_augmentation="trivialaugment")
    light, more = (train("reconstruction", recipe)[2] for recipe in (replace(QUICK, space="pixel"), still))
    assert light is not None and more is not None
    assert torch.equal(more.images, more.reconstructions)
    assert not torch.equal(more.images, light.images)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"space": "pixels"}, "unknown space 'pixels': did you mean 'pixel'"),
        ({"posterior": "heads"}, "unknown posterior 'heads': did you mean 'head'"),
        ({"members": 1}, "members must be >= 2, got 1"),
        ({"autoencoder_images": "some"}, "unknown autoencoder_images 'some'"),
        ({"source_augmentation": "none"}, "unknown source_augmentation 'none'"),
    ],
)
def test_wrong_options(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(TsyndError) as caught:
        replace(QUICK, **changed)
    assert words in str(caught.value)
