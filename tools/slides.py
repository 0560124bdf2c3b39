"""Make the slides of every lesson from the notebooks: a page for a browser, offline, and a PDF where there is a Chromium.

    python tools/slides.py [--out _build/html/slides] [--only workshop] [--no-pdf | --check]

A deck holds everything: text, figures, formulas as MathML, style and script. `--check` opens each in Chromium, at the size of a
laptop and of a phone, and prints a line for each text below 18 pt, each slide whose text runs over, and each error.
"""

import argparse
import base64
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import nbformat
from browser import Tab, browser, find_browser
from lesson_paths import Lesson, lessons
from nbformat import NotebookNode
from slide_cells import Slide, inline, render, slides

from tsynd.utils.atomic_files import atomic_write, write_text

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
OUT = Path("_build") / "html" / "slides"
LAPTOP, PHONE = (1280, 720), (390, 844)
SMALLEST = 24  # CSS pixels on a slide of 1280: 18 pt
FOUND = """(() => {
  const small = new Set(), over = [], shown = document.querySelectorAll('section');
  for (const page of shown) {
    page.classList.add('now');
    const slide = page.querySelector('.slide'), box = slide.getBoundingClientRect();
    const walk = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    for (let text = walk.nextNode(); text; text = walk.nextNode()) {
      if (!text.data.trim() || text.parentElement.closest('annotation')) continue;
      const size = parseFloat(getComputedStyle(text.parentElement).fontSize);
      if (size < LEAST - 0.01) small.add(`${page.id}: ${size} px: ${text.data.trim().slice(0, 30)}`);
    }
    if (slide.scrollHeight > slide.clientHeight + 1 || slide.scrollWidth > slide.clientWidth + 1)
      over.push(`${page.id}: ${slide.scrollWidth} x ${slide.scrollHeight} px on ${slide.clientWidth} x ${slide.clientHeight}`);
    if (LAPTOP) page.classList.remove('now');
  }
  const page = document.documentElement.scrollWidth, wide = page > innerWidth + 1 ? [`the page is ${page} px wide`] : [];
  return [...small, ...over, ...wide];
})()"""


def decks(root: Path) -> dict[str, tuple[str, list[NotebookNode]]]:
    """The decks by name: title and cells. One for each notebook, and one for each lesson that is cut from several."""
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in sorted(root.glob("notebooks/*.ipynb"))}
    found = {name: (str(each.metadata["tsynd"]["title"]), list(each.cells)) for name, each in notebooks.items()}
    for lesson in lessons(root).values():
        parts = lesson.notebooks()
        if any(len(cells) < len(notebooks[name].cells) - 2 for name, cells in parts.items()):
            found[lesson.name] = (lesson.title, list(_cells(lesson, notebooks)))
    return found


def _cells(lesson: Lesson, notebooks: dict[str, NotebookNode]) -> Iterator[NotebookNode]:
    """The cells that a lesson shows, each step under its title; those that are only needed are left out by what they show."""
    for step in lesson.steps:
        minutes = f"*{step.day}, {step.minutes} minutes*"
        yield nbformat.v4.new_markdown_cell(f"# {step.what}\n\n{minutes}")
        yield from (notebooks[step.chapter].cells[at] for at in step.cells if step.chapter)


def deck(title: str, pages: list[Slide]) -> str:
    """The page of a deck."""
    sections = []
    for number, slide in enumerate(pages, 1):
        where = f"{number} / {len(pages)}"
        notes = f'<aside class="notes" aria-label="Speaker notes">{render(slide.notes)}</aside>' if slide.notes else ""
        sections.append(
            f'<section id="slide-{number}"><div class="slide {slide.kind}"><h2>{inline(slide.title)}</h2>{slide.body}'
            f"<footer>{where}</footer></div>{notes}</section>"
        )
    style, script = ((HERE / f"slides.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{style}</style></head>\n<body>\n" + "\n".join(sections) + f"\n<script>\n{script}</script>\n</body></html>\n"
    )


def write(root: Path, out: Path, only: str | None = None) -> list[Path]:
    """Write the decks; return their paths."""
    found = []
    for name, (title, cells) in decks(root).items():
        if only in (None, name):
            path = out / f"{name}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, deck(title, slides(cells)))
            found.append(path)
    return found


def print_pdf(tab: Tab, page: Path) -> Path:
    """Print a deck, a slide a page."""
    tab.resize(*LAPTOP)
    tab.open(page)
    printed = tab.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
    with atomic_write(page.with_suffix(".pdf")) as part:
        part.write_bytes(base64.b64decode(printed))
    return page.with_suffix(".pdf")


def findings(tab: Tab, page: Path) -> list[str]:
    """What is wrong with a deck in a browser, a line each."""
    lines = []
    for name, (width, height) in {"laptop": LAPTOP, "phone": PHONE}.items():
        tab.resize(width, height)
        tab.open(page)
        script = FOUND.replace("LEAST", str(SMALLEST)).replace("LAPTOP", str(name == "laptop").lower())
        lines += [f"{page.name} on a {name}: {line}" for line in tab.run(script)]
        lines += [f"{page.name} on a {name}: console: {error}" for error in tab.errors]
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Write the decks, and print or check them; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / OUT)
    parser.add_argument("--only", help="one deck, such as workshop")
    parser.add_argument("--no-pdf", action="store_true", help="pages for a browser only")
    parser.add_argument("--check", action="store_true", help="look at each deck in Chromium, and print what is wrong")
    options = parser.parse_args(arguments)
    pages = write(ROOT, options.out, options.only)
    if not pages:
        print(f"error: no deck {options.only!r} (there: {', '.join(decks(ROOT))})", file=sys.stderr)
        return 2
    chromium = find_browser()
    lines: list[str] = []
    if chromium and (options.check or not options.no_pdf):
        with browser(chromium) as tab:
            for page in pages:
                if options.check:
                    lines += findings(tab, page)
                else:
                    print_pdf(tab, page)
    elif not options.no_pdf:
        print("skipped: there is no Chromium on this machine, so no PDF and no check", file=sys.stderr)
    print("\n".join(lines) or f"{len(pages)} decks in {options.out}: open {pages[0].name} in a browser")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
