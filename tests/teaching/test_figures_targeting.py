"""Figures of the chapter on targeting: a plane holds what it was laid through, typed numbers are those of the study, all draw."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tsynd.autoencoding import build_autoencoder
from tsynd.classification import build_classifier
from tsynd.posterior import HeadDropout
from tsynd.targeting import Synthesis, target
from tsynd.teaching.figures import targeting as lesson
from tsynd.uncertainty import mutual_information

PARTS = ("mean", "low", "high")
RESULTS = Path(__file__).resolve().parents[2] / "results" / "dose-response" / "summary.json"
IMAGES = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def posterior() -> HeadDropout:
    return HeadDropout.of(build_classifier(1, 28, 2, seed=0).eval(), 8, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found() -> Synthesis:
    labels, generator = torch.tensor([0, 1, 0]), torch.Generator().manual_seed(1)
    return target(IMAGES, labels, build_autoencoder(1, 28, seed=0).eval(), posterior(), generator=generator)


def test_a_plane_holds_its_origin_and_both_directions() -> None:
    origin, first, second = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)).double()
    plane = lesson.Plane.through(origin, first, second)
    codes = origin + torch.stack([torch.zeros_like(first), first, second])
    points = plane.shadow(codes)
    torch.testing.assert_close(plane.codes(points), codes)
    torch.testing.assert_close(points.norm(dim=1) * 4, (codes - origin).norm(dim=1))
    assert points[1, 0] > 0
    assert points[1, 1].abs() < 1e-9


def test_a_landscape_says_at_its_centre_what_the_classifier_says_there() -> None:
    autoencoder, samples = build_autoencoder(1, 28, seed=0).eval(), posterior()
    origin, first, second = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    plane = lesson.Plane.through(origin, first, second)
    land = lesson.survey(plane, 1, autoencoder.decode, samples, around=4)
    with torch.no_grad():
        right = plane.codes(torch.tensor([[0.0, 0.0], [lesson.REACH * 0.25, 0.0]]))
        log_probs = samples(autoencoder.decode(right))
    middle = lesson.SIDE // 2
    for column, row in ((middle, 0), (lesson.SIDE - 1, 1)):
        assert land.information[middle, column] == pytest.approx(mutual_information(log_probs)[row].item(), abs=1e-5)
        assert land.probability[middle, column] == pytest.approx(log_probs[row, :, 1].exp().mean().item(), abs=1e-5)
    figure = lesson.ball({"one": land, "two": land}, {"one": {"way": right}, "two": {"a": right, "b": right}})
    assert [axis.get_title() for axis in figure.axes[:2]] == ["one", "two"]
    assert len(figure.axes[0].artists) == 4, "an image at each of four points of the rim"


def test_the_typed_numbers_are_those_of_the_study() -> None:
    arms = {"random", "tsynd", "guarded"}
    cells = {
        (cell["arm"], cell["radius"]): [cell[measure][part] for measure in ("auroc", "pgd_2_255", "agreement") for part in PARTS]
        for cell in json.loads(RESULTS.read_text())["cells"]
        if cell["data"] == "phantom" and not cell["variant"] and cell["arm"] in arms
    }
    typed = {(arm, radius): numbers for arm, rows in lesson.doses().items() for radius, numbers in rows.items()}
    assert set(cells) == set(typed)
    for key, numbers in typed.items():
        assert numbers == pytest.approx(cells[key], abs=1e-9)


def test_a_sheet_has_a_row_for_each_name_and_notes_where_they_are_given(found: Synthesis) -> None:
    rows = {"start": IMAGES, "targeted: change": found.images - found.reconstructions}
    figure = lesson.sheet(rows, heads=["a", "b", "c"], notes={"targeted: change": ["1", "2", "3"]})
    axes = figure.axes[:6]
    assert [axis.get_title() for axis in axes] == ["a", "b", "c", "", "", ""]
    assert [axis.get_xlabel() for axis in axes] == ["", "", "", "1", "2", "3"]
    assert axes[3].images[0].get_clim() == (-lesson.CHANGE, lesson.CHANGE)
    assert len(figure.axes) == 7, "one colour bar"


def test_curves_prices_and_doses_draw_a_panel_for_each_part(found: Synthesis) -> None:
    curves = lesson.curves({"2 masks": {"own": [0, 1], "fresh": [0, 0.5]}, "8 masks": {"own": [0, 1], "fresh": [0, 1]}}, "nats")
    changed = {name: torch.tensor([True, False, False]) for name in ("targeted", "guarded")}
    prices = lesson.prices(dict.fromkeys(changed, found), changed)
    dose = lesson.dose_response()
    assert [len(each.axes) for each in (curves, prices, dose)] == [2, 2, 3]
    assert all(axis.get_xlabel() for each in (curves, prices, dose) for axis in each.axes)
    for axis in prices.axes:
        assert [len(np.asarray(points.get_offsets())) for points in axis.collections] == [2, 1]
