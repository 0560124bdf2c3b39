"""Elements of pages: a slider over figures that are drawn beforehand, and "Fool the classifier".

They are for the book without a kernel, for paper, and live in Jupyter and Colab.
A page of the book has all frames. Without JavaScript, and in print, they stand side by side, each under its values. With it,
one is shown, and a native slider chooses which. In a live kernel the same frames belong to a widget.
"""

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from importlib import resources
from numbers import Real
from typing import Any

from matplotlib.figure import Figure

from tsynd.errors import TsyndError
from tsynd.utils.plotting import data_uri, styled

ALT_LENGTH = 20
MOST_FRAMES = 25
WIDGET = "application/vnd.jupyter.widget-view+json"


def explore(
    draw: Callable[..., Figure],
    label: str | tuple[str, str],
    values: Sequence[Any],
    start: Any,
    alt: Callable[..., str],
) -> "Explorer":
    """A slider over one parameter, or two sliders over two, each position with a figure drawn beforehand.

    Make it the last expression of a cell, and tag the cell `nbval-ignore-output`. Five frames of 6 x 2.6 inches add about 140 KB
    to the page when they hold lines, and 220 KB when they hold rows of images.

    Args:
        draw: the figure at a value; with two parameters, at a pair of values. It is called once for each.
        label: what the slider changes, with its unit in words; a pair for two parameters.
        values: 3 to 9 numbers or strings; a pair of such lists for two parameters, of at most 25 combinations.
        start: the value that is shown first; a pair for two parameters.
        alt: what the figure at a value shows, in words for those who do not see it: its point, in 20 characters or more.

    Returns:
        Frames and a slider, which a notebook shows.

    Raises:
        TsyndError: when `start` is none of the values, there are fewer than 2 values or more than 25 frames, values look the
            same, a text of `alt` is too short, or `draw` returns no figure.
    """
    given: Any = ((label,), (values,), (start,)) if isinstance(label, str) else (label, values, start)
    if not isinstance(label, str) and not all(isinstance(each, tuple | list) and len(each) == 2 for each in given):
        raise TsyndError(f"with two parameters, label, values and start are a pair each; got {label!r}, {values!r} and {start!r}")
    for one, each in zip(given[0], given[1], strict=True):
        if isinstance(each, str) or not isinstance(each, Iterable):
            raise TsyndError(f"values of {one} must be a list of numbers or strings, got {each!r}")
    labels, choices = tuple(given[0]), [tuple(each) for each in given[1]]
    texts = tuple(tuple(_text(value) for value in each) for each in choices)
    at = tuple(_position(*each) for each in zip(labels, texts, given[2], strict=True))
    combinations = list(itertools.product(*choices))
    if len(combinations) > MOST_FRAMES:
        sizes = " x ".join(str(len(each)) for each in choices)
        raise TsyndError(f"{len(combinations)} frames ({sizes}) make the page too heavy: give values for at most {MOST_FRAMES}")
    if not callable(draw):
        raise TsyndError(f"draw must be a function of the value that returns a figure, got {draw!r}")
    if not callable(alt):
        raise TsyndError(f"alt must be a function of the value that returns words, got {alt!r}")
    frames = []
    for shown, each in zip(itertools.product(*texts), combinations, strict=True):
        name = ", ".join(f"{one} {text}" for one, text in zip(labels, shown, strict=True))
        if len(words := str(alt(*each)).strip()) < ALT_LENGTH:
            raise TsyndError(f"alt of {name} must say what the frame shows in {ALT_LENGTH} characters or more, got {words!r}")
        figure = styled(draw)(*each)
        if not isinstance(figure, Figure):
            raise TsyndError(f"draw must return a matplotlib Figure, got {figure!r} at {name}")
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.close(figure)  # a notebook would show it once more
        frames.append(Frame(name, words, data_uri(figure)))
    return Explorer(labels, texts, at, tuple(frames))


def _position(label: str, texts: tuple[str, ...], start: Any) -> int:
    """Where `start` stands among the values of one parameter, as a reader sees them."""
    if len(texts) < 2:
        raise TsyndError(f"{label} needs 2 values or more, got {len(texts)}: {', '.join(texts) or 'none'}")
    if len(set(texts)) < len(texts):
        raise TsyndError(f"values of {label} look the same to a reader: {', '.join(texts)}")
    if _text(start) not in texts:
        raise TsyndError(f"start must be one of the values of {label}, {', '.join(texts)}, got {start!r}")
    return texts.index(_text(start))


