"""What training can do beyond the plain loop: soft labels, sources, averaged weights, given images, refusals."""

import copy
import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.targeting import Synthesis, target
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.training.bank import Bank, soft_targets
from tsynd.training.consistency import moving_average
from tsynd.training.loop import image_weights
from tsynd.training.source_sampling import better_half, choose_sources, greedy_cover
from tsynd.training.state import History
from tsynd.utils.tensor_files import weights_hash

QUICK = Recipe(steps=10, batch_size=8, refresh_every=3, refresh_count=6, capacity=12, samples=8, ascent_steps=2)
LABELS = torch.arange(12) % 2
IMAGES = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5 * LABELS.view(-1, 1, 1, 1)


def train(arm: str = "guarded", recipe: Recipe = QUICK, **options: Any) -> tuple[Classifier, History, Synthesis | None]:
    autoencoder = build_autoencoder(1, 28, seed=1).eval()
    autoencoder.standardise(IMAGES)
    classifier = build_classifier(1, 28, 2, seed=2)
    settings = {"autoencoder": autoencoder, **options}
    history, synthesis = train_classifier(classifier, IMAGES, LABELS, parse_arm(arm), recipe, **settings)
    return classifier, history, synthesis


def synthetic(**columns: Any) -> Synthesis:
    """Six synthetic images of three sources a class."""
    classifier, autoencoder = build_classifier(1, 28, 2, seed=2), build_autoencoder(1, 28, seed=1)
    generator = torch.Generator().manual_seed(0)
    posterior = HeadDropout.of(classifier, 8, generator)
    return replace(target(IMAGES[:6], LABELS[:6], autoencoder, posterior, steps=1, generator=generator), **columns)


def sources(how: str, images: Tensor, labels: Tensor, count: int = 400, **options: Any) -> Tensor:
    classifier = build_classifier(1, 28, 2, seed=2)
    generator = torch.Generator().manual_seed(0)
    return choose_sources(how, images, labels, classifier, count=count, samples=8, generator=generator, **options)


def test_soft_labels_go_from_the_label_to_the_even_guess() -> None:
    information = torch.tensor([0.0, 0.5, 1.0, 1.1]) * math.log(4)  # the last is above the bound, as rounding may leave it
    labels = torch.tensor([1, 1, 1, 1])
    targets = soft_targets(labels, information, 4, 1.0)
    torch.testing.assert_close(targets[:, 1], torch.tensor([1.0, 0.625, 0.25, 0.25]))
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(soft_targets(labels, information, 4, 0.5)[2], torch.tensor([0.125, 0.625, 0.125, 0.125]))
    assert torch.equal(soft_targets(labels, information, 4, 0.0), torch.nn.functional.one_hot(labels, 4))


def test_the_bank_softens_synthetic_images_only() -> None:
    given = synthetic(mutual_information_after=torch.full((6,), math.log(2)))
    bank = Bank(parse_arm("none"), replace(QUICK, soft_labels=0.5), seed=0, given=given)
    onehot = torch.nn.functional.one_hot(LABELS[:8], 2).float()
    _, labels, targets = bank.mix_in(IMAGES[:8], LABELS[:8], onehot, torch.Generator().manual_seed(0))
    assert torch.equal(targets[:4], onehot[:4])
    torch.testing.assert_close(targets[4:].gather(1, labels[4:, None]), torch.full((4, 1), 0.75))
    assert weights_hash(train(recipe=replace(QUICK, soft_labels=1.0))[0]) != weights_hash(train()[0])


