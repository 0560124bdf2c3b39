"""Slides: from the cells of a notebook, with every text in the notes, nothing outside the page, and readable in a browser."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from browser import browser, find_browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from slide_cells import WORDS, panels, slides
from slides import deck, decks, findings, print_pdf, write

from tsynd.utils.plotting import Picture, data_uri

ROOT = Path(__file__).resolve().parents[2]
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def shown(*cells: nbformat.NotebookNode) -> list[tuple[str, str, str]]:
    return [(slide.title, slide.kind, re.sub(r"<[^>]+>", "", slide.body).strip()) for slide in slides(cells)]


def test_a_section_becomes_slides_and_its_whole_text_the_notes() -> None:
    text = (
        "## Pairs\n\nOne sentence that says what this is. "
        + "Another one follows here. " * 12
        + "**Is it so?**\n\n- first\n- second"
    )
    (slide,) = slides([new_markdown_cell(text)])
    assert slide.title == "Pairs"
    assert "One sentence" in slide.body
    assert "Is it so?" in slide.body
    assert slide.body.count("Another one") < 12 == slide.notes.count("Another one")
    assert "<li>second</li>" in slide.body


def test_a_long_list_is_cut_between_its_items() -> None:
    items = "\n".join(f"- item {number} " + "word " * 15 for number in range(10))
    found = slides([new_markdown_cell(f"## Many\n\n{items}")])
    assert len(found) > 2
    assert "".join(slide.body for slide in found).count("<li>") == 10
    assert all(len(re.sub(r"<[^>]+>", " ", slide.body).split()) <= WORDS + 20 for slide in found)


def test_questions_come_without_their_answers_and_solutions_not_at_all() -> None:
    folded = "<details><summary>{}</summary>\n\n{}\n</details>"
    exercise = [
        new_markdown_cell("### Exercise: double\n\nDouble it."),
        new_code_cell("exercises.double(..., )", metadata={"tags": ["exercise"]}),
        new_markdown_cell(folded.format("Hint", "Twice.") + "\n\n" + folded.format("Solution", "2 * x")),
        new_markdown_cell("## Check yourself\n\n" + folded.format("Is it so?", "No, because.")),
    ]
    found = slides(exercise)
    assert [(slide.title, slide.kind) for slide in found] == [("Exercise: double", "task"), ("Check yourself", "question")]
    assert "No, because." in found[1].notes
    assert not any(secret in slide.body for slide in found for secret in ("2 * x", "Twice", "No, because"))


@pytest.mark.parametrize(("height", "pieces"), [(4.0, 1), (6.0, 2)])
def test_a_slider_whose_letters_would_be_small_is_cut_between_its_panels(height: float, pieces: int) -> None:
    figure = Picture(figsize=(4.8, height), layout="constrained")
    for axis in figure.subplots(2, 1):
        axis.set(title="above", xlabel="below")
    found = panels(f'<img alt="two" src="{data_uri(figure)}">')
    drawn = [base64.b64decode(each.partition("base64,")[2].partition('"')[0]).decode() for each in found]
    boxes = [re.search(r'viewBox="0 ([\d.]+) 345.6 ([\d.]+)"', each) for each in drawn]
    tops, heights = zip(*[(float(box[1]), float(box[2])) for box in boxes if box], strict=True)
    assert len(tops) == pieces
    assert sum(heights) == pytest.approx(72 * height, abs=0.02)
    assert all(each <= 0.97 * 345.6 for each in heights)
    assert [*tops, 72 * height][1] == pytest.approx(heights[0], abs=0.02)


def test_figures_are_inside_the_page_and_have_words() -> None:
    image = new_output("display_data", {"image/png": DOT})
    cell = new_code_cell("draw()", outputs=[image], metadata={"mystnb": {"image": {"alt": "A single dot & nothing else"}}})
    (slide,) = slides([new_markdown_cell("## A dot"), cell])
    assert slide.title == "A dot"
    assert 'alt="A single dot &amp; nothing else" src="data:image/png;base64,iVBOR' in slide.body


def test_formulas_become_mathml_and_titles_are_no_lists() -> None:
    found = slides([new_markdown_cell("## 1. First\n\nIt is $\\ln 2$:\n\n$$H(p) = -\\sum_c p_c$$")])
    assert "<h2>1. First</h2>" in deck("t", found)
    assert found[0].body.count("<math") == 2
    assert 'display="block"' in found[0].body


def test_every_lesson_has_a_deck_that_needs_nothing_from_outside(tmp_path: Path) -> None:
    names = {path.stem for path in ROOT.glob("notebooks/*.ipynb")} | {"day"}
    assert set(decks(ROOT)) == names
    for path in write(ROOT, tmp_path):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'(?:src|href)="(?!data:)', text), path.name
        assert text.count("<section") >= 8, path.name
        assert text.count('class="notes"') >= 5, path.name
        assert path.stat().st_size < 2_500_000, path.name
        assert not re.findall(r"<m[io]>\\", text), "a formula that the converter does not know"


@pytest.mark.deep
def test_every_deck_is_readable_on_a_laptop_and_a_phone_and_prints_a_slide_a_page(tmp_path: Path) -> None:
    chromium = find_browser()
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    pages = write(ROOT, tmp_path)
    with browser(chromium) as tab:
        assert [line for page in pages for line in findings(tab, page)] == []
        page = next(page for page in pages if page.stem == "workshop")
        pdf = print_pdf(tab, page).read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == page.read_text(encoding="utf-8").count("<section")


def test_the_check_sees_small_text_and_what_runs_over(tmp_path: Path) -> None:
    chromium = find_browser()
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    page = tmp_path / "bad.html"
    long = new_markdown_cell("## Long\n\n" + "\n".join("> line" + " word" * 12 + "\n>" for _ in range(30)))
    text = deck("bad", slides([long])).replace("<h2>Long</h2>", '<h2>Long <span style="font-size: 12px">tiny</span></h2>')
    page.write_text(text, encoding="utf-8")
    with browser(chromium) as tab:
        lines = findings(tab, page)
    assert any("12 px: tiny" in line for line in lines)
    assert any("on 1280 x 720" in line for line in lines)