def _text(value: Any) -> str:
    """A value as a reader sees it."""
    return f"{value:g}" if isinstance(value, Real) else str(value)


@dataclass(frozen=True)
class Frame:
    """One figure. `name`: its values in words; `alt`: what it shows; `uri`: the picture, as a `data:` address."""

    name: str
    alt: str
    uri: str

    def html(self) -> str:
        """The picture with its words."""
        return f'<img alt="{escape(self.alt)}" src="{self.uri}">'


@dataclass(frozen=True)
class Explorer:
    """Frames and their sliders. `texts`: the values of each parameter as shown; `at`: which of them is shown first."""

    labels: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    at: tuple[int, ...]
    frames: tuple[Frame, ...]

    def __repr__(self) -> str:
        many = "; ".join(f"{label}: {', '.join(each)}" for label, each in zip(self.labels, self.texts, strict=True))
        return f"Explorer({many})"

    def frame(self, *at: int) -> Frame:
        """The frame at a position of each slider."""
        return self.frames[at[0] if len(at) == 1 else at[0] * len(self.texts[1]) + at[1]]

    def html(self) -> str:
        """A block of HTML that needs no other file and no network, the same bytes each time."""
        cells = [
            f'<div class="frame" role="listitem"><div>{escape(frame.name)}</div>{frame.html()}</div>' for frame in self.frames
        ]
        controls = [
            f'<label><span>{escape(label)}</span><input type="range" min="0" max="{len(texts) - 1}" step="1" value="{at}" '
            f'aria-label="{escape(label)}" aria-valuetext="{escape(f"{label} {texts[at]}")}" autocomplete="off">'
            f"<output>{escape(texts[at])}</output></label>"
            for label, texts, at in zip(self.labels, self.texts, self.at, strict=True)
        ]
        content = {
            "name": escape(f"figures by {' and '.join(self.labels)}"),
            "labels": escape(json.dumps(self.labels, ensure_ascii=False)),
            "values": escape(json.dumps(self.texts, ensure_ascii=False)),
            "controls": "\n".join(controls),
            "shape": "frames pairs" if len(self.labels) == 2 else "frames",
            "columns": str(len(self.texts[-1])),
            "frames": "\n".join(cells),
        }
        template = (resources.files("tsynd.teaching") / "explore.html").read_text(encoding="utf-8")
        return re.sub(r"\{\{(\w+)\}\}", lambda found: content[found[1]], template)

    def widget(self) -> Any:
        """The same as a live widget of core ipywidgets; its frames are drawn already, so it answers at once."""
        import ipywidgets as widgets  # takes a second to import

        picture = widgets.HTML(self.frame(*self.at).html())
        wide = {"style": {"description_width": "initial"}, "layout": {"width": "28rem", "max_width": "100%"}}
        sliders = [
            widgets.SelectionSlider(options=texts, index=at, description=label, **wide)
            for label, texts, at in zip(self.labels, self.texts, self.at, strict=True)
        ]

        def show(_: Any) -> None:
            picture.value = self.frame(*(slider.index for slider in sliders)).html()

        for slider in sliders:
            slider.observe(show, "index")
        return widgets.VBox([*sliders, picture])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self.html()}
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython else None
        if getattr(shell, "kernel", None) is not None:  # a notebook's kernel, to which widgets can talk
            with suppress(ImportError, AttributeError):  # no ipywidgets, or older than 8 as in Colab: the HTML has a slider
                bundle[WIDGET] = self.widget()._repr_mimebundle_()[WIDGET]
        return bundle


class PageElement:
    """A piece of HTML that a notebook shows."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"a page element of {len(self.html) // 1000} KB"


def fool_the_classifier() -> PageElement:
    """Return "Fool the classifier": drag an image through a slice of latent space, and see when posterior samples disagree.

    Make it the last expression of a cell, tagged `nbval-ignore-output`. Everything is computed in advance, so it needs neither a
    kernel nor a network; without JavaScript it is a grid of images.

    >>> "<figure" in fool_the_classifier().html
    True
    """
    return PageElement(resources.files("tsynd.teaching").joinpath("fool_the_classifier.html").read_text(encoding="utf-8"))
