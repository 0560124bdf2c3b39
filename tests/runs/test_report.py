"""Figures and report: what is chosen to be shown, one look, the same bytes twice, the command that makes a run again."""

import shlex
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

import tsynd
from tsynd.runs import config as configuration
from tsynd.runs.config import Budget, Evaluation, RunConfig
from tsynd.runs.report import figures
from tsynd.runs.report.page import command, render
from tsynd.runs.run import Run
from tsynd.study.comparisons import Difference
from tsynd.study.figures import forest
from tsynd.study.statistics import Interval
from tsynd.training import Recipe
from tsynd.utils.plotting import save


@pytest.fixture(scope="module")
def run() -> Run:
    recipe = Recipe(steps=12, batch_size=8, refresh_count=16, refresh_every=4, capacity=32, samples=4, autoencoder_steps=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration.BUDGETS, "smoke", Budget(recipe, Evaluation(draws=1, attack_steps=1, limit=10)))
        return tsynd.run(RunConfig("phantom:count=12", per_class=8, budget="smoke", device="cpu"))


def test_examples_are_the_largest_gains_of_different_sources_from_each_class(run: Run) -> None:
    synthesis = run.synthesis
    assert synthesis is not None
    rows = figures.examples(run, count=6)
    assert len(set(synthesis.sources[rows].tolist())) == 6
    assert synthesis.labels[rows].tolist() == [0, 0, 0, 1, 1, 1]
    gain = synthesis.mutual_information_after - synthesis.mutual_information_before
    for label in (0, 1):
        best = gain.masked_fill(synthesis.labels != label, -torch.inf).argmax()
        assert best in rows


def test_figures_leave_matplotlib_as_it_was_and_are_the_same_twice(run: Run, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    for name in ("a", "b"):
        save(figures.performance(run.metrics), tmp_path / f"{name}.svg")
        save(figures.comparison({"one": run.metrics, "two": run.metrics}), tmp_path / f"{name}.png")
    assert dict(matplotlib.rcParams) == before
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_a_row_of_differences_names_both_arms_where_they_are_compared_with_different_ones() -> None:
    place, found = ("phantom", "20"), Interval(0.1, -0.1, 0.3, 0.2)
    pairs = [Difference(*pair, "auroc", place, 3, found, found) for pair in (("tsynd", "none"), ("tsynd", "entropy"))]
    for shown, labels, told in (
        (pairs[:1], ["tsynd"], "difference to none"),
        (pairs, ["tsynd − none", "tsynd − entropy"], "difference"),
    ):
        axis = forest(shown).axes[0]
        assert [label.get_text() for label in axis.get_yticklabels()] == labels
        assert axis.get_xlabel() == told
        assert np.array_equal(axis.lines[0].get_xdata(), [0.1] * len(shown))


@pytest.mark.parametrize("draw", [figures.pairs, figures.information, figures.curves])
def test_every_axis_says_what_it_shows(run: Run, draw: object) -> None:
    figure = draw(run)  # type: ignore[operator]
    plots = [axis for axis in figure.axes if axis.lines]
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in plots)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_contact_sheet_shows_each_class(run: Run) -> None:
    figure = figures.contact_sheet(run.data, per_class=3)
    assert [axis.get_ylabel() for axis in figure.axes[::3]] == list(run.data.classes)
    assert all(axis.images for axis in figure.axes)


def test_the_report_escapes_names_and_stands_alone(run: Run) -> None:
    page = render(run, Path("runs/a"))
    assert page.count("<h1>guarded on phantom:count=12</h1>") == 1
    assert "<script" not in page
    assert "src=" in page
    assert page.count("src=") == page.count('src="data:')
    assert "Its numbers mean nothing" in page


def test_the_command_makes_the_same_run(run: Run) -> None:
    words = shlex.split(command(run.config | {"data": "my images"}, Path("runs/a")))
    assert words[:4] == ["tsynd", "run", "--data", "my images"]
    assert words[words.index("--per-class") + 1] == "8"
    assert words[-3:] == ["--out", "runs/a", "--force"]