def test_uniform_sources_are_plain_draws() -> None:
    expected = torch.randint(12, (400,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(sources("uniform", IMAGES, LABELS), expected)


def test_balanced_sources_have_each_class_equally_often() -> None:
    labels = torch.tensor([0] * 11 + [1])
    assert sources("balanced", IMAGES, labels).eq(11).double().mean() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("how", ["uncertain", "hard"])
def test_scored_sources_prefer_what_the_classifier_finds_difficult(how: str) -> None:
    """Half of the draws are spread evenly; the other half goes to image 7, since the others score 0."""
    classifier = build_classifier(1, 28, 2, seed=2)
    classifier.mean.fill_(0)
    classifier.features = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # one feature: brightness
    last = nn.Linear(1, 2, bias=False)
    last.weight.data = torch.tensor([[50.0], [-50.0]])
    classifier.head = nn.Sequential(nn.Dropout(0.5), last)  # bright is class 0, unless brightness is dropped
    images, labels = torch.ones(12, 1, 28, 28), torch.zeros(12, dtype=torch.int64)
    if how == "hard":
        labels[7] = 1
    else:
        images[torch.arange(12) != 7] = 0  # black: every sample says one half
    generator = torch.Generator().manual_seed(0)
    drawn = choose_sources(how, images, labels, classifier, count=600, samples=64, generator=generator, batch_size=5)
    assert drawn.eq(7).double().mean() == pytest.approx(0.5 + 0.5 / 12, abs=0.08)
    assert drawn.unique().numel() == 12


def test_facility_location_takes_one_image_of_each_kind_and_its_mutual_information_those_like_the_queries() -> None:
    kinds = torch.arange(12) // 3  # four kinds of three images each
    similar = (kinds[:, None] == kinds).double() * 0.9 + 0.1 * torch.eye(12)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        assert sorted(kinds[greedy_cover(similar, torch.zeros(12), 4, generator)].tolist()) == [0, 1, 2, 3]
        like_two = similar[:, 6:9]  # the third kind is asked for
        assert (kinds[greedy_cover(like_two, like_two.amax(dim=1), 3, generator)] == 2).sum() >= 2
    again = greedy_cover(similar, torch.zeros(12), 30, torch.Generator().manual_seed(0))
    assert len(again) == 30 and again.bincount(minlength=12).max() <= 3  # when all are chosen, it begins again
    chosen = {tuple(greedy_cover(similar, torch.zeros(12), 4, torch.Generator().manual_seed(s)).tolist()) for s in range(5)}
    assert len(chosen) > 1


def bright_or_dark() -> Classifier:
    """A classifier whose features are an image's brightness, and which answers wrongly of dark images that have label 1."""

    class Two(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, 1 - x], dim=1)

    classifier = build_classifier(1, 28, 2, seed=2)
    classifier.mean.fill_(0)
    classifier.features = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Two())
    last = nn.Linear(2, 2, bias=False)
    last.weight.data = torch.tensor([[0.0, 50.0], [50.0, 0.0]])
    classifier.head = nn.Sequential(nn.Dropout(0.5), last)
    return classifier


def test_submodular_mutual_information_asks_for_images_like_those_of_the_highest_loss() -> None:
    classifier, bright = bright_or_dark(), torch.arange(12) % 2
    images = bright.view(-1, 1, 1, 1).expand(-1, 1, 28, 28).float()
    settings: dict[str, Any] = {"count": 4, "samples": 8, "generator": torch.Generator().manual_seed(0)}
    labels = torch.ones(12, dtype=torch.int64)  # dark images say 0
    drawn = choose_sources("submodular_mutual_information", images, labels, classifier, **settings)
    wrong = classifier.eval()(images).argmax(dim=1) != labels
    assert 0 < wrong.sum() < 12 and wrong[drawn].sum() >= 3
    both = choose_sources("facility_location", images, labels, classifier, **settings)
    assert len(bright[both].unique()) == 2


def test_the_better_half_is_near_real_images_or_stands_for_all_that_were_found() -> None:
    """Real images are dark; of six found ones four are dark too, and the bright ones lie where no real image is."""
    classifier, grey = bright_or_dark(), torch.tensor([0.1, 0.9, 0.12, 0.11, 1.0, 0.1])
    found, real = (values.view(-1, 1, 1, 1).expand(-1, 1, 28, 28) for values in (grey, torch.rand(20) * 0.2))
    dense = better_half("dense", found, real, classifier, torch.Generator().manual_seed(0))
    assert len(dense) == 3 and (grey[dense] < 0.2).all()
    diverse = better_half("diverse", found, real, classifier, torch.Generator().manual_seed(0))
    assert len(diverse) == 3 and (grey[diverse] < 0.2).any() and (grey[diverse] > 0.8).any()
    with pytest.raises(TsyndError, match=r"'dens'.*'dense'"):
        better_half("dens", found, real, classifier, torch.Generator())


