"""The figures of the chapter on uncertainty: they draw, with the panels that their data ask for."""

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from tsynd.teaching.figures import uncertainty as lesson
from tsynd.utils.plotting import data_uri

IMAGES = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def rectangles(axis: Axes) -> list[Rectangle]:
    return [patch for patch in axis.patches if isinstance(patch, Rectangle)]


def committee(images: int, members: int) -> Tensor:
    return torch.randn(images, members, 2, generator=torch.Generator().manual_seed(1)).log_softmax(-1)


@pytest.mark.parametrize("members", [4, 64])
def test_votes_has_a_picture_and_a_strip_for_each_image_and_marks_the_average(members: int) -> None:
    log_probs_BKC = committee(2, members)
    figure = lesson.votes(IMAGES[:2], log_probs_BKC)
    assert len(figure.axes) == 4
    for number, strip in enumerate(figure.axes[1::2]):
        average = float(log_probs_BKC[number, :, 1].exp().mean())
        assert any(np.asarray(line.get_xdata())[0] == pytest.approx(average) for line in strip.lines)
    assert data_uri(figure)


def test_dropout_crosses_out_what_a_mask_switches_off() -> None:
    figure = lesson.dropout(torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))
    crosses = [sum(line.get_marker() == "x" for line in axis.lines) for axis in figure.axes]
    assert crosses == [1, 2]


def test_bars_are_as_long_as_the_total() -> None:
    figure = lesson.bars({"agree": (0.69, 0.69, 0.0), "half": (0.69, 0.4, 0.29)})
    ends = {round(bar.get_x() + bar.get_width(), 6) for bar in rectangles(figure.axes[0])}
    assert {0.69, 0.4} <= ends


def test_disagreement_keeps_the_total_and_moves_the_border() -> None:
    for spread, epistemic in ((0.0, 0.0), (0.5, 0.693147)):
        agreed, disputed = rectangles(lesson.disagreement(spread).axes[1])
        assert agreed.get_width() + disputed.get_width() == pytest.approx(0.693147, abs=1e-5)
        assert disputed.get_width() == pytest.approx(epistemic, abs=1e-5)


def test_against_entropy_has_a_panel_for_each_committee_and_a_letter_for_each_mark() -> None:
    figure = lesson.against_entropy({"some": committee(20, 8), "others": committee(20, 3)}, marked=[3, 5])
    assert [axis.get_title() for axis in figure.axes] == ["some", "others"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["A", "B"]


def test_sampling_draws_each_image_and_each_posterior() -> None:
    figure = lesson.sampling(
        8, torch.rand(6, 5) + 0.1, torch.rand(5) + 0.1, {"head dropout": torch.rand(2, 5), "full": torch.rand(10)}
    )
    value, direction = figure.axes
    assert len(value.collections) == 5
    assert len(direction.collections) == 2
    assert "8" in value.get_title()


def test_marked_has_a_panel_for_each_classifier_and_both_classes_of_the_subgroup() -> None:
    labels_B, inside_B = torch.arange(20) % 2, torch.arange(20) < 8
    figure = lesson.marked({"seen": committee(20, 8), "withheld": committee(20, 8)}, labels_B, inside_B)
    assert [len(np.asarray(points.get_offsets())) for points in figure.axes[1].collections] == [12, 4, 4]


def test_selective_ends_at_the_accuracy_of_the_surest_and_starts_at_that_of_all() -> None:
    correct = torch.arange(40) < 30
    curve = np.asarray(lesson.selective({"perfect": correct, "worst": correct.flip(0)}).axes[0].lines[0].get_ydata())
    assert curve[0] == 1
    assert curve[-1] == pytest.approx(0.75)


def test_strange_says_what_each_committee_says_of_each_picture() -> None:
    log_probs_BKC = torch.tensor([[[0.0, -torch.inf], [-torch.inf, 0.0]]]).repeat(2, 1, 1)
    figure = lesson.strange({"one": IMAGES[0], "two": IMAGES[1]}, {"dropout": log_probs_BKC})
    assert [axis.get_title() for axis in figure.axes] == ["one", "two"]
    assert "p = 0.50, MI = 0.693" in figure.axes[1].get_xlabel()
