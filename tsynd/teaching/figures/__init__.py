"""Figures of the book's chapters, a module for each chapter: narrow enough, with letters large enough, to read on a phone."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
from matplotlib.figure import Figure

from tsynd.utils.plotting import SETTINGS, Picture

__all__ = ["LETTERS", "WIDTH", "column", "taught"]

WIDTH, LETTERS = 4.8, 12
"""Inches and points. A phone shows a figure 350 px wide: letters of 12 pt in 4.8 inches are 9 pt there."""

Parameters = ParamSpec("Parameters")


def column(height: float, count: int = 1, **shared: Any) -> tuple[Figure, Any]:
    """A figure as wide as a phone shows it, so many inches high, and its axes, one above the other."""
    figure = Picture(figsize=(WIDTH, height))
    return figure, figure.subplots(count, 1, squeeze=False, **shared)[:, 0]


def taught(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw a figure of a chapter in the house style, all its letters in one size that can be read on a phone."""
    names = ("font.size", "axes.titlesize", "figure.titlesize", "figure.labelsize", "legend.fontsize")
    sizes: Any = dict.fromkeys(names, LETTERS)

    @wraps(draw)
    def inner(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with matplotlib.rc_context({**SETTINGS, **sizes}):
            figure = draw(*args, **kwargs)
        for axis in figure.axes:  # ticks that are made later take their size from here
            axis.tick_params(labelsize=LETTERS)
        return figure

    return inner
