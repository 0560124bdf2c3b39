"""Figures of the chapter on data: each draws what it is given, one panel for each thing to be seen."""

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from tsynd.teaching.figures import data as lesson


def test_visits_have_a_row_for_each_patient_and_a_column_for_each_visit() -> None:
    figure = lesson.visits(torch.rand(2, 3, 8, 8), ["one", "two"])
    figure.canvas.draw()
    assert len(figure.axes) == 6
    assert [axis.get_ylabel() for axis in figure.axes[::3]] == ["one", "two"]


def test_leak_has_a_line_for_each_seed() -> None:
    figure = lesson.leak({"by images": [(0.9, 0.7), (0.8, 0.7)], "by patients": [(0.7, 0.7)]})
    figure.canvas.draw()
    assert [len(axis.lines) for axis in figure.axes] == [2, 1]
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).tolist() == [0.9, 0.7]


def test_nested_marks_the_images_of_each_subset_up_to_the_size() -> None:
    figure = lesson.nested({1: torch.tensor([0, 7]), 2: torch.tensor([0, 3, 7, 30])}, size=10)
    marks = [np.asarray(points.get_offsets())[:, 0].tolist() for points in figure.axes[0].collections]
    assert marks == [[0, 7], [0, 3, 7]]


def test_signs_show_what_each_adds_and_the_sum() -> None:
    figure = lesson.signs(torch.rand(8, 8), torch.rand(8, 8), {"margin": 0.5, "shadow": -0.2}, 0.3)
    figure.canvas.draw()
    widths = [round(bar.get_width(), 6) for bar in figure.axes[2].patches if isinstance(bar, Rectangle)]
    assert widths == [0.5, -0.2, 0.3]


def test_alike_shows_each_pair_below_its_name() -> None:
    image = torch.zeros(1, 8, 8, dtype=torch.uint8)
    figure = lesson.alike({"a pair": (image, image + 5), "another": (image, image)})
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == ["a pair", "another", "", ""]
    assert 255 * np.asarray(figure.axes[2].images[0].get_array()).max() == pytest.approx(5)


def test_verdicts_are_accuracies_on_the_same_images() -> None:
    right = torch.arange(100) < 70
    said = lesson.verdicts({"one": right, "opposite": ~right}, 20)
    assert torch.allclose(said["one"] + said["opposite"], torch.tensor(1.0).double())
    assert float(said["one"].mean()) == pytest.approx(0.7, abs=0.01)
    assert torch.allclose(lesson.verdicts({"one": right}, 100)["one"], torch.tensor(0.7).double())


def test_the_slider_says_how_many_validation_sets_do_not_see_the_better() -> None:
    better, worse = torch.arange(100) < 90, torch.arange(100) < 50
    explorer = lesson.handful_slider({"worse": worse, "better": better}, (1, 10, 50), start=10)
    share = int(explorer.frames[0].alt.partition("%")[0].split()[-1])
    assert 57 <= share <= 63  # one image tells only when it is one of the 40 that the better alone gets right
    assert " 0%" in explorer.frames[2].alt
