"""Sliders over figures drawn beforehand: what the page and the kernel get, the words, the same bytes twice, clear errors."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import IPython
import matplotlib
import pytest
from browser import Tab
from check_browser import look
from check_html import Page
from matplotlib import pyplot
from matplotlib.figure import Figure
from notebook_form import ADDRESS, LOCAL_PATH

from tsynd.errors import TsyndError
from tsynd.teaching import explore
from tsynd.teaching.slider import WIDGET, Explorer
from tsynd.utils.plotting import Picture


def dots(*values: Any) -> Figure:
    figure = Picture(figsize=(2, 1))
    figure.subplots().plot([0, *(len(str(value)) for value in values)])
    return figure


def words(*values: Any) -> str:
    return f'Three "dots" that rise, at <{values}>'


def one(**changes: Any) -> Explorer:
    given: dict[str, Any] = {"draw": dots, "label": "radius <latent>", "values": [0, 0.1, 0.25], "start": 0.1, "alt": words}
    return explore(**given | changes)


def two(**changes: Any) -> Explorer:
    given = {"label": ("steps", "noise"), "values": ([1, 10], ("low", "middle", "high")), "start": (10, "low")}
    return one(**given | changes)


class Elements(HTMLParser):
    """Every element of a text, as its name and attributes, and that each one opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.depth = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        self.depth += tag not in ("img", "input")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.all if name == tag]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a notebook: a shell that has a kernel; and widgets that talk to nobody."""
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": object()})())
    yield
    __import__("ipywidgets").Widget.close_all()


def test_every_frame_has_its_words_and_the_slider_its_name() -> None:
    page = Elements(one().html())
    assert page.depth == 0
    assert [each["alt"] for each in page.of("img")] == [words(value) for value in (0, 0.1, 0.25)]
    assert all(str(each["src"]).startswith("data:image/svg+xml;base64,") for each in page.of("img"))
    assert len({each["src"] for each in page.of("img")}) == 3
    (slider,) = page.of("input")
    assert (slider["type"], slider["min"], slider["max"], slider["value"]) == ("range", "0", "2", "1")
    assert (slider["aria-label"], slider["aria-valuetext"]) == ("radius <latent>", "radius <latent> 0.1")
    (block,) = page.of("figure")
    assert json.loads(str(block["data-values"])) == [["0", "0.1", "0.25"]]


def test_without_widgets_or_with_old_ones_the_block_of_html_is_shown(kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = one()
    assert WIDGET in explorer._repr_mimebundle_()
    with monkeypatch.context() as old:
        old.delattr("ipywidgets.Widget._repr_mimebundle_")
        assert set(explorer._repr_mimebundle_()) == {"text/plain", "text/html"}
    with monkeypatch.context() as none:
        none.setitem(sys.modules, "ipywidgets", None)
        assert set(explorer._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_two_parameters_are_a_grid_whose_cells_say_both_values() -> None:
    explorer = two()
    text = explorer.html()
    page = Elements(text)
    assert re.findall(r"<div>(steps .*?)</div>", text) == [
        f"steps {a}, noise {b}" for a in (1, 10) for b in ("low", "middle", "high")
    ]
    assert "--columns: 3" in text
    sliders = [(each["aria-label"], each["max"], each["value"]) for each in page.of("input")]
    assert sliders == [("steps", "1", "1"), ("noise", "2", "0")]
    assert [explorer.frame(a, b).name for a, b in ((0, 0), (0, 2), (1, 0))] == [explorer.frames[at].name for at in (0, 2, 3)]


def test_it_is_the_same_twice_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    first, second = (f"{one().html()}{two().html()}" for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == before
    assert "id=" not in first, "several on a page may not clash"
    assert LOCAL_PATH.search(first) is None and ADDRESS.search(first) is None
    (tmp_path / "a.html").write_text(first, encoding="utf-8")
    assert all(source.startswith("data:") for source in Page(tmp_path / "a.html").fetched)
    assert not re.search(r"https?://|url\(|@import|\.src\b|fetch\(|import\(", first)


def test_a_notebook_does_not_show_a_pyplot_figure_twice() -> None:
    def with_pyplot(value: float) -> Figure:
        figure, axes = pyplot.subplots()
        axes.plot([0, value])
        return figure

    one(draw=with_pyplot)
    assert pyplot.get_fignums() == []


def test_without_a_kernel_there_is_no_widget() -> None:
    bundle = one()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == "Explorer(radius <latent>: 0, 0.1, 0.25)"


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("make", [one, two])
def test_a_kernel_gets_the_widget_as_well(make: Callable[[], Explorer]) -> None:
    bundle = make()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", WIDGET}
    assert bundle[WIDGET]["model_id"]


def test_the_widget_shows_the_frame_that_its_sliders_choose() -> None:
    explorer = two()
    steps, noise, picture = explorer.widget().children
    assert (steps.value, noise.value) == ("10", "low")
    assert picture.value == explorer.frame(1, 0).html()
    steps.index, noise.value = 0, "high"
    assert picture.value == explorer.frame(0, 2).html()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": 0.3}, "start must be one of the values of radius <latent>, 0, 0.1, 0.25, got 0.3"),
        ({"values": [0.1]}, "radius <latent> needs 2 values or more, got 1: 0.1"),
        ({"values": [0.1, 0.1000000001]}, "values of radius <latent> look the same to a reader: 0.1, 0.1"),
        ({"values": range(26), "start": 0}, "26 frames (26) make the page too heavy: give values for at most 25"),
        ({"alt": "Three dots that rise, always"}, "alt must be a function of the value that returns words, got 'Three dots"),
        ({"alt": "{:.2f}".format}, "alt of radius <latent> 0 must say what the frame shows in 20 characters or more, got '0.00'"),
        ({"draw": lambda value: None}, "draw must return a matplotlib Figure, got None at radius <latent> 0"),
        ({"label": ("a", "b")}, "with two parameters, label, values and start are a pair each; got ('a', 'b'), "),
    ],
)
def test_what_cannot_be_shown_is_one_clear_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError) as error:
        one(**changes)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_too_many_pairs_are_refused_before_any_is_drawn() -> None:
    with pytest.raises(TsyndError, match=r"30 frames \(5 x 6\)"):
        two(values=(range(5), range(6)), start=(0, 0), draw=None)


VISIBLE = (
    "[...document.querySelectorAll('.frame')].map((each) => Number(getComputedStyle(each).visibility === 'visible')).join('')"
)
FIRST = "document.querySelector('input')"


def write(path: Path, *explorers: Explorer) -> Path:
    style = (Path(__file__).parents[2] / "book" / "static" / "tsynd.css").read_text(encoding="utf-8")
    body = "".join(explorer.html() for explorer in explorers)
    path.write_text(
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Sliders</title><style>{style}</style>{body}',
        encoding="utf-8",
    )
    return path


def test_without_javascript_every_frame_is_seen_under_its_values(tab: Tab, tmp_path: Path) -> None:
    tab.open(write(tmp_path / "a.html", one(), two()), scripts=False)
    assert tab.run(VISIBLE) == "1" * 9
    assert tab.run("[...document.querySelectorAll('.frame')].every((each) => each.innerText.length > 5)")
    assert tab.run("[...document.querySelectorAll('.controls')].every((each) => !each.checkVisibility())")


def test_with_javascript_keys_choose_the_frame_of_their_own_block(tab: Tab, tmp_path: Path) -> None:
    tab.open(write(tmp_path / "a.html", one(), two(), one()))
    assert tab.run(VISIBLE) == "010" + "000100" + "010"
    tab.run(f"{FIRST}.focus()")
    tab.press("ArrowRight", 39)
    assert tab.run(VISIBLE) == "001" + "000100" + "010"
    assert tab.run(f"{FIRST}.getAttribute('aria-valuetext')") == "radius <latent> 0.25"
    assert tab.run("document.querySelector('output').textContent") == "0.25"
    tab.press("Home", 36)
    assert tab.run(VISIBLE) == "100" + "000100" + "010"
    tab.run("document.querySelectorAll('input')[2].focus()")
    tab.press("End", 35)
    assert tab.run(VISIBLE) == "100" + "000001" + "010"
    assert tab.errors == []


def test_it_fits_a_phone_and_prints_every_frame(tab: Tab, tmp_path: Path) -> None:
    wide = one(label="how far the search may go from where it starts, in standard deviations of the latent space")
    for scripts in (True, False):
        tab.open(write(tmp_path / "a.html", wide, two()), scripts=scripts)
        tab.resize(390)
        assert tab.run("document.documentElement.scrollWidth") <= 390
        tab.resize(1000)
    tab.open(tmp_path / "a.html")
    tab.send("Emulation.setEmulatedMedia", media="print")
    assert tab.run(VISIBLE) == "1" * 9
    tab.send("Emulation.setEmulatedMedia", media="")
    assert tab.run(VISIBLE) == "010" + "000100"


def test_axe_finds_nothing_in_light_or_dark(tab: Tab, axe: str, tmp_path: Path) -> None:
    found = look(tab, write(tmp_path / "a.html", one(), two()), axe)
    assert found == []
