"""The review widget, without a browser: keys and buttons decide, the CSV follows, a review goes on."""

from pathlib import Path

import pytest

from tsynd.errors import TsyndError
from tsynd.runs.run import Run
from tsynd.runs.synthesize import synthesize
from tsynd.synthetic.decisions import read_review
from tsynd.synthetic.review_widget import review
from tsynd.targeting import Synthesis


@pytest.fixture(scope="module")
def images(finished: Run) -> Synthesis:
    return synthesize(finished, 4)


def test_keys_decide_and_the_csv_follows(images: Synthesis, finished: Run, tmp_path: Path) -> None:
    out = tmp_path / "r.csv"
    sources = finished.data.train.images[images.sources].float() / 255
    widget = review(images, out, classes=("a<b", "c"), sources=sources, reviewer="AB")
    label = int(images.labels[2])
    for typed in ("a", "R", str(2 - label), "x"):  # accept, reject, the other class, no key
        widget.field.value = typed
        assert widget.field.value == ""
    made = read_review(out, images, 2)
    assert [made[index].decision for index in range(3)] == ["accept", "reject", "relabel"]
    assert made[2].new_label == 1 - label and made[0].reviewer == "AB" and made[0].time.endswith("Z")
    assert widget.at == 3
    widget.field.value = "u"
    assert widget.at == 2 and set(read_review(out, images)) == {0, 1}
    widget.field.value = f"{label + 1}"  # its own class: accept
    assert read_review(out, images)[2].decision == "accept"


def test_no_key_changes_a_decision_by_itself(images: Synthesis, tmp_path: Path) -> None:
    """`a` at the end of a review once stepped over images that were decided, and accepted them."""
    widget = review(images, tmp_path / "r.csv")
    widget.field.value = "rrr"
    widget.go(0)
    widget.field.value = "r"  # decided so already: on to the one that is left
    assert widget.at == 3
    widget.field.value = "a"
    made = [made.decision for _, made in sorted(read_review(tmp_path / "r.csv", images).items())]
    assert made == ["reject", "reject", "reject", "accept"] and "all images are reviewed" in widget._state.value
    for typed in ("aaaa", "n", "a"):
        widget.field.value = typed
    assert [one.decision for _, one in sorted(read_review(tmp_path / "r.csv", images).items())] == made
    widget.go(1)
    widget.field.value = "a"
    assert widget.decisions[1].decision == "reject" and "the same key again changes that decision" in widget._state.value
    widget.field.value = "."
    widget.field.value = ","
    widget.field.value = "a"  # asked anew: something came between
    assert widget.decisions[1].decision == "reject"
    widget.field.value = "a"
    assert widget.decisions[1].decision == "accept"
    widget.field.value = "u"
    assert widget.decisions[1].decision == "reject" and widget.at == 1


def test_buttons_move_and_the_ends_are_ends(images: Synthesis) -> None:
    widget = review(images)
    for name, at in (("back", 0), ("next", 1), ("accept", 2), ("reject", 3), ("next", 3), ("open", 0), ("undo", 2)):
        widget.buttons[name].click()
        assert widget.at == at, name
    shown = [bytes(picture.children[0].value) for picture in widget._pictures.values()]
    assert len(shown) == 3 and all(png.startswith(b"\x89PNG") for png in shown)
    widget.buttons["next"].click()
    assert shown != [bytes(picture.children[0].value) for picture in widget._pictures.values()]


def test_a_review_goes_on_from_its_file_and_another_s_is_refused(images: Synthesis, finished: Run, tmp_path: Path) -> None:
    review(images, tmp_path / "r.csv").buttons["accept"].click()
    widget = review(images, tmp_path / "r.csv", classes=("a<b", "c"))
    assert widget.at == 1 and widget.decisions[0].decision == "accept"
    assert "a<b" not in widget._state.value
    with pytest.raises(TsyndError, match="review of other images"):
        review(synthesize(finished, 4, seed=9), tmp_path / "r.csv")


def test_a_file_brings_names_and_sources(folder: Path, finished: Run) -> None:
    widget = review(folder / "synthetic.npz")
    assert list(widget._pictures) == ["source", "start", "targeted", "difference"]
    assert widget.classes == finished.data.classes
