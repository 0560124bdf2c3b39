"""Training: arms and their names, one loop that is the same twice, the bank, mixup."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.augmentation import mixup
from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.errors import TsyndError
from tsynd.metrics.classification import clean_metrics
from tsynd.posterior import HeadDropout
from tsynd.targeting import Synthesis, concatenate
from tsynd.training import ARMS, Recipe, parse_arm, train_classifier
from tsynd.training.bank import Bank
from tsynd.training.state import History
from tsynd.utils.environment import METHOD_VERSION

QUICK = Recipe(steps=12, batch_size=8, refresh_every=3, refresh_count=6, capacity=12, samples=8, ascent_steps=2)
GOLDEN = [0.72075, 0.72549, 0.01109, 0.52847]
LABELS = torch.arange(12) % 2
IMAGES = (torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5 * LABELS.view(-1, 1, 1, 1)).clamp(
    0, 1
)


def train(arm: str, seed: int = 0, recipe: Recipe = QUICK) -> tuple[Classifier, History, Synthesis | None]:
    autoencoder = build_autoencoder(1, 28, seed=1).eval()
    autoencoder.standardise(IMAGES)
    classifier = build_classifier(1, 28, 2, seed=2)
    found = parse_arm(arm)
    unlabelled = IMAGES.flip(-1) if found.consistency else None
    settings: dict[str, Any] = {"autoencoder": autoencoder, "unlabelled": unlabelled, "seed": seed}
    history, synthesis = train_classifier(classifier, IMAGES, LABELS, found, recipe, **settings)
    return classifier, history, synthesis


# `pixel` changes synthetic images and is no arm of its own; ridge regressions take no steps (see test_ridge.py).
ALONE = [name for name, arm in ARMS.items() if name != "pixel" and not arm.ridge]
MEASURED = ("mutual_information_before", "mutual_information_after", "log_prob_fall", "pixel_displacement")


def digest(classifier: Classifier) -> str:
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in classifier.state_dict().values())).hexdigest()


COMBINED = ("guarded+mixup", "random+label-smoothing", "guarded+mixup+pixel", "mixup+trivialaugment+pgd")


@pytest.mark.parametrize("arm", [*ALONE, *COMBINED])
def test_every_arm_trains_and_is_the_same_twice(arm: str) -> None:
    classifier, history, synthesis = train(arm)
    again, _, _ = train(arm)
    assert digest(classifier) == digest(again)
    assert len(history.loss) == (17 if arm == "none-matched" else 12)
    assert not classifier.training
    assert (synthesis is None) == (parse_arm(arm).objective is None)
    assert history.refresh_step == ([3, 6, 9] if synthesis else [])
    assert synthesis is None or all(getattr(synthesis, column).isfinite().all() for column in MEASURED)
    assert all(parameter.requires_grad for parameter in classifier.parameters())


def test_arms_and_seeds_differ() -> None:
    weights = {digest(train(arm, seed)[0]) for arm in ALONE for seed in (0, 1)}
    assert len(weights) == 2 * len(ALONE)


def test_sham_climbs_an_untrained_copy_and_is_recorded_on_the_classifier() -> None:
    autoencoder, classifier, untrained = (
        build_autoencoder(1, 28, seed=1),
        build_classifier(1, 28, 2, seed=2),
        build_classifier(1, 28, 2, seed=3),
    )
    found = {}
    for arm, searched in (("tsynd", classifier), ("sham", untrained)):
        bank = Bank(parse_arm(arm), QUICK, seed=0)
        found[arm] = bank.refresh(IMAGES, LABELS, autoencoder, HeadDropout.of(searched, 64), classifier)
    assert torch.equal(found["tsynd"].sources, found["sham"].sources)
    torch.testing.assert_close(
        found["tsynd"].mutual_information_before, found["sham"].mutual_information_before, rtol=0.5, atol=1e-3
    )
    gains = {arm: float((new.mutual_information_after - new.mutual_information_before).mean()) for arm, new in found.items()}
    assert gains["tsynd"] > gains["sham"]
    moved = {arm: float(new.latent_displacement.mean()) for arm, new in found.items()}
    assert moved["sham"] == pytest.approx(moved["tsynd"], rel=0.5)


def test_all_searches_start_from_the_same_images() -> None:
    found = [train(arm)[2] for arm in ("tsynd", "random", "sham", "cross-entropy", "guarded+pixel")]
    sources = [synthesis.sources for synthesis in found if synthesis is not None]
    assert len(sources) == 5 and all(torch.equal(source_B, sources[0]) for source_B in sources)


def test_pixel_takes_one_signed_step_from_what_the_search_found() -> None:
    autoencoder, classifier = build_autoencoder(1, 28, seed=1), build_classifier(1, 28, 2, seed=2)
    plain, stepped = (
        Bank(parse_arm(arm), QUICK, seed=0).refresh(
            IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8, torch.Generator().manual_seed(0)), classifier
        )
        for arm in ("guarded", "guarded+pixel")
    )
    change = (stepped.images - plain.images).abs()
    assert change.max() <= QUICK.pixel_eps + 1e-6
    assert (change > 0.9 * QUICK.pixel_eps).double().mean() > 0.5
    classifier.eval()
    losses = [F.cross_entropy(classifier(new.images), new.labels) for new in (plain, stepped)]
    assert losses[1] > losses[0]
    assert not torch.equal(stepped.pixel_displacement, plain.pixel_displacement)


def test_global_random_state_is_untouched() -> None:
    before = torch.get_rng_state()
    train("guarded+mixup")
    assert torch.equal(torch.get_rng_state(), before)


def test_global_random_state_does_not_matter() -> None:
    torch.manual_seed(1)
    first = digest(train("guarded+mixup")[0])
    torch.manual_seed(2)
    assert digest(train("guarded+mixup")[0]) == first


def test_bank_keeps_the_latest_and_says_where_they_come_from() -> None:
    autoencoder, classifier = build_autoencoder(1, 28, seed=1), build_classifier(1, 28, 2, seed=2)
    bank = Bank(parse_arm("tsynd"), QUICK, seed=0)
    assert bank.content() is None
    for _ in range(4):
        bank.refresh(IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8), classifier)
    content = bank.content()
    assert content is not None
    assert len(bank) == len(content) == 12
    assert torch.equal(content.labels, LABELS[content.sources])
    assert ((content.images >= 0) & (content.images <= 1)).all()


def test_sources_are_augmented_and_the_same_for_every_arm() -> None:
    """The order decides the robustness to attack: see book/choices.md."""
    autoencoder, classifier = build_autoencoder(1, 28, seed=1).eval(), build_classifier(1, 28, 2, seed=2)
    contents = {}
    for arm in ("tsynd", "guarded", "entropy", "random", "reconstruction"):
        bank = Bank(parse_arm(arm), replace(QUICK, refresh_count=30, capacity=60), seed=0)
        bank.refresh(IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8), classifier)
        bank.refresh(IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8), classifier)
        contents[arm] = concatenate(bank.parts)
    for content in contents.values():
        assert torch.equal(content.sources, contents["tsynd"].sources)
        torch.testing.assert_close(content.reconstructions, contents["tsynd"].reconstructions)
    start, source = contents["tsynd"].reconstructions, contents["tsynd"].sources
    with torch.no_grad():
        plain = autoencoder(IMAGES[source])
    assert ((start - plain).abs().amax(dim=(1, 2, 3)) > 1e-6).all()
    twice = (source == source[0]).nonzero().flatten()
    assert len(twice) > 1
    assert not torch.equal(start[twice[0]], start[twice[1]])


def test_numbers_change_only_with_the_method_version() -> None:
    """When this fails on purpose, raise METHOD_VERSION and write the new numbers here."""
    _, history, synthesis = train("guarded+mixup")
    assert synthesis is not None
    numbers = [
        history.loss[0],
        history.loss[-1],
        float(synthesis.pixel_displacement.mean()),
        float(synthesis.images.mean()),
    ]
    assert METHOD_VERSION == 4
    assert numbers == pytest.approx(GOLDEN, rel=0.02)


def test_a_multi_label_task_is_learnt() -> None:
    labels = torch.stack([LABELS, 1 - LABELS], 1)
    classifier = build_classifier(1, 28, 2, seed=2, multi_label=True)
    history, _ = train_classifier(classifier, IMAGES, labels, parse_arm("mixup"), replace(QUICK, steps=40))
    assert history.loss[-1] < history.loss[0]
    assert clean_metrics(classifier(IMAGES).sigmoid(), labels, "multi-label")["auroc"] == 1.0


def test_share_of_each_batch_comes_from_the_bank() -> None:
    autoencoder, classifier = build_autoencoder(1, 28, seed=1), build_classifier(1, 28, 2, seed=2)
    bank = Bank(parse_arm("tsynd"), replace(QUICK, share=0.25), seed=0)
    bank.refresh(IMAGES, LABELS, autoencoder, HeadDropout.of(classifier, 8), classifier)
    onehot = torch.nn.functional.one_hot(LABELS, 2).float()
    mixed, labels, targets = bank.mix_in(IMAGES[:8], LABELS[:8], onehot[:8], torch.Generator().manual_seed(0))
    assert torch.equal(mixed[:6], IMAGES[:6])
    assert torch.equal(targets, torch.nn.functional.one_hot(labels, 2))
    for image, label in zip(mixed[6:], labels[6:], strict=True):
        same = (bank.parts[0].images == image).all(dim=(1, 2, 3))
        assert same.any()
        assert (bank.parts[0].labels[same] == label).all()


def test_reconstruction_arm_trains_on_reconstructions() -> None:
    _, _, synthesis = train("reconstruction")
    assert synthesis is not None
    assert (synthesis.latent_displacement == 0).all()


def test_mixup_mixes_images_and_targets_alike() -> None:
    targets = torch.nn.functional.one_hot(LABELS, 2).float()
    flat = LABELS.float().view(-1, 1, 1, 1).expand(-1, 1, 4, 4)  # an image that is its label
    mixed, mixed_targets = mixup(flat, targets, 1.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed[:, 0, 0, 0], mixed_targets[:, 1])
    torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(12))
    assert ((mixed_targets > 0.05) & (mixed_targets < 0.95)).any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gaurded", "did you mean 'guarded'"),
        ("guarded+guarded", "names a part twice"),
        ("none+mixup", "'none' combines with nothing"),
        ("mixup+none-matched", "'none-matched' combines with nothing"),
        ("pixel+mixup", "'pixel' changes synthetic images and needs some, as in 'guarded\\+pixel'"),
        ("tsynd+random", "one at most"),
        ("", "has an empty part"),
        ("guarded+", "arm 'guarded\\+' has an empty part"),
    ],
)
def test_bad_arms_are_refused(name: str, message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        parse_arm(name)


def test_synthesis_without_an_autoencoder_is_refused() -> None:
    with pytest.raises(TsyndError, match="needs an autoencoder"):
        train_classifier(build_classifier(1, 28, 2, seed=0), IMAGES, LABELS, parse_arm("tsynd"), QUICK)


def test_autoencoder_learns_and_is_the_same_twice() -> None:
    def trained() -> tuple[list[float], Tensor]:
        autoencoder = build_autoencoder(1, 28, seed=0)
        losses = train_autoencoder(autoencoder, IMAGES, steps=15, batch_size=8, seed=0)
        with torch.no_grad():
            return losses, autoencoder(IMAGES)

    (losses, images), (_, again) = trained(), trained()
    assert losses[-1] < losses[0]
    assert torch.equal(images, again)