@pytest.mark.parametrize("keep", ["dense", "diverse"])
def test_what_is_kept_is_part_of_a_recipe_and_the_same_twice(keep: str) -> None:
    (first, _, found), (again, _, _), (plain, _, _) = (train(recipe=replace(QUICK, keep=each)) for each in (keep, keep, "all"))
    assert weights_hash(first) == weights_hash(again) != weights_hash(plain)
    assert found is not None and len(found) == QUICK.capacity


@pytest.mark.parametrize("how", ["balanced", "uncertain", "hard", "facility_location", "submodular_mutual_information"])
def test_sources_are_part_of_a_recipe_and_the_same_twice(how: str) -> None:
    (first, history, found), (again, _, _), (plain, _, _) = (
        train(recipe=replace(QUICK, sources=s)) for s in (how, how, "uniform")
    )
    assert weights_hash(first) == weights_hash(again) != weights_hash(plain)
    assert found is not None and torch.equal(found.labels, LABELS[found.sources])
    assert history.seconds["targeting"] > 0


def test_averaged_weights_follow_the_definition() -> None:
    """Against the recursion written out; the running statistics of batch norm are averaged too."""
    classifier = build_classifier(1, 28, 2, seed=0)
    average = moving_average(classifier, 0.3)
    expected: dict[str, Tensor] = {}
    for n in range(4):
        with torch.no_grad():
            for tensor in (*classifier.parameters(), *classifier.buffers()):
                if tensor.is_floating_point():
                    tensor += n
        average.update_parameters(classifier)
        decay = min(0.3, (1 + n) / (10 + n)) if n else 0.0
        for name, tensor in classifier.state_dict().items():
            expected[name] = decay * expected.get(name, torch.tensor(0.0)) + (1 - decay) * tensor
    averaged = average.module.state_dict()
    for name, tensor in expected.items():
        torch.testing.assert_close(averaged[name], tensor.to(averaged[name].dtype))


def test_training_returns_the_averaged_weights() -> None:
    plain, history, _ = train("mixup")
    averaged, same_history, _ = train("mixup", replace(QUICK, ema=0.9))
    assert history.loss == same_history.loss  # the average is only watched
    assert weights_hash(plain) != weights_hash(averaged)
    assert not averaged.training and all(parameter.requires_grad for parameter in averaged.parameters())
    assert torch.equal(plain.mean, averaged.mean)
    nearly, _, _ = train("mixup", replace(QUICK, ema=1e-9))
    torch.testing.assert_close(nearly.state_dict(), plain.state_dict())


def test_weights_hash_sees_names_types_shapes_and_bytes() -> None:
    assert weights_hash(train()[0]) == weights_hash(train()[0]) != weights_hash(train(seed=1)[0])
    linear = nn.Linear(2, 2)
    first = weights_hash(linear)
    assert weights_hash(copy.deepcopy(linear)) == first
    linear.bias.data[0] = linear.bias.data[0].nextafter(torch.tensor(9.0))
    assert weights_hash(linear) != first != weights_hash(nn.Sequential(linear))
    assert (
        len({weights_hash(network) for network in (linear, copy.deepcopy(linear).double(), copy.deepcopy(linear).bfloat16())})
        == 3
    )


@pytest.mark.parametrize("arm", ["none", "mixup", "pgd", "label-smoothing", "trivialaugment"])
def test_given_images_are_trained_on_after_the_warm_up(arm: str) -> None:
    given = synthetic()
    _, plain, nothing = train(arm, autoencoder=None)
    _, mixed, content = train(arm, autoencoder=None, synthetic=given)
    assert nothing is None and content is not None
    assert torch.equal(content.images, given.images) and torch.equal(content.sources, given.sources)
    same = [one == other for one, other in zip(plain.loss, mixed.loss, strict=True)]
    assert same == [True] * 2 + [False] * 8  # a quarter of ten steps, rounded
    assert mixed.seconds["warmup"] > 0 and mixed.seconds["targeting"] == 0 and mixed.refresh_step == []


