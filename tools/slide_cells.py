"""Slides from the cells of a notebook: what a lecturer shows of them, and what she says.

A section's lists, tables, boxes, equations and questions are shown, and of plain paragraphs how they begin. The whole text
becomes the speaker's notes. Figures fill a slide. Short functions and short outputs are shown, all other code is not.
"""

import base64
import io
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from html import escape
from itertools import pairwise, zip_longest

import numpy as np
from book_exercises import OPEN, TAG, TRANSFER, is_exercise
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from PIL import Image

WORDS = 62  # as much as can be read from the last row
BEGINNING = 24  # words of a plain paragraph, to the end of the sentence
CODE_LINES, CODE_WIDTH = 15, 76
PRINTED_WIDTH = 63  # letters of a printed line at 30 px; longer ones are set at 24
HIGHEST = 0.97  # of its width is a figure whose letters of 12 pt are 18 pt on a slide
SKIPPED = {"info", "setup", "remove-cell"}
HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)
DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>\s*\n(.*?)\n\s*</details>", re.DOTALL)
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z*`$\"“])")
# A paragraph that is shown whole: a list, a table, a box, a displayed equation.
WHOLE = re.compile(r"^(?:[-*] |\d+\. |\||>|\$\$)", re.MULTILINE)
CAPTION = re.compile(r"\*(Figure \d[^*]+)\*\s*")
DRAWING = re.compile(r"data:image/svg\+xml;base64,([^\"]+)")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Slide:
    """One slide: its title, what is shown (HTML), and what is said (Markdown)."""

    title: str
    body: str
    notes: str = ""
    kind: str = "text"
    words: list[str] = field(default_factory=list)


@cache
def markdown() -> MarkdownIt:
    """Return the renderer; formulas become MathML, which a browser draws without a script."""
    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=_formula)


def _formula(text: str, options: dict[str, bool]) -> str:
    """A formula as MathML. The converter does not know the command arg."""
    known = re.sub(r"\\arg\b", r"\\operatorname{arg}", text)
    return str(convert(known, display="block" if options["display_mode"] else "inline"))


def render(text: str) -> str:
    """Return a Markdown text as HTML; links keep their words and lose their address, since a slide leads nowhere."""
    page = str(markdown().render(_unlinked(text))).strip()
    return re.sub(r'<(table|div class="math block")>', r'<\1 tabindex="0">', page)  # keys reach what scrolls on a phone


def inline(text: str) -> str:
    """Return a line of Markdown, such as a title, as HTML."""
    return str(markdown().renderInline(_unlinked(text)))


def _unlinked(text: str) -> str:
    return re.sub(r"(?<!!)\[([^\]]+)\]\([^)]+\)", r"\1", text)


def slides(cells: Iterable[NotebookNode]) -> list[Slide]:
    """Return the slides of these cells, in their order; a title without anything to show gets no slide."""
    found: list[Slide] = []
    title = ""
    for cell in cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & SKIPPED:
            continue
        if "objectives" in tags:
            found.append(Slide("What you can do afterwards", render(cell.source.partition("\n")[2]), kind="text"))
        elif cell.cell_type == "markdown":
            source = cell.source
            if found and found[-1].kind == "figure" and (caption := CAPTION.match(source)):
                found[-1].notes = caption[1]  # the point of the figure is for the lecturer to make
                source = source[caption.end() :]
            for slide in _of_text(source, title, OPEN in tags):
                title = slide.title
                found.append(slide)
        elif is_exercise(cell, TAG) or is_exercise(cell, TRANSFER):
            continue  # its text was a slide
        else:
            found.extend(_of_code(cell, title))
    return [slide for slide in found if slide.body]


def _of_text(source: str, title: str, task: bool) -> Iterator[Slide]:
    """The slides of a Markdown cell: one or more for each of its sections, and one for each folded question."""
    marks = list(HEADING.finditer(source))
    parts = [("", source[: marks[0].start()] if marks else source)]
    for mark, after in zip_longest(marks, marks[1:]):
        parts.append((mark[2], source[mark.end() : after.start() if after else len(source)]))
    for head, text in parts:
        folded = DETAILS.findall(text)
        text = DETAILS.sub("", text).strip()
        here = head or title
        whole = task or head.startswith(("Exercise:", "Task:", "Open task:"))
        if marks and head and marks[0][1] == "#" and head == marks[0][2]:
            yield Slide(here, render(text), text, "title")
            continue
        if text:
            yield from _paged(here, _shown(text, whole), text, "task" if whole else "text")
        elif head:
            yield Slide(here, "")  # the next figure stands under it
        for question, answer in folded:
            if question in ("Hint", "Solution"):
                continue
            yield Slide("Check yourself", render(f"**{question}**"), answer, "question")


def _shown(text: str, whole: bool) -> list[str]:
    """The paragraphs of a text that are shown, shortened where they are plain."""
    shown = []
    for paragraph in re.split(r"\n\s*\n", re.sub(r"(?s)```.*?```", "", text)):
        paragraph = paragraph.strip()
        if not paragraph:
            continue
        if whole or WHOLE.match(paragraph):
            shown.append(paragraph)
            continue
        sentences = SENTENCE.split(" ".join(paragraph.split()))
        words, kept = 0, []
        for sentence in sentences:
            if words < BEGINNING or "**" in sentence or sentence.rstrip("*").endswith("?"):
                kept.append(sentence)
            words += len(sentence.split())
        shown.append(" ".join(kept))
    return shown


def _paged(title: str, paragraphs: list[str], notes: str, kind: str) -> Iterator[Slide]:
    """Slides of at most so many words; a long list is cut between its items. The notes stand with the first."""
    page: list[str] = []
    count = 0
    for part in (part for paragraph in paragraphs for part in _items(paragraph)):
        words = len(re.sub(r"\$[^$]*\$|[|>*`-]", " ", part).split()) + (12 if part.startswith(("|", "$$")) else 0)
        if page and count + words > WORDS:
            yield Slide(title, render(_joined(page)), notes, kind)
            page, count, notes = [], 0, "(continued)"
        page.append(part)
        count += words
    if page:
        yield Slide(title, render(_joined(page)), notes, kind)


