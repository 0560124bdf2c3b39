"""The review widget: images one by one, decided from the keyboard, in JupyterLab, Colab or any other notebook.

Widgets have no key events, so the keys go to a text field that empties itself. Where scripts may run, `review_keys.js` adds the
arrows and keys pressed on a button.
"""

import datetime
import os
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from IPython.display import Javascript
from torch import Tensor

from tsynd.data.labels import names_of
from tsynd.errors import TsyndError
from tsynd.synthetic.decisions import Decision, counts, read_review, write_review
from tsynd.synthetic.review_page import Album
from tsynd.synthetic.sets import read_set, shown, source_data
from tsynd.targeting import Synthesis
from tsynd.utils.validation import check_kind, check_path

SIDE = {"source": 280, "targeted": 280, "start": 140, "difference": 140}  # px, about: whole multiples of the image's own size
HELP = (
    "<small>Click the field, then: <b>a</b> accept · <b>r</b> reject · <b>1</b>–<b>9</b> it is that class · <b>u</b> undo · "
    "<b>n</b> next unreviewed · <b>.</b> or → next · <b>,</b> or ← back. Rejected images, and those not reviewed, are not "
    "trained on. These images are not anonymous.</small>"
)
# Where scripts run: keys anywhere in the widget press its buttons, and JupyterLab's shortcuts (a: new cell) keep out.
KEYS = (resources.files("tsynd.synthetic") / "review_keys.js").read_text(encoding="utf-8")


def review(
    synthesis: Synthesis | str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    classes: tuple[str, ...] | None = None,
    sources: Tensor | None = None,
    reviewer: str = "",
) -> "Reviewer":
    """Review synthetic images one by one in a notebook: accept, reject or relabel each.

    Args:
        synthesis: the images, or the file that holds them; for a file, names and sources come from its data set.
        out: a CSV that is written after each decision, for `tsynd run --review`; a review of the same images that is there
            already goes on. None keeps decisions in `decisions` of the widget only.
        classes: the names of class 0, 1, …; numbers without.
        sources: the real images, one for each row; not shown without.
        reviewer: who decides; written beside each decision, and can be changed in the widget.

    Returns:
        The widget, whose attribute `decisions` has what was decided, by position.

    Raises:
        TsyndError: when there are no images, or `out` holds a review of others.
    """
    if not isinstance(synthesis, Synthesis):
        check_path(synthesis=synthesis)
        path = Path(synthesis)
        synthesis = read_set(path)
        names, found = shown(synthesis, source_data(path))
        classes, sources = names if classes is None else classes, found if sources is None else sources
    if out is not None:
        check_path(out=out)
    classes = shown(synthesis, None)[0] if classes is None else classes
    return Reviewer(synthesis, None if out is None else Path(out), classes, sources, reviewer)