@pytest.mark.parametrize(
    ("arm", "columns", "message"),
    [
        ("guarded", {}, "searches for synthetic images of its own"),
        (
            "none",
            {"images": torch.zeros(6, 3, 28, 28)},
            r"synthetic images must have shape \(B, 1, 28, 28\) .*got \(6, 3, 28, 28\)",
        ),
        ("none", {"images": torch.full((6, 1, 28, 28), 2.0)}, r"synthetic images must lie in \[0, 1\], got 2 to 2"),
        ("none", {"labels": torch.tensor([0, 1, 2, 0, 1, 2])}, r"synthetic labels must lie in 0 \.\. 1, got 0 \.\. 2"),
        ("none", {"mutual_information_after": torch.full((6,), torch.nan)}, "some is not finite"),
    ],
)
def test_given_images_that_do_not_fit_are_refused(arm: str, columns: dict[str, Tensor], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        train(arm, replace(QUICK, soft_labels=0.5), synthetic=synthetic(**columns))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            IMAGES,
            LABELS[:, None],
            r"labels_B must be int64 of shape \(12,\), got torch.int64 of shape \(12, 1\)",
        ),
        (IMAGES, LABELS.int(), "got torch.int32"),
        (IMAGES, LABELS + 1, r"labels_B must lie in 0 \.\. 1, got 1 \.\. 2"),
        (IMAGES, LABELS - 1, r"got -1 \.\. 0"),
        (IMAGES.expand(-1, 3, -1, -1), LABELS, r"images_BCHW must have shape \(B, 1, 28, 28\) .*got \(12, 3, 28, 28\)"),
        (IMAGES[..., :20], LABELS, r"got \(12, 1, 28, 20\)"),
        (IMAGES[:0], LABELS[:0], "B >= 1"),
        ((IMAGES * 255).int(), LABELS, r"float in \[0, 1\], or uint8, got torch.int32"),
        (IMAGES * torch.nan, LABELS, "got nan to nan"),
        (IMAGES.to("meta"), LABELS, "images_BCHW must be on the classifier's device, cpu, got meta"),
    ],
)
def test_a_training_set_that_does_not_fit_is_refused(images: Tensor, labels: Tensor, message: str) -> None:
    classifier = build_classifier(1, 28, 2, seed=2)
    before = weights_hash(classifier)
    with pytest.raises(TsyndError, match=message):
        train_classifier(classifier, images, labels, parse_arm("none"), QUICK)
    assert weights_hash(classifier) == before


SEVERAL = torch.stack([LABELS, 1 - LABELS, torch.zeros_like(LABELS)], 1)


@pytest.mark.parametrize("arm", ["guarded+mixup+pixel", "sham", "mixup+pgd"])
def test_several_labels_an_image_are_trained_by_every_arm(arm: str) -> None:
    classifier = build_classifier(1, 28, 3, seed=2, multi_label=True)
    autoencoder = build_autoencoder(1, 28, seed=1).eval()
    autoencoder.standardise(IMAGES)
    for sources_ in ("balanced", "hard", "uncertain"):
        recipe = replace(QUICK, sources=sources_, soft_labels=1.0)
        history, synthesis = train_classifier(classifier, IMAGES, SEVERAL, parse_arm(arm), recipe, autoencoder=autoencoder)
        assert all(map(math.isfinite, history.loss))
        if synthesis is not None:
            assert torch.equal(synthesis.labels, SEVERAL[synthesis.sources])
    with pytest.raises(TsyndError, match=r"labels_B must be int64 of shape \(12, 3\)"):
        train_classifier(classifier, IMAGES, LABELS, parse_arm("none"), QUICK)


