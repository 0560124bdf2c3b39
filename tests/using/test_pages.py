"""The pages that a run writes, its report and its review, in a browser: read and worked by everybody."""

from pathlib import Path

from browser import Tab
from check_browser import look

from tsynd.runs.run import Run
from tsynd.runs.synthesize import synthesize
from tsynd.synthetic.review_page import write_page


def test_axe_finds_nothing_in_the_report(tab: Tab, axe: str, folder: Path) -> None:
    assert look(tab, folder / "report.html", axe) == []


def test_axe_finds_nothing_in_the_review(tab: Tab, axe: str, finished: Run, tmp_path: Path) -> None:
    write_page(tmp_path / "review.html", synthesize(finished, 3), ("benign", "malignant"))
    assert look(tab, tmp_path / "review.html", axe) == []
