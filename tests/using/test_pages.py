"""The pages that a run writes, its report and its review, in a browser: read and worked by everybody."""

from pathlib import Path

from browser import Tab
from check_browser import look

from tsynd.runs.run import Run
from tsynd.runs.synthesize import synthesize
from tsynd.synthetic.decisions import blind_agreement, read_review
from tsynd.synthetic.review_page import real_images, write_page


def test_axe_finds_nothing_in_the_report(tab: Tab, axe: str, folder: Path) -> None:
    assert look(tab, folder / "report.html", axe) == []


def test_axe_finds_nothing_in_the_review(tab: Tab, axe: str, finished: Run, tmp_path: Path) -> None:
    write_page(tmp_path / "review.html", synthesize(finished, 3), ("benign", "malignant"))
    assert look(tab, tmp_path / "review.html", axe) == []


def press(tab: Tab, keys: str) -> list[str]:
    """Press keys; the decisions as the CSV has them, row by row: index and decision."""
    for key in keys:
        tab.run(f"dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))")
    rows = str(tab.run("csv()")).splitlines()[1:]
    return [f"{row.split(',')[0]} {row.split(',')[3]}" for row in rows]


def test_the_review_loses_no_decision(tab: Tab, finished: Run, tmp_path: Path) -> None:
    write_page(tmp_path / "review.html", synthesize(finished, 3), ("benign", "malignant"))
    tab.open(tmp_path / "review.html")
    assert press(tab, "rr") == ["0 reject", "1 reject"]
    made = ["0 reject", "1 reject", "2 accept"]
    assert press(tab, "a") == made
    assert press(tab, "aaa") == made and "All images are reviewed" in tab.run("document.body.innerText")
    tab.run("go(0)")
    assert press(tab, "a") == made and "again changes that" in tab.run("document.body.innerText")
    assert press(tab, "a") == ["0 accept", *made[1:]]
    assert press(tab, "u") == made
    tab.open(tmp_path / "review.html")
    assert press(tab, "") == made  # over a reload


def test_a_blind_review_shows_nothing_that_tells_and_says_how_real_images_fared(tab: Tab, finished: Run, tmp_path: Path) -> None:
    synthesis = synthesize(finished, 4)
    write_page(tmp_path / "blind.html", synthesis, finished.data.classes, blind=real_images(finished.data, synthesis))
    tab.open(tmp_path / "blind.html")
    text = tab.run("document.getElementById('state').innerText + document.getElementById('sheet').innerText")
    assert text.startswith("Which class do you see?") and "source" not in text and "real" not in text
    assert tab.run("images.length") == 8 and tab.run("document.querySelectorAll('#pictures img').length") == 1
    rows = press(tab, "12121212")
    assert sum(row.startswith("real ") for row in rows) == 4
    (tmp_path / "r.csv").write_text(tab.run("csv()"), encoding="utf-8")
    made = read_review(tmp_path / "r.csv", synthesis, 2)
    assert sorted(made) == [0, 1, 2, 3]
    found = blind_agreement(tmp_path / "r.csv", synthesis)
    assert found is not None and [found[kind]["images"] for kind in ("real", "synthetic")] == [4, 4]
    assert found["synthetic"]["label_confirmed"] == sum(one.decision == "accept" for one in made.values())
    tab.run("document.getElementById('window').value = 50; view()")
    assert tab.run("document.querySelector('#view feFuncR').getAttribute('slope')") == "2"
