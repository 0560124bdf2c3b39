"""The audit: each measure on made-up images and codes whose answer is known, the controls, and what the report shows."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tsynd
from tsynd.audit import Audit, audit, train_judge
from tsynd.audit.auditing import CONTROLS, GROUPS, MEASURES
from tsynd.audit.controls import StartingAt, codes, searched_again, untrained
from tsynd.audit.figures import cases, faces, table, words
from tsynd.audit.measures import cycle_error, distance_to_subgroup, nearest_real, purity, typical_distance
from tsynd.data import Split
from tsynd.data.phantom import sample_factors, subgroup
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.errors import TsyndError
from tsynd.metrics.intervals import bootstrap, effective, interval, wilson
from tsynd.posterior import HeadDropout
from tsynd.runs import config as configuration
from tsynd.runs.config import Budget, Evaluation, RunConfig
from tsynd.runs.report.page import render
from tsynd.runs.run import Run
from tsynd.synthetic.npz import load_synthesis, save_synthesis
from tsynd.targeting import target
from tsynd.training import Recipe

RECIPE = Recipe(steps=12, batch_size=8, refresh_count=16, refresh_every=4, capacity=32, samples=4, autoencoder_steps=20)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@pytest.fixture(scope="module")
def run() -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration.BUDGETS, "smoke", Budget(RECIPE, Evaluation(draws=1, attack_steps=1, limit=10)))
        return tsynd.run(RunConfig("phantom:count=24,withheld=faint", arm="tsynd", per_class=12, budget="smoke", device="cpu"))


def again(run: Run, **changes: Any) -> Audit:
    """The audit of a run once more, with something changed."""
    assert run.synthesis is not None and run.autoencoder is not None
    settings: dict[str, Any] = {"chosen": run.chosen, "recipe": RECIPE, "samples": 4} | changes
    synthesis = settings.pop("synthesis", run.synthesis)
    return audit(synthesis, run.classifier, run.autoencoder, run.data, **settings)


class Says(nn.Module):
    """A judge that says malignant of bright images, with log-odds that depend on nothing else."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        bright_B = (images_BCHW.mean(dim=(1, 2, 3)) > 0.5).to(images_BCHW.dtype)
        return torch.stack([0.5 - bright_B, bright_B - 0.5], 1)


def test_wilson_is_the_published_formula_and_holds_at_the_ends() -> None:
    low, high = wilson(81 / 263, 263)  # Newcombe, Statistics in Medicine 1998, table I: .2553 to .3662
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(0.0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(1.0, 20) == pytest.approx((0.8389, 1), abs=1e-4)


def test_bootstrap_agrees_with_the_normal_interval_and_knows_that_copies_are_no_news() -> None:
    values = torch.randn(400, generator=seeded(), dtype=torch.float64)
    low, high = bootstrap(values, torch.arange(400), seeded())
    half = 1.96 * float(values.std()) / 20
    assert (low, high) == pytest.approx((float(values.mean()) - half, float(values.mean()) + half), abs=0.02)
    copied = bootstrap(values.repeat(4), torch.arange(400).repeat(4), seeded())
    assert copied == pytest.approx((low, high), abs=1e-12)
    naive = bootstrap(values.repeat(4), torch.arange(1600), seeded())
    assert naive[1] - naive[0] < 0.6 * (high - low)


def test_an_interval_of_shares_counts_sources() -> None:
    agrees = torch.tensor([True, True, True, False] * 5)
    alone, together = interval(agrees, torch.arange(20)), interval(agrees, torch.arange(20) // 4)
    assert alone["mean"] == together["mean"] == 0.75
    assert (alone["low"], alone["high"]) == wilson(0.75, 20)
    assert (together["low"], together["high"]) == wilson(0.75, 5)


def test_an_interval_of_shares_covers_when_sources_have_unequal_numbers_of_images() -> None:
    generator, sizes_U = seeded(1), torch.tensor([1] * 30 + [2] * 10 + [5] * 5 + [12] * 3)
    sources_B = torch.arange(len(sizes_U)).repeat_interleave(sizes_U)
    draws_RB = (torch.rand(2000, len(sizes_U), generator=generator) < 0.7)[:, sources_B]  # images of one source agree
    found = [interval(agrees_B, sources_B) for agrees_B in draws_RB]
    assert sum(each["low"] <= 0.7 <= each["high"] for each in found) / len(found) >= 0.93
    assert effective(sources_B) == pytest.approx(111**2 / 627)
    assert effective(torch.arange(20) // 4) == 5


def test_purity_of_several_labels_is_the_share_that_agrees() -> None:
    real, labels = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[1, 0], [1, 1], [0, 0]])
    torch.testing.assert_close(purity(torch.tensor([[0.4]]), torch.tensor([[1, 0]]), real, labels, k=2), torch.tensor([0.75]))


def test_purity_is_the_share_of_neighbours_and_the_source_is_none() -> None:
    real, labels = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1, 1])
    at, said = torch.tensor([[0.1], [10.4]]), torch.tensor([0, 1])
    torch.testing.assert_close(purity(at, said, real, labels, k=3), torch.tensor([2 / 3, 1.0]))
    without_source = purity(at[:1], said[:1], real, labels, k=2, own_B=torch.tensor([0]))
    torch.testing.assert_close(without_source, torch.tensor([0.5]))
    torch.testing.assert_close(purity(at, 1 - said, real, labels, k=3), torch.tensor([1 / 3, 0.0]))


