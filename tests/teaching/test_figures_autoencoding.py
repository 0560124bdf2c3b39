"""Figures of the chapter on images as codes: each draws what it is given, one panel for each thing to be seen."""

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tsynd.autoencoding.standardised import Standardised
from tsynd.data.phantom.oracle import oracle
from tsynd.teaching.figures import autoencoding as figures


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def drawn(figure: Figure) -> Figure:
    figure.draw_without_rendering()  # what cannot be drawn fails here
    return figure


def bars(axis: Axes) -> list[Rectangle]:
    return [patch for patch in axis.patches if isinstance(patch, Rectangle)]


def test_copies_have_three_rows_and_one_scale_for_the_differences(images: torch.Tensor) -> None:
    figure = drawn(figures.copies(images, images * 0.5))
    panels = [axis.images[0] for axis in figure.axes if axis.images]
    differences = [image for image in panels if image.get_cmap().name == "RdBu_r"]
    assert len(panels) == 12 and len(differences) == 4
    assert len({image.get_clim() for image in differences}) == 1
    assert differences[0].get_clim()[1] == pytest.approx(float((images * 0.5).max()))


def test_losses_draw_each_batch_and_the_test_images() -> None:
    batches, tests = drawn(figures.losses([0.3, 0.2, 0.1], [0.25, 0.15], every=2)).axes[0].lines
    assert np.asarray(batches.get_ydata()).tolist() == [0.3, 0.2, 0.1]
    assert np.asarray(tests.get_xdata()).tolist() == [0, 2]


def test_survival_puts_the_factor_that_suffers_most_at_the_bottom() -> None:
    figure = drawn(figures.survival({"large": 0.01, "small": 0.4}, {"x": (0.9, 0.5), "y": (0.8, 0.7)}))
    left, right = figure.axes
    assert [bar.get_height() for bar in bars(left)] == pytest.approx([1, 40])
    assert [label.get_text() for label in right.get_yticklabels()] == ["x", "y"]


def test_distances_leave_out_an_image_and_itself(images: torch.Tensor) -> None:
    codes = torch.tensor([[0.0] * 4, [1.0] * 4, [3.0] * 4])  # 1, 2 and 3 apart; nearest 1, 1 and 2
    axis = drawn(figures.distances(codes, radius=0.25)).axes[0]
    first = next(bar for bar in bars(axis) if bar.get_height() > 0)
    assert first.get_x() <= 1 <= first.get_x() + first.get_width()


def test_a_path_has_a_row_for_each_way_and_a_column_for_each_step(images: torch.Tensor) -> None:
    rows = {"one": images, "other": images.flip(0)}
    figure = drawn(figures.path(rows, {name: torch.tensor([0.0, 0.25, 0.5, 1]) for name in rows}, [-1, 0, 0.5, 1]))
    assert [axis.get_title() for axis in figure.axes[:4]] == ["−1", "start", "+0.5", "+1"]
    assert [axis.get_xlabel() for axis in figure.axes[4:]] == ["0.00", "0.25", "0.50", "1.00"]


def test_shift_tells_changed_answers_apart_by_marker_too() -> None:
    axis = drawn(figures.shift(torch.tensor([0.9, 0.8, 0.1]), torch.tensor([0.7, 0.2, 0.2]), "benign")).axes[0]
    same, other = axis.collections[:2]
    assert len(np.asarray(same.get_offsets())) == 2 and len(np.asarray(other.get_offsets())) == 1
    assert np.shape(same.get_paths()[0].vertices) != np.shape(other.get_paths()[0].vertices)


def test_deviations_and_reach_draw_what_they_are_given() -> None:
    deviations = drawn(figures.deviations(torch.tensor([0.1, 0.5, 0.5, 1.0]), floor=0.3)).axes[0]
    assert sum(bar.get_height() for bar in bars(deviations)) == 4
    reach = drawn(figures.reach({"gain": (1.0, 0.9, 0.8), "radius": (0.9, 0.6, 0.1)})).axes[0]
    values = [np.asarray(points.get_offsets())[:, 0].tolist() for points in reach.collections]
    assert values == [pytest.approx([100, 90]), pytest.approx([90, 60]), pytest.approx([80, 10])]


class Identity(Standardised):
    """Codes are the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.expect((1, 16, 16), (256,))

    def encode_raw(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return images_BCHW.flatten(1)

    def decode_raw(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.view(-1, 1, 16, 16).clamp(0, 1)


def test_sliders_have_a_frame_for_each_position(images: torch.Tensor) -> None:
    directions = torch.ones(2, 256)
    explorer = figures.ball_slider({"one": Identity(), "other": Identity()}, images[:1], directions)
    assert "0.1, 0.25, 0.5, 1, 2" in repr(explorer)
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 2))
    explorer = figures.walk_slider(lambda name, share: torch.full((3, 1, 28, 28), float(share)), oracle(), classifier)
    assert "shadow, radius, irregularity" in repr(explorer)
