"""Figures of chapters can be read on a phone: no wider than the page, four columns of images at most, letters of one size."""

from collections.abc import Callable

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

import tsynd
from tsynd.teaching.figures import LETTERS, WIDTH, autoencoding, data, robustness, study, targeting, training, uncertainty

X = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
VOTES = torch.randn(4, 8, 2, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
FIGURES: dict[str, Callable[[], Figure]] = {
    "copies": lambda: autoencoding.copies(X, X.flip(0)),
    "survival": lambda: autoencoding.survival({"over 7": 0.1, "under 2": 0.5}, {"x": (0.9, 0.5), "irregularity": (0.8, 0.7)}),
    "reach": lambda: autoencoding.reach({"gain": (1.0, 0.9, 0.8), "radius": (0.9, 0.6, 0.1)}),
    "shift": lambda: autoencoding.shift(torch.rand(9), torch.rand(9), "normal, benign"),
    "contact sheet": lambda: data.contact_sheet(tsynd.load("phantom", count=8)),
    "leak": lambda: data.leak({"split by images": [(0.9, 0.7)], "split by patients": [(0.7, 0.7)]}),
    "falls": lambda: robustness.fall({name: [0.9, 0.1] for name in ("none", "random", "tsynd", "pgd")}, [0, 2 / 255]),
    "attacked": lambda: robustness.attacked(X, X.flip(0), 2 / 255, ["malignant\n99%"] * 4, ["benign\n99%"] * 4),
    "corrupted": lambda: robustness.corrupted(X[0], ["gaussian_noise", "jpeg"]),
    "seeds": lambda: study.seeds({"AUROC": [0.1, -0.1], "PGD 2/255": [0.1, 0.2]}),
    "coverage": lambda: study.held({"of the image": {"t over seeds": 0.5, "crossed": 0.9}}),
    "sheet": lambda: targeting.sheet({"image": X, "change": X - X.flip(0)}, ["malignant"] * 4, {"change": ["0.02 → 0.13"] * 4}),
    "dose": targeting.dose_response,
    "border": lambda: training.border({"none": torch.tensor([1.0, 2.0]), "tsynd": torch.tensor([2.0, 3.0])}),
    "votes": lambda: uncertainty.votes(X[:2], VOTES[:2]),
    "disagreement": lambda: uncertainty.disagreement(0.2),
    "strange": lambda: uncertainty.strange({"flat grey": X[0], "noise": X[1]}, {"dropout": VOTES[:2]}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_it_fits_and_its_letters_can_be_read(name: str) -> None:
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    assert figure.get_figwidth() <= WIDTH
    columns = [axis.get_subplotspec() for axis in figure.axes if axis.images]
    assert all(spec is None or spec.get_gridspec().ncols <= 4 for spec in columns)
    small = {text.get_text() for text in figure.findobj(Text) if text.get_text().strip() and float(text.get_fontsize()) < LETTERS}
    assert small == set()


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_sticks_out(name: str) -> None:
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    drawn, edge = figure.get_tightbbox(), 0.02
    assert min(drawn.x0, drawn.y0) >= -edge
    assert drawn.x1 <= figure.get_figwidth() + edge and drawn.y1 <= figure.get_figheight() + edge