def test_a_code_that_the_decoder_forgets_does_not_return() -> None:
    class Forgets:
        def encode(self, images_BCHW: Tensor) -> Tensor:
            return images_BCHW.flatten(1)

        def decode(self, latents_BD: Tensor) -> Tensor:
            return latents_BD.clamp(0, 1).view(-1, 1, 2, 2)

    codes_BD = torch.tensor([[0.5, 0.5, 0.5, 0.5], [3.0, 0.5, 0.5, 0.5]])
    torch.testing.assert_close(cycle_error(codes_BD, Forgets()), torch.tensor([0.0, 1.0]))  # 2 / sqrt(4)


def test_a_copied_image_is_nearest_to_itself_at_distance_zero_unless_that_is_forbidden() -> None:
    real = torch.randint(0, 256, (300, 1, 8, 8), dtype=torch.uint8, generator=seeded())  # more than one batch
    copies = torch.tensor([7, 299])
    images = real[copies].float() / 255
    index, distance = nearest_real(images, real)
    assert index.tolist() == [7, 299] and distance.tolist() == [0, 0]
    index, distance = nearest_real(images, real, own_B=copies)
    every = (images[:, None] - real.float() / 255).square().mean(dim=(2, 3, 4)).sqrt()
    every[torch.arange(2), copies] = torch.inf
    assert index.tolist() == every.argmin(1).tolist()
    torch.testing.assert_close(distance, every.amin(1))


def test_typical_distance_is_the_median_over_pairs() -> None:
    real = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 8, 8)
    assert typical_distance(real, seeded()) == pytest.approx(0.8)  # of .2, .8 and 1
    with pytest.raises(TsyndError, match="at least 2 real images, got 1"):
        typical_distance(real[:1])


def test_shortfall_is_zero_inside_a_subgroup_and_only_there() -> None:
    factors = sample_factors(500, seeded())
    for name in ("small-irregular", "tall-smooth", "irregular-enhancing", "faint"):
        assert torch.equal(distance_to_subgroup(factors, name) == 0, subgroup(factors, name))
    away = sample_factors(1, aspect=torch.exp(torch.tensor([-0.318])), irregularity=0.2)
    torch.testing.assert_close(distance_to_subgroup(away, "tall-smooth"), torch.tensor([1.0]))
    with pytest.raises(TsyndError, match="did you mean 'faint'"):
        distance_to_subgroup(factors, "fiant")


