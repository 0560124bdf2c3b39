"""Figures of the chapters on training and on robustness: they draw what they are given."""

from typing import Any

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import nn

from tsynd.posterior import HeadDropout
from tsynd.teaching.figures import robustness, training
from tsynd.utils.plotting import method_style


def posterior() -> HeadDropout:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)).eval()
    return HeadDropout.from_model(network, "3", samples=4, generator=torch.Generator().manual_seed(0))


def test_a_plane_has_a_panel_for_each_classifier_and_crosses_for_what_was_found() -> None:
    points, labels = torch.rand(6, 1, 1, 2), torch.arange(6) % 2
    figure = training.plane({"plain": (posterior(), None), "taught": (posterior(), points[:3])}, points, labels)
    plain, taught = figure.axes[:2]
    assert [axis.get_title() for axis in (plain, taught)] == ["plain", "taught"]
    assert len(taught.lines) == len(plain.lines) + 1


def test_the_survey_of_a_plane_has_its_axes_the_right_way_round() -> None:
    class Right(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.zeros(len(x)), 20 * (x[:, 0] - 0.5)], dim=1)

    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.0), Right()).eval()
    _, probability = training.survey(HeadDropout.from_model(network, "1", samples=2, generator=torch.Generator().manual_seed(0)))
    assert (probability[:, -1] > 0.9).all()  # the last column is the right side
    assert (probability[:, 0] < 0.1).all()


def test_borders_ages_and_votes() -> None:
    figure = training.border({"none": torch.tensor([1.0, 2.0]), "tsynd": torch.tensor([2.0, 4.0])})
    none, tsynd = (np.asarray(line.get_ydata()).tolist() for line in figure.axes[0].lines)
    assert (none, tsynd) == ([1, 0.5, 0], [1, 0.5, 0])
    assert [line.get_color() for line in figure.axes[0].lines] == [method_style(name)["color"] for name in ("none", "tsynd")]
    votes = {(method, kind): torch.rand(8) for method in ("none", "tsynd") for kind in ("clean", "attacked")}
    figure = training.before_and_after({"image": torch.rand(1, 1, 8, 8)}, votes)
    assert [axis.get_title() for axis in figure.axes] == ["image", "none", "tsynd"]
    figure = training.age([30, 20, 10], [0.1, 0.2, 0.3], start=0.05, life=30)
    assert figure.axes[0].get_xlabel() == "age (steps since the search)"


def test_attacked_images_stand_between_two_notes() -> None:
    x = torch.rand(3, 1, 8, 8)
    figure = robustness.attacked(x, (x + 0.01).clamp(0, 1), 2 / 255, ["a", "b", "c"], ["d", "e", "f"])
    assert [axis.get_xlabel() for axis in figure.axes[:9]] == ["a", "b", "c", "", "", "", "d", "e", "f"]
    assert robustness.attacked(x, x, 0.0, ["a"] * 3, ["b"] * 3).axes


def test_bars_falls_and_shifts() -> None:
    figure = robustness.bars({"weak": 0.6, "strong": 0.2}, clean=0.8, marked=["strong"])
    assert [bar.get_width() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)] == [0.6, 0.2]
    figure = robustness.fall({"pgd": [0.9, 0.1]}, [0.0, 2 / 255])
    assert np.asarray(figure.axes[0].lines[0].get_xdata()).tolist() == [0.0, 2.0]
    row: dict[str, Any] = {"balanced_accuracy": 0.7, "low": 0.6, "high": 0.8, "mutual_information": 0.1}
    rows = [{"section": "clean", "name": "clean", **row}, *({"section": "corruptions", "name": "jpeg", **row} for _ in range(5))]
    left, right = robustness.under_shift(rows, ["jpeg"]).axes[:2]
    assert [np.asarray(axis.lines[0].get_xdata()).size for axis in (left, right)] == [6, 6]