def test_soft_labels_and_balance_of_several_labels() -> None:
    information = torch.tensor([0.0, 0.5, 1.0]) * 2 * math.log(2)
    softened = soft_targets(torch.tensor([[1, 0]] * 3), information, 2, 1.0)
    torch.testing.assert_close(softened, torch.tensor([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5]]))
    labels = torch.zeros(12, 2, dtype=torch.int64)  # nine images without a label, two with the first, one with the second
    labels[9:11, 0], labels[11, 1] = 1, 1
    classifier = build_classifier(1, 28, 2, seed=2, multi_label=True)
    generator = torch.Generator().manual_seed(0)
    drawn = choose_sources("balanced", IMAGES, labels, classifier, count=6000, samples=8, generator=generator).bincount()
    expected = torch.tensor([2000 / 9] * 9 + [1000, 1000, 2000])
    torch.testing.assert_close(drawn.float(), expected, atol=120, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "steps must be >= 0, got -1"),
        ({"steps": 10.0}, r"steps must be a whole number, got 10\.0"),
        ({"samples": 1}, "samples must be >= 2, got 1"),
        ({"share": 1.5}, r"share must be in \[0, 1\], got 1\.5"),
        ({"radius": -0.5}, r"radius must be >= 0, got -0\.5"),
        ({"learning_rate": math.nan}, "learning_rate must be >= 0, got nan"),
        ({"radius": math.inf}, "radius must be >= 0, got inf"),
        ({"warmup": "0.25"}, r"warmup must be a number, got '0.25'"),
        ({"mixup_alpha": 0}, "mixup_alpha must be > 0, got 0"),
        ({"soft_labels": 2}, r"soft_labels must be in \[0, 1\], got 2"),
        ({"ema": -0.1}, r"ema must be in \[0, 1\]"),
        ({"sources": "unifrom"}, "unknown sources 'unifrom': did you mean 'uniform'"),
    ],
)
def test_a_recipe_out_of_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        Recipe(**settings)


def test_every_number_of_a_recipe_is_checked() -> None:
    for field in fields(Recipe):
        if not isinstance(field.default, str):
            with pytest.raises(TsyndError, match=f"{field.name} must be"):
                replace(QUICK, **{field.name: -1})  # type: ignore[arg-type]


def test_8_bit_images_train_as_floats_do() -> None:
    bytes_ = (IMAGES * 255).round().byte()
    ways = {}
    for name, images in {"bytes": bytes_, "floats": bytes_.float() / 255}.items():
        classifier, autoencoder = build_classifier(1, 28, 2, seed=2), build_autoencoder(1, 28, seed=1)
        loss = train_autoencoder(autoencoder, images, steps=3, seed=0)
        history, synthesis = train_classifier(classifier, images, LABELS, parse_arm("guarded"), QUICK, autoencoder=autoencoder)
        assert synthesis is not None
        ways[name] = torch.tensor(loss + history.loss + synthesis.mutual_information_after.tolist())
    torch.testing.assert_close(ways["bytes"], ways["floats"], rtol=0.03, atol=1e-3)  # rounding grows from step to step


def test_class_weights_let_a_rare_class_count() -> None:
    images, labels = torch.cat([IMAGES[:2], IMAGES[::2].repeat(3, 1, 1, 1)]), torch.tensor([0, 1, *[0] * 18])
    weights = image_weights(torch.eye(2)[labels], labels)
    assert (
        weights.mean() == pytest.approx(1) and weights[1] == pytest.approx(10) and weights[labels == 0].sum() == pytest.approx(10)
    )
    plain, weighted = (build_classifier(1, 28, 2, seed=2) for _ in range(2))
    recipe = replace(QUICK, steps=30, batch_size=20)
    for classifier, on in ((plain, False), (weighted, True)):
        train_classifier(classifier, images, labels, parse_arm("none"), replace(recipe, class_weights=on))
    with torch.no_grad():
        rare = [float(classifier(images[1:2]).softmax(1)[0, 1]) for classifier in (plain, weighted)]
    assert rare[1] > rare[0] + 0.1
    with pytest.raises(TsyndError, match="images here have several labels each"):
        image_weights(torch.eye(2), torch.eye(2).long())