def test_the_judge_is_asked_about_the_label(run: Run) -> None:
    synthesis = run.synthesis
    assert synthesis is not None
    bright_BCHW = synthesis.labels.float().view(-1, 1, 1, 1).expand_as(synthesis.images)
    for images_BCHW, agreement in ((bright_BCHW, 1.0), (1 - bright_BCHW, 0.0)):
        made = again(run, synthesis=replace(synthesis, images=images_BCHW, reconstructions=bright_BCHW), judge=Says())
        found = made.to_json()
        assert found["groups"]["targeted"]["judge_agrees"]["mean"] == agreement
        assert found["groups"]["reconstruction"]["judge_agrees"]["mean"] == 1
        assert found["differences"]["reconstruction"]["judge_agrees"]["mean"] == agreement - 1
        # From log p = -log(1 + 1/e) to -log(1 + e): a fall of 1 nat.
        assert found["groups"]["targeted"]["judge_log_prob_fall"]["mean"] == pytest.approx(1 - agreement)


def test_targeted_images_that_are_copies_are_caught(run: Run) -> None:
    synthesis = run.synthesis
    assert synthesis is not None
    sources_BCHW = run.data.train.images[synthesis.sources].float() / 255
    columns = again(run, synthesis=replace(synthesis, images=sources_BCHW)).groups["targeted"].columns
    assert columns["nearest_is_source"].all() and (columns["nearest_distance"] == 0).all()
    assert run.audit is not None
    assert (run.audit.groups["source"].columns["nearest_distance"] > 0).all()  # a real image is no neighbour of itself


def test_an_unmoved_image_has_not_changed(run: Run) -> None:
    synthesis = run.synthesis
    assert synthesis is not None
    unmoved: dict[str, Any] = {"images": synthesis.reconstructions, "latents": synthesis.start_latents}
    made = again(run, synthesis=replace(synthesis, **unmoved))
    columns = made.groups["targeted"].columns
    torch.testing.assert_close(columns["ssim"], torch.ones(len(synthesis)))
    assert not columns["oracle_flipped"].any() and (columns["judge_log_prob_fall"] == 0).all()
    changes = made.to_json()["differences"]["reconstruction"]
    assert all(change == {"mean": 0, "low": 0, "high": 0} for change in changes.values())


def test_searches_up_and_down_end_on_either_side_of_the_start(run: Run) -> None:
    assert run.audit is not None
    start, down, up = (
        run.audit.groups[name].columns["information"].mean() for name in ("reconstruction", "minimised", "targeted")
    )
    assert down < start < up
    moved = run.audit.groups["random"].columns["latent_displacement"]
    assert (moved > 0).all() and (moved <= RECIPE.radius + 1e-6).all()


def test_controls_start_where_the_search_did_and_the_untrained_copy_knows_nothing(run: Run) -> None:
    assert run.synthesis is not None and run.autoencoder is not None
    start_BD, _ = codes(run.synthesis, run.autoencoder, torch.device("cpu"))
    held = StartingAt(run.autoencoder, start_BD)
    assert torch.equal(held.encode(run.synthesis.images), start_BD)
    assert torch.equal(held.decode(start_BD), run.autoencoder.decode(start_BD))
    before = copy.deepcopy(run.classifier.state_dict())
    fresh = untrained(run.classifier, seed=0)
    assert torch.equal(fresh.mean, run.classifier.mean)
    assert all(not torch.equal(a, b) for a, b in zip(fresh.head.parameters(), run.classifier.head.parameters(), strict=True))
    assert all(torch.equal(before[name], value) for name, value in run.classifier.state_dict().items())


def test_controls_of_a_search_in_pixel_space_go_as_far_in_pixel_space(run: Run) -> None:
    images_BCHW, labels_B = run.data.train.images[:12].float() / 255, run.data.train.labels[:12]
    posterior = HeadDropout.of(run.classifier, 4, seeded())
    found = target(images_BCHW, labels_B, None, posterior, space="pixel", generator=seeded())
    groups = again(run, synthesis=found, judge=run.classifier).groups
    start_BCHW = groups["reconstruction"].images
    moved = {
        name: (groups[name].images - start_BCHW).square().mean(dim=(1, 2, 3)).sqrt().mean().item()
        for name in ("random", "sham", "minimised", "targeted")
    }
    assert moved["random"] == pytest.approx(moved["targeted"], rel=0.2)
    assert all(0 < distance < 1.1 * found.radius for distance in moved.values())