class Reviewer(widgets.VBox):
    """The widget that `review` gives. `decisions`: by position; `at`: the image that is shown."""

    def __init__(
        self, synthesis: Synthesis, out: Path | None, classes: tuple[str, ...], sources: Tensor | None, reviewer: str
    ) -> None:
        check_kind(str, reviewer=reviewer)
        count, named = len(shown(synthesis, None)[0]), isinstance(classes, tuple | list)
        if not named or not all(isinstance(name, str) for name in classes) or len(classes) < count:
            raise TsyndError(f"classes must be {count} names or more, one for each class, got {classes!r}")
        self.synthesis, self.out, self.classes = synthesis, out, classes
        self.decisions: dict[int, Decision] = {}
        if out is not None and out.exists():
            self.decisions = read_review(out, synthesis, len(classes))
        self._asking: tuple[int, str, int | None] | None = None
        self.at, self._undo = 0, list[tuple[int, Decision | None]]()
        self._album = Album(synthesis, sources)
        self._limit = self._album.limit
        self._pictures = {name: self._picture(name) for name in self._album.names}
        self._head, self._state = widgets.HTML(), widgets.HTML()
        self.field = widgets.Text(placeholder="keys go here", continuous_update=True, layout={"width": "9rem"})
        self.field.observe(self._typed, "value")
        view = {"min": 0.0, "max": 1.0, "step": 0.02, "description": "window", "readout_format": ".2f"}
        self.window = widgets.FloatRangeSlider(value=(0.0, 1.0), **view)
        self.window.observe(lambda _: self.go(self.at), "value")
        self.who = widgets.Text(value=reviewer, description="reviewer", layout={"width": "16rem"})
        self.who.add_class("tsynd-name")
        actions = {
            "accept": ("Accept (a)", lambda: self.decide("accept")),
            "reject": ("Reject (r)", lambda: self.decide("reject")),
            "back": ("← Back", lambda: self.go(self.at - 1)),
            "next": ("Next →", lambda: self.go(self.at + 1)),
            "open": ("Next unreviewed (n)", self.seek),
            "undo": ("Undo (u)", self.undo),
        }
        self.buttons = {name: self._button(name, text, action) for name, (text, action) in actions.items()}
        self._choices = () if synthesis.labels.ndim == 2 else classes  # several labels an image: accept or reject
        for label, text in enumerate(self._choices):
            name = f"class-{label + 1}"
            self.buttons[name] = self._button(name, f"{label + 1}: {text}", lambda label=label: self.choose(label))
        self.buttons["accept"].button_style, self.buttons["reject"].button_style = "success", "danger"
        script = widgets.Output(layout={"height": "0", "margin": "0"})
        script.append_display_data(Javascript(KEYS))
        wrap = widgets.Layout(flex_flow="row wrap")
        large = [picture for name, picture in self._pictures.items() if name in ("source", "targeted")]
        small = [picture for name, picture in self._pictures.items() if name in ("start", "difference")]
        accept, reject, back, following, unreviewed, undo, *labels = self.buttons.values()
        boxes = [widgets.HBox([*large, widgets.VBox(small)], layout=wrap), self._state]
        rows = ([self.field, accept, reject], labels, [back, following, unreviewed, undo, self.who])
        boxes += [widgets.HBox(row, layout=wrap) for row in rows]
        super().__init__([self._head, *boxes, self.window, widgets.HTML(HELP), script])
        self.add_class("tsynd-review")
        self.seek(0)

    def decide(self, decision: str, new_label: int | None = None) -> None:
        """Decide about the image that is shown, write the CSV, and go on to the next one that is not reviewed.

        A decision that is there already is changed when it is asked for twice in a row; the same one again changes nothing.
        """
        made, asked = self.decisions.get(self.at), (self.at, decision, new_label)
        if made is not None and (made.decision, made.new_label) == asked[1:]:
            return self.seek()
        if made is not None and self._asking != asked:
            self._asking = asked
            self._state.value += " · <b>the same key again changes that decision; any other leaves it</b>"
            return None
        self._undo.append((self.at, self.decisions.get(self.at)))
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self.decisions[self.at] = Decision(decision, new_label, self.who.value.strip(), now)
        self._write()
        return self.seek()

    def choose(self, label: int) -> None:
        """The image is of this class: accept when it is the present label, relabel otherwise."""
        if label < len(self._choices):
            here = label == int(self.synthesis.labels[self.at])
            self.decide("accept") if here else self.decide("relabel", label)

    def undo(self) -> None:
        """Take the last decision back and show its image."""
        if self._undo:
            index, before = self._undo.pop()
            del self.decisions[index]
            self.decisions |= {} if before is None else {index: before}
            self._write()
            self.go(index)

    def seek(self, start: int | None = None) -> None:
        """Show the next image that is not yet reviewed, from `start` or after the present one; stay when there is none."""
        first = self.at + 1 if start is None else start
        order = [(first + step) % len(self.synthesis) for step in range(len(self.synthesis))]
        self.go(next((index for index in order if index not in self.decisions), self.at))
        if len(self.decisions) == len(self.synthesis):
            self._state.value += " · <b>all images are reviewed</b>"

    def go(self, index: int) -> None:
        """Show an image; beyond either end nothing happens."""
        self._asking = None
        self.at = min(max(index, 0), len(self.synthesis) - 1)
        for name, picture in self._pictures.items():
            picture.children[0].value = self._album.png(name, self.at, self._limit, SIDE[name], self.window.value)
        made, label = self.decisions.get(self.at), names_of(self.synthesis.labels[self.at], self.classes)
        done, many = len(self.decisions), len(self.synthesis)
        said = "not reviewed" if made is None else made.decision
        said += "" if made is None or made.new_label is None else f": {escape(self.classes[made.new_label])}"
        before, after = (float(getattr(self.synthesis, f"mutual_information_{when}")[self.at]) for when in ("before", "after"))
        tally = ", ".join(f"{count} {name}" for name, count in counts(self.synthesis, self.decisions).items() if count)
        self._head.value = f"<b>Image {self.at + 1} of {many}</b> · {done} of {many} reviewed ({tally})"
        self._state.value = (
            f"Label <b>{escape(label)}</b> · <b>{said}</b> · source {int(self.synthesis.sources[self.at])} · "
            f"mutual information {before:.3f} → {after:.3f} nats"
        )
        self.buttons["undo"].disabled = not self._undo

    def _typed(self, change: dict[str, Any]) -> None:
        """What the field was given: act on each key, then empty it."""
        if change["new"]:
            self.field.value = ""
        names = {"a": "accept", "r": "reject", "u": "undo", "n": "open", ".": "next", ",": "back"}
        for letter in change["new"].lower():
            if button := self.buttons.get(names.get(letter, f"class-{letter}")):
                button.click()

    def _write(self) -> None:
        if self.out is not None:
            write_review(self.out, self.synthesis, self.decisions)

    def _picture(self, name: str) -> Any:
        caption = f"difference, ±{self._limit:.3f}" if name == "difference" else name
        image = widgets.Image(format="png", layout={"object_fit": "contain"})
        return widgets.VBox([image, widgets.HTML(f"<small>{caption}</small>")], layout={"margin": "0 8px 0 0"})

    def _button(self, name: str, text: str, action: Any) -> Any:
        button = widgets.Button(description=text, layout={"width": "auto"})
        button.add_class(f"tsynd-{name}")
        button.on_click(lambda _: action())
        return button
