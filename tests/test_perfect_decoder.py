"""The renderer as a decoder: it loses nothing, it passes gradients on, and it knows the true class of what was moved."""

from dataclasses import replace
from pathlib import Path

import perfect_decoder
import perfect_decoder_report
import pytest
import torch
from perfect_decoder import ARMS, SUBGROUP, Search, draw_sources, synthesiser, train
from renderer import SIZE, Renderer, codes

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.classification import build_classifier
from tsynd.data.phantom import classify, subgroup
from tsynd.data.phantom.factors import LIMITS
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.targeting import target
from tsynd.training import parse_arm, train_classifier
from tsynd.utils.rng import generator_for, seed_for

SHORT = replace(perfect_decoder.RECIPE, steps=8, refresh_every=4, samples=8, ascent_steps=2)


@pytest.fixture(scope="module")
def sources() -> PhantomSplit:
    return draw_sources(0, None)


def renderer_of(sources: PhantomSplit) -> Renderer:
    return Renderer(sources.factors, seed_for(0, "tissue"), augmentation=1)


def test_the_renderer_gives_back_its_augmented_sources(sources: PhantomSplit) -> None:
    renderer, images = renderer_of(sources), sources.images.float() / 255
    again = renderer.decode(renderer.encode(images))
    augmented = augment(images, TRAIN_RANGE, torch.Generator().manual_seed(1))
    assert (again - augmented).abs().max() < 0.01  # images of eight bits
    assert torch.equal(classify(renderer.moved(renderer.encode(images))), sources.labels)
    with pytest.raises(TsyndError, match=f"knows the {len(sources)} images that it was made for, got 3"):
        renderer.encode(images[:3])


def test_codes_far_away_become_factors_in_range(sources: PhantomSplit) -> None:
    far = renderer_of(sources).moved(torch.full((len(sources), 8), 30.0) * torch.tensor([1, -1]).repeat(4))
    for name, (low, high) in LIMITS.items():
        assert bool(((getattr(far, name) >= low) & (getattr(far, name) <= high)).all())
    assert 0.24 < float(far.radius[0]) < 0.26  # the range that is drawn, narrower than what can be drawn
    assert codes(far).abs()[:, :7].max() < 1.75  # the gain, which comes last, has no such ends


def test_target_climbs_through_the_renderer(sources: PhantomSplit) -> None:
    posterior = HeadDropout.of(build_classifier(1, SIZE, 2, seed=0).eval(), 16)
    images, renderer = sources.images.float() / 255, renderer_of(sources)
    found = target(images, sources.labels, renderer, posterior, radius=0.4, steps=3, generator=generator_for(0, "search"))
    assert found.mutual_information_after.mean() > found.mutual_information_before.mean()
    assert not found.stuck.any()
    assert torch.allclose(renderer.decode(found.latents), found.images, atol=1e-6)


def test_true_labels_are_those_of_the_moved_lesions(sources: PhantomSplit, tmp_path: Path) -> None:
    posterior = HeadDropout.of(build_classifier(1, SIZE, 2, seed=0).eval(), 8)
    copied, true = (
        synthesiser(Search("renderer", "random", truth=truth, radius=1.0), sources, 0, tmp_path) for truth in (False, True)
    )
    assert copied and true
    (images, labels, audit), (same, truth, _) = copied(0, posterior), true(0, posterior)
    assert torch.equal(images, same) and torch.equal(labels, sources.labels)
    assert audit["wrong"] == pytest.approx((truth != labels).double().mean().item()) and audit["wrong"] > 0
    assert 0.3 < audit["displacement"] <= 1.001
    fresh = synthesiser(ARMS["fresh phantoms"], sources, 0, tmp_path)
    assert fresh and not torch.equal(fresh(0, posterior)[0], fresh(1, posterior)[0])


def test_withheld_lesions_are_not_among_the_sources() -> None:
    assert not subgroup(draw_sources(0, SUBGROUP).factors, SUBGROUP).any()
    assert subgroup(draw_sources(0, None).factors, SUBGROUP).any()


def test_without_a_bank_the_loop_is_that_of_the_package(sources: PhantomSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perfect_decoder, "RECIPE", SHORT)
    ours, audit = train(sources, None, seed=0)
    theirs = build_classifier(1, SIZE, 2, seed_for(0, "initialise classifier"))
    train_classifier(theirs, sources.images.float() / 255, sources.labels, parse_arm("none"), SHORT, seed=0)
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert set(audit.values()) == {""}


def test_the_bank_changes_what_is_learnt(sources: PhantomSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perfect_decoder, "RECIPE", SHORT)
    search = ARMS["tsynd, true label"]
    trained = [train(sources, synthesiser(search, sources, 0, tmp_path), seed=0) for _ in range(2)]
    weights = [torch.cat([p.flatten() for p in classifier.parameters()]) for classifier, _ in trained]
    assert torch.equal(*weights) and trained[0][1] == trained[1][1]
    assert trained[0][1]["information_after"] > trained[0][1]["information_before"]
    plain, _ = train(sources, None, seed=0)
    assert not torch.equal(torch.cat([p.flatten() for p in plain.parameters()]), weights[0])


def test_differences_need_the_same_seeds() -> None:
    def row(arm: str, seed: int, value: float) -> dict[str, object]:
        names = (*perfect_decoder_report.MEASURES, *perfect_decoder_report.AUDIT)
        return {"data": "all", "arm": arm, "seed": seed} | dict.fromkeys(names, value)

    rows = [row(arm, seed, seed + shift) for arm, shift in (("none", 0.0), ("tsynd", 0.5)) for seed in range(3)]
    rows += [row("none", 7, 100.0), row("random", 0, 1.0)]  # without its pair, and with too few seeds: left out
    found = perfect_decoder_report.summarise(rows)["all"]
    assert set(found["arms"]) == {"none", "tsynd"} and set(found["differences"]) == {"tsynd - none"}
    assert found["differences"]["tsynd - none"]["seeds"] == 3
    assert found["differences"]["tsynd - none"]["nll"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