def _items(paragraph: str) -> list[str]:
    """The items of a list; anything else in one piece."""
    if re.match(r"[-*] |\d+\. ", paragraph):
        return re.split(r"\n(?=[-*] |\d+\. )", paragraph)
    return [paragraph]


def _joined(parts: list[str]) -> str:
    """The pieces as Markdown again: items of a list stand close, everything else apart."""
    text = ""
    for part in parts:
        listed = re.match(r"[-*] |\d+\. ", part) and re.match(r"[-*] |\d+\. ", text.rsplit("\n\n", 1)[-1])
        text += ("\n" if listed else "\n\n") + part
    return text.strip()


def _of_code(cell: NotebookNode, title: str) -> Iterator[Slide]:
    """A slide for a figure, or for a short function and what it printed."""
    images = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    frames = [re.findall(r"<img[^>]*>", str(output.get("data", {}).get("text/html", ""))) for output in cell.outputs]
    printed = ANSI.sub("", "".join(output.get("text", "") for output in cell.outputs)).strip()
    alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) or title
    for image in images:
        for number, part in enumerate(parts(image)):
            yield Slide(title, figure(part, alt), "(continued)" if number else alt, "figure")
    if any(frames):
        middle, said = (
            next(found[len(found) // 2] for found in frames if found),
            "Move the slider in the notebook; here is its middle.",
        )
        for number, piece in enumerate(panels(middle)):
            yield Slide(title, f'<div class="figure">{piece}</div>', "(continued)" if number else said, "figure")
    lines = cell.source.splitlines()
    short = len(lines) <= CODE_LINES and max(map(len, lines), default=0) <= CODE_WIDTH
    teaches = short and "def " in cell.source and "import " not in cell.source and not images and not any(frames)
    if teaches and "hide-input" not in cell.metadata.get("tags", []):
        yield Slide(title, f'<pre tabindex="0">{escape(cell.source)}</pre>', "Read it aloud, line by line.", "code")
    wide = printed.splitlines()
    if printed and not images and len(wide) <= 12 and max(map(len, wide)) <= CODE_WIDTH:
        kind = "printed" if max(map(len, wide)) <= PRINTED_WIDTH else "printed narrow"
        yield Slide(title, f'<pre class="{kind}" tabindex="0">{escape(printed)}</pre>', "This is what the cell prints.", "output")


def parts(png: str) -> list[str]:
    """Return an image in pieces that a slide can show with letters of 18 pt, cut in the widest white gap."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    highest = round(HIGHEST * image.width)
    if image.height <= highest:
        return [png]
    blank = np.asarray(image.convert("L")).min(axis=1) > 250
    run = np.zeros(image.height)  # how many white rows lie around each
    for row in range(image.height):
        run[row] = blank[row] and 1 + (run[row - 1] if row else 0)
    for row in range(image.height - 2, -1, -1):
        run[row] = run[row + 1] if blank[row] and blank[row + 1] else run[row]
    ends = [0]
    while image.height - ends[-1] > highest:
        later = [row for row in np.flatnonzero(blank) if ends[-1] + 0.25 * highest < row < image.height - 0.25 * highest]
        near = [row for row in later if row <= ends[-1] + highest] or later[:1]
        if not near:
            break
        far = [row for row in near if row > ends[-1] + 0.5 * highest] or near
        widest = [row for row in far if run[row] == max(run[far])]  # between panels, not between the lines of a legend
        ends.append(int(widest[len(widest) // 2]))
    pieces = []
    for top, bottom in pairwise([*ends, image.height]):
        made = io.BytesIO()
        image.crop((0, top, image.width, bottom)).convert("RGB").save(made, "PNG", optimize=True)  # opaque: a tenth smaller
        pieces.append(base64.b64encode(made.getvalue()).decode())
    return pieces


def panels(image: str) -> list[str]:
    """Return the `<img>` of a slider, whole or in two pieces where its letters would be too small, cut between two panels."""
    found = DRAWING.search(image)
    svg = base64.b64decode(found[1]).decode() if found else ""
    box = re.search(r'width="[^"]*" height="[^"]*" viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if not found or not box or float(box[2]) <= HIGHEST * float(box[1]):
        return [image]
    width, height, ends = float(box[1]), float(box[2]), [(0.0, 0.0)]
    for panel in re.split(r'(?=<g id="axes_)', svg)[1:]:
        letters = [float(y) for y in re.findall(r"translate\([-\d.]+ ([-\d.]+)\) scale", panel)]
        frame = re.search(r'<path d="M [-\d.]+ ([-\d.]+) L [-\d.]+ [-\d.]+ L [-\d.]+ [-\d.]+ L [-\d.]+ ([-\d.]+)', panel)
        edges = [float(y) for y in frame.groups()] if frame else []
        ends.append((min([*edges, *(y - 10 for y in letters)]), max([*edges, *(y + 4 for y in letters)])))
    cuts = [(above + below) / 2 for (_, above), (below, _) in pairwise(ends[1:]) if above < below]
    if not cuts:
        return [image]
    cut = min(cuts, key=lambda y: abs(y - height / 2))
    pieces = []
    for top, bottom in ((0.0, cut), (cut, height)):
        size = f'width="{width}pt" height="{bottom - top:.2f}pt" viewBox="0 {top:.2f} {width} {bottom - top:.2f}"'
        drawn = base64.b64encode(svg.replace(box[0], size, 1).encode()).decode()
        pieces.append(image.replace(found[1], drawn))
    return pieces


def figure(png: str, alt: str) -> str:
    """Return an image that fills the slide, inside the page itself."""
    return f'<div class="figure"><img alt="{escape(alt, quote=True)}" src="data:image/png;base64,{"".join(png.split())}"></div>'


def size_of(png: str) -> tuple[int, int]:
    """Return width and height of a PNG in base64, in pixels.

    >>> size_of("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ")
    (1, 1)
    """
    width, height = struct.unpack(">II", base64.b64decode("".join(png.split())[:32])[16:24])
    return width, height
