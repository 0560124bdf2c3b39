"""Figures of the chapter on data: each draws what it is given, one panel for each thing to be seen."""

import numpy as np
import torch
from matplotlib.patches import Rectangle

from tsynd.viz.lessons import data as lesson


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