@pytest.mark.parametrize(
    ("objective", "minimised"),
    [("entropy", "entropy"), ("cross_entropy", "cross_entropy"), ("random", "mutual_information"), ("f", "mutual_information")],
)
def test_the_minimised_control_descends_what_the_search_climbed(run: Run, objective: str, minimised: str) -> None:
    assert run.synthesis is not None and run.autoencoder is not None
    climbed = replace(run.synthesis[torch.arange(4)], objective=objective)
    start_BD, _ = codes(climbed, run.autoencoder, torch.device("cpu"))
    made = searched_again(climbed, start_BD, run.classifier, run.autoencoder, samples=64, guard=None, seed=0)["minimised"]
    assert (made.objective, made.minimise) == (minimised, True)
    assert made.objective_after.mean() < made.objective_before.mean()


def test_an_audit_is_the_same_twice_from_a_file_and_leaves_everything_as_it_was(run: Run, tmp_path: Path) -> None:
    assert run.synthesis is not None and run.autoencoder is not None
    save_synthesis(tmp_path / "synthetic.npz", run.synthesis)
    state, mode = torch.get_rng_state(), run.classifier.train().training
    made = again(run, synthesis=load_synthesis(tmp_path / "synthetic.npz"))
    assert made.to_json() == run.metrics["audit"]
    assert torch.equal(torch.get_rng_state(), state) and run.classifier.training == mode
    run.classifier.eval()


def test_every_group_and_measure_is_reported(run: Run) -> None:
    assert run.audit is not None
    found = run.audit.to_json()
    assert tuple(found["groups"]) == GROUPS and tuple(found["differences"]) == CONTROLS
    assert set(found["groups"]["targeted"]) == {*MEASURES, "n", "sources"}
    rows = run.audit.to_rows()
    assert all(row["low"] - 1e-9 <= row["mean"] <= row["high"] + 1e-9 for row in rows)
    judge = found["judge"]
    assert (judge["trained_on"], judge["run_trained_on"], judge["split"]) == (48, 24, "test")
    agrees, labels = run.audit.groups["unseen"].columns["judge_agrees"], run.data.test.labels
    recalls = [agrees[labels == label].double().mean().item() for label in (0, 1)]
    assert judge["balanced_accuracy"] == pytest.approx(sum(recalls) / 2)
    assert found["subgroup"]["name"] == "faint"


def test_the_judge_has_seen_the_whole_training_split_and_shares_nothing_with_the_run(run: Run) -> None:
    judge = train_judge(run.data, seed=0, recipe=RECIPE)
    assert not judge.training
    images_BCHW = run.data.train.images.float() / 255
    torch.testing.assert_close(judge.mean.flatten(), images_BCHW.mean(dim=(0, 2, 3)))
    others = [train_judge(run.data, seed=seed, recipe=RECIPE) for seed in (0, 1)]
    said, same, other = (network(images_BCHW) for network in (judge, *others))
    assert torch.equal(said, same) and not torch.equal(said, other)


def test_other_data_have_no_oracle(run: Run) -> None:
    assert run.synthesis is not None and run.autoencoder is not None
    assert isinstance(run.data.train, PhantomSplit)
    train, val, test = (Split(split.images, split.labels) for split in (run.data.train, run.data.val, run.data.test))
    data = replace(run.data, name="mine", train=train, val=val, test=test)
    made = audit(run.synthesis, run.classifier, run.autoencoder, data, judge=run.classifier, samples=4)
    assert made.subgroup is None and not any("oracle" in name for name in made.groups["targeted"].columns)
    assert len(words(made.to_json())) == 3


