"""A slider over figures that are drawn beforehand: for the book without a kernel, for paper, and live in Jupyter and Colab.

A page of the book has all frames. Without JavaScript, and in print, they stand side by side, each under its values. With it,
one is shown, and a native slider chooses which. In a live kernel the same frames belong to a widget.
"""

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
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
    labels, choices, first = zip(*_parameters(label, values, start), strict=True)
    at = tuple(_position(*each) for each in zip(labels, choices, first, strict=True))
    combinations = list(itertools.product(*choices))
    if len(combinations) > MOST_FRAMES:
        sizes = " x ".join(str(len(each)) for each in choices)
        raise TsyndError(f"{len(combinations)} frames ({sizes}) make the page too heavy: give values for at most {MOST_FRAMES}")
    if not callable(draw):
        raise TsyndError(f"draw must be a function of the value that returns a figure, got {draw!r}")
    if not callable(alt):
        raise TsyndError(f"alt must be a function of the value that returns words, got {alt!r}")
    texts = tuple(tuple(_text(value) for value in each) for each in choices)
    names = [_name(labels, each) for each in itertools.product(*texts)]
    frames = [_frame(draw, alt, name, each) for name, each in zip(names, combinations, strict=True)]
    return Explorer(labels, texts, at, tuple(frames))


def _parameters(label: str | tuple[str, str], values: Sequence[Any], start: Any) -> list[tuple[str, tuple[Any, ...], Any]]:
    """The label, the values and the start of each parameter."""
    if isinstance(label, str):
        return [(label, _several(label, values), start)]
    try:
        (one, other), (ones, others), (first, second) = label, values, start
        return [(one, _several(one, ones), first), (other, _several(other, others), second)]
    except TsyndError:
        raise
    except (TypeError, ValueError):
        given = f"got {label!r}, {values!r} and {start!r}"
        raise TsyndError(f"with two parameters, label, values and start are a pair each; {given}") from None


def _several(label: str, values: Any) -> tuple[Any, ...]:
    """The values of one parameter, if they are several."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TsyndError(f"values of {label} must be a list of numbers or strings, got {values!r}")
    return tuple(values)


def _position(label: str, values: tuple[Any, ...], start: Any) -> int:
    """Where `start` stands among the values of one parameter."""
    texts = [_text(value) for value in values]
    if len(values) < 2:
        raise TsyndError(f"{label} needs 2 values or more, got {len(values)}: {', '.join(texts) or 'none'}")
    if len(set(texts)) < len(texts):
        raise TsyndError(f"values of {label} look the same to a reader: {', '.join(texts)}")
    if _text(start) not in texts:
        raise TsyndError(f"start must be one of the values of {label}, {', '.join(texts)}, got {start!r}")
    return texts.index(_text(start))


def _frame(draw: Callable[..., Figure], alt: Callable[..., str], name: str, values: tuple[Any, ...]) -> "Frame":
    """Draw one frame, and ask for its words."""
    words = str(alt(*values)).strip()
    if len(words) < ALT_LENGTH:
        raise TsyndError(f"alt of {name} must say what the frame shows in {ALT_LENGTH} characters or more, got {words!r}")
    figure = styled(draw)(*values)
    if not isinstance(figure, Figure):
        raise TsyndError(f"draw must return a matplotlib Figure, got {figure!r} at {name}")
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)  # a notebook would show it once more
    return Frame(name, words, data_uri(figure))


def _text(value: Any) -> str:
    """A value as a reader sees it."""
    return f"{value:g}" if isinstance(value, Real) else str(value)


def _name(labels: tuple[str, ...], texts: tuple[str, ...]) -> str:
    """The values of a frame, with what they are values of."""
    return ", ".join(f"{label} {text}" for label, text in zip(labels, texts, strict=True))


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
        return bundle | self._live() if _has_kernel() else bundle

    def _live(self) -> dict[str, Any]:
        """The widget's view; nothing where ipywidgets is missing, or older than 8 as in Colab: the block of HTML has a slider."""
        try:
            return {WIDGET: self.widget()._repr_mimebundle_()[WIDGET]}
        except (ImportError, AttributeError):
            return {}


def _has_kernel() -> bool:
    """Is this a notebook's kernel, to which widgets can talk?"""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None
