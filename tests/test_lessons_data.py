"""Figures of the chapter on data: each draws what it is given, and the sliders count what they claim."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from tsynd.data.phantom import classify, malignancy
from tsynd.viz.lessons import data as figures


def drawn(figure: Figure) -> Figure:
    figure.canvas.draw()  # what cannot be drawn fails here
    return figure


def points(figure: Figure, axis: int) -> list[list[float]]:
    return [np.asarray(each.get_offsets())[:, 0].tolist() for each in figure.axes[axis].collections if len(each.get_offsets())]


def test_flattery_has_a_pair_of_marks_for_each_training() -> None:
    figure = drawn(figures.flattery({"leak": [(0.9, 0.7), (0.8, 0.75)], "fair": [(0.7, 0.72), (0.71, 0.7)]}))
    assert points(figure, 0) == [pytest.approx(x) for x in ([0.9, 0.8], [0.7, 0.75], [0.7, 0.71], [0.72, 0.7])]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["leak", "fair"]


def test_nesting_marks_each_image_of_each_set_by_its_class() -> None:
    labels = torch.tensor([0, 1, 0, 1])
    sets = {"1 a class": torch.tensor([0, 1]), "2 a class": torch.arange(4)}
    figure = drawn(figures.nesting({"nested": sets, "anew": sets}, labels, ("a", "b")))
    assert [axis.get_title() for axis in figure.axes] == ["nested", "anew"]
    assert [x for x in points(figure, 1) if len(x) < 4] == [[0], [1], [0, 2], [1, 3]]


def test_verdicts_are_accuracies_on_the_same_images() -> None:
    right = torch.arange(100) < 70
    said = figures.verdicts({"one": right, "same": right.clone(), "opposite": ~right}, 20)
    assert said["one"].equal(said["same"]) and torch.allclose(said["one"] + said["opposite"], torch.tensor(1.0).double())
    assert float(said["one"].mean()) == pytest.approx(0.7, abs=0.01)
    whole = figures.verdicts({"one": right}, 100)["one"]
    assert torch.allclose(whole, torch.tensor(0.7).double())


def test_the_slider_over_validation_sets_says_how_often_the_worse_is_not_found_out() -> None:
    better, worse = torch.arange(100) < 90, torch.arange(100) < 50  # never right where the other is wrong
    explorer = figures.handful_slider({"worse": worse, "better": better}, (1, 10, 50), start=10)
    first, *_, last = explorer.frames
    assert "60%" in first.alt or "59%" in first.alt or "61%" in first.alt  # one image: unless it is one of the 40
    assert " 0%" in last.alt


@pytest.mark.parametrize("sign", figures.SIGNS)
def test_each_sign_alone_decides_the_class(sign: str) -> None:
    assert float(malignancy(figures.lesion(**{sign: 1.5}))) == pytest.approx(0.5, abs=1e-3)
    assert [int(classify(figures.lesion(**{sign: step}))) for step in (-0.75, 0.75)] == [0, 1]


def test_the_slider_over_signs_has_a_panel_for_each() -> None:
    explorer = figures.sign_slider(size=32)
    assert "-1.5, -0.75, 0, 0.75, 1.5" in repr(explorer)
    assert "benign" in explorer.frames[0].alt and "border" in explorer.frames[2].alt and "malignant" in explorer.frames[4].alt
