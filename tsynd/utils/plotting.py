"""One look for every figure: colour-blind-safe colours with markers beside them, drawn without a display or pyplot's state."""

import base64
import io
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import resources
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
from matplotlib.figure import Figure

from tsynd.utils.atomic_files import atomic_write

# After Okabe and Ito (2008). The first four are told apart with any kind of colour vision (test_plotting.py measures it);
# beyond them some pairs are close for the colour-blind, so each colour has its marker as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# The colour and marker of each method, the same in every figure.
_STYLES = tomllib.loads((resources.files("tsynd.utils") / "methods.toml").read_text(encoding="utf-8"))
METHODS: dict[str, tuple[str, str]] = {name: (colour, marker) for name, (colour, marker) in _STYLES.items()}
_OTHERS = [(colour, marker) for marker in MARKERS for colour in ("#B35C44", "#6B8E23")]
SETTINGS: Any = {  # matplotlib types each name of a setting
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "tsynd",
}

Parameters = ParamSpec("Parameters")


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot and its list of open figures."""

    def _repr_png_(self) -> bytes:
        return _render(self, "png", dpi=110)


def method_style(arm: str, among: Sequence[str] = ()) -> dict[str, str]:
    """Return the colour and marker of a method, as keywords for matplotlib.

    One without a style of its own gets a brown or green one, by its place among such methods of the figure (`among`).
    """
    others = [name for name in dict.fromkeys(among) if name not in METHODS]
    at = others.index(arm) if arm in others else 0
    colour, marker = METHODS.get(arm) or _OTHERS[at % len(_OTHERS)]
    return {"color": colour, "marker": marker}


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw a figure in the house style, and leave matplotlib's own settings as they were."""

    @wraps(draw)
    def inner(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with matplotlib.rc_context(SETTINGS):
            return draw(*args, **kwargs)

    return inner


def data_uri(figure: Figure) -> str:
    """A figure as a `data:` address (SVG), for a page that needs no other file."""
    return f"data:image/svg+xml;base64,{base64.b64encode(_lean(_render(figure, 'svg', dpi=160))).decode()}"


def _lean(svg: bytes) -> bytes:
    """The same drawing in fewer bytes: no prolog, no facts about matplotlib, outlines to a hundredth of a point."""
    text = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", "", svg.decode(), flags=re.DOTALL)
    text = re.sub(r'(?<= d=")[^"]*', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", " ".join(found[0].split())), text)
    return re.sub(r">\s+<", "><", text).strip().encode()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG or PNG, by the name's ending, whole or not at all; the same figure gives the same bytes."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(_render(figure, path.suffix[1:], dpi=160))


def bare(axes: Any) -> None:
    """Take ticks, grid and frame from axes that hold images."""
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.grid(False)
        axis.spines[:].set_visible(False)


def short(name: str, width: int = 16) -> str:
    """A name that is cut, with an ellipsis, if it is longer."""
    return name if len(name) <= width else name[: width - 1] + "…"


def _render(figure: Figure, kind: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata={"Date" if kind == "svg" else "Software": None})
    return buffer.getvalue()