def test_given_images_are_asked_all_that_needs_no_autoencoder(run: Run) -> None:
    assert run.synthesis is not None and run.audit is not None
    made = audit(run.synthesis, run.classifier, None, run.data, chosen=run.chosen, recipe=RECIPE, samples=4)
    assert list(made.groups) == ["unseen", "source", "reconstruction", "targeted"]
    coded = {"purity", "cycle_error"}
    for name, group in made.groups.items():
        expected = run.audit.groups[name]
        assert group.columns.keys() == expected.columns.keys() - coded
        assert torch.equal(group.judged, expected.judged) and torch.equal(group.nearest, expected.nearest)
        for measure in group.columns.keys() - {"information"}:  # fresh masks are drawn in order of the groups
            assert torch.equal(group.columns[measure], expected.columns[measure]), (name, measure)
    found = made.to_json()
    assert list(found["differences"]) == ["reconstruction"] and "reconstructed_inside" not in found["subgroup"]
    answers, whole = words(found), words(run.audit.to_json())
    assert len(answers) == len(whole) and answers["Anonymous?"] == whole["Anonymous?"]
    assert not any("sham" in answer or "andom displacement" in answer for answer in answers.values())
    headings, rows = table(found)
    assert len(headings) == 5 and all(len(cells) == 5 for cells in rows.values())
    page = render(replace(run, audit=made, metrics=run.metrics | {"audit": found}), Path("runs/a"))
    assert "no controls" in page and "Neighbours: " not in page and "no controls" not in render(run, Path("runs/a"))


def test_a_copied_source_is_found_though_the_run_did_not_train_on_it(run: Run) -> None:
    assert run.synthesis is not None
    others = torch.arange(len(run.data.train))[~torch.isin(torch.arange(len(run.data.train)), run.synthesis.sources)]
    copies = replace(run.synthesis, images=run.data.train.images[run.synthesis.sources].float() / 255)
    made = audit(copies, run.classifier, None, run.data, chosen=others, judge=run.classifier, samples=4)
    assert made.groups["targeted"].columns["nearest_is_source"].all() and made.judge["run_trained_on"] == len(others)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "tset"}, "did you mean 'test'"),
        ({"sources": 999}, "sources must lie in 0 .. 47, got"),
        ({"labels": 2}, "labels must lie in 0 .. 1, got"),
    ],
)
def test_bad_input_is_refused(run: Run, changes: dict[str, Any], message: str) -> None:
    assert run.synthesis is not None
    columns: dict[str, Any] = {
        name: torch.full_like(run.synthesis.labels, value) for name, value in changes.items() if name != "split"
    }
    with pytest.raises(TsyndError, match=message):
        again(run, synthesis=replace(run.synthesis, **columns), split=changes.get("split", "test"))


def test_cases_are_the_median_and_the_largest_fall_of_different_sources(run: Run) -> None:
    assert run.audit is not None
    group = run.audit.groups["targeted"]
    typical, worst = cases(run.audit, count=3)
    assert len(set(group.sources[torch.cat([typical, worst])].tolist())) == 6
    fall_B = group.columns["judge_log_prob_fall"]
    assert fall_B[worst[0]] == fall_B.max()
    assert (fall_B[worst].amin() >= fall_B[typical].amax()) and (fall_B[typical] - fall_B.median()).abs().amax() < fall_B.std()


def test_the_report_shows_the_audit(run: Run) -> None:
    assert run.audit is not None
    figure = faces(run.audit, run.data, count=3)
    titles = [axis.get_title() for axis in figure.axes]
    judged = run.audit.groups["targeted"]
    wrong = [row for row in torch.cat(cases(run.audit, 3)).tolist() if not judged.columns["judge_agrees"][row]]
    assert sum("≠" in title for title in titles[7:14]) == len(wrong)
    headings, rows = table(run.metrics["audit"])
    assert all(len(cells) == len(headings) for cells in rows.values())
    page = render(run, Path("runs/a"))
    assert "Still of its class?" in page and "Nearer to the withheld faint?" in page
    assert page.count("<img") == page.count('alt="') == 7
    kept = render(replace(run, audit=None), Path("runs/a"))  # as after load_run: the numbers are there, the images are not
    assert "Still of its class?" in kept and kept.count("<img") == 6
