"""Numbers in prose that nothing measured: each decimal and percentage must stand, at its printed rounding, where it comes from.

In a notebook that is a code cell above, its source or its output; on any page a table in a folder of `results/` that the page
names. Other folders do not count: a number without its source helps no reader. Nor do the raw rows: among ten thousand
numbers every one of two decimals stands somewhere. What only a summary holds is named in the page's allow-list,
`numbers: {".192": "results/NAME/summary.json"}`, and looked for there.
"""

import csv
import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode

NUMBER = r"(?:\d+\.\d+|\.\d+|\d+)"
# What is asked about: 0.83, .25, 12.5 %, 40 %. Not 1.2.3, not the 5 in x5, not whole numbers without a percent sign.
ASKED = re.compile(rf"(?<![\w.,/]){NUMBER}(?: ?%)?(?![\w%])(?!\.\d)")
ANY = re.compile(rf"(?<![\w.]){NUMBER}(?:[eE][-+]?\d+)?(?!\w|\.\d)")
# A fenced block; one of a directive has its name.
BLOCK = re.compile(r"^(`{3,})(\{[\w:-]+\})?[^\n]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
# Where a number is no measurement: code, equations, addresses, HTML tags, roles with their keys, options of a directive.
NO_PROSE = re.compile(
    r"``.*?``|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)|https?://\S+|<[^>]*>|\n:[\w-]+:[^\n]*",
    re.DOTALL,
)
# Names of versions, licences and papers, sizes of files and images, and the levels of intervals.
NO_MEASUREMENT = re.compile(
    r"(?:Python|torch|CC BY|CC BY-NC|arXiv|[Vv]ersion|METHOD_VERSION|tsynd|Fig\.|Figure"
    r"|[Ss]ection|[Cc]hapter|DOI|doi:?)\s*:?\s*\[?\d[\w./]*"
    r"|\b10\.\d{4,}(?:/\S*)?"  # a DOI
    rf"|{NUMBER}\s?(?:MB|GB|KB|px|pixels)\b|(?:95|100|50|0) ?%|\b0\.0\b",
)
TABLES = "**/*.md"
EPSILON = 1e-9


def in_notebook(notebook: NotebookNode, results: Path, generated: set[str]) -> Iterator[tuple[int, str]]:
    """The cell and the text of each number in a notebook's prose that has no source; its allow-list is in its metadata."""
    allowed = notebook.metadata.get("tsynd", {}).get("numbers", {})
    known = named(results, "\n".join(cell.source for cell in notebook.cells))
    for position, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            known = sorted([*known, *numbers(cell.source), *(value for text in _outputs(cell) for value in numbers(text))])
        elif not generated & set(cell.metadata.get("tags", [])):
            yield from ((position, text) for text in unsourced(cell.source, known, allowed, results))


def in_page(text: str, results: Path, linked: str = "") -> Iterator[str]:
    """Each number in the prose of a page of the book without a source: folders of `results/` that it, or a page it links, names.

    Its allow-list stands in its own front matter, `tsynd: {numbers: ...}`.
    """
    front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    allowed = yaml.safe_load(front[1]).get("tsynd", {}).get("numbers", {}) if front else {}
    prose = text[front.end() :] if front else text
    yield from unsourced(prose, named(results, prose + linked), allowed, results)


def unsourced(text: str, known: list[float], allowed: dict[str, str], results: Path) -> Iterator[str]:
    """The numbers in prose that are neither known nor allowed.

    A reason in the allow-list that is a file of `results/` must hold the number.
    """
    for number in dict.fromkeys(asked(text)):
        reason = allowed.get(number)
        path = results.parent / str(reason)
        if reason and reason.startswith("results/"):
            if not path.is_file() or not stands(number, sorted(_file(path))):
                yield number
        elif not reason and not stands(number, known):
            yield number


def asked(text: str) -> list[str]:
    r"""The decimals and percentages in prose, as printed.

    >>> asked("It rose by 0.12 (5 %) with `lr=0.3` of torch 2.13, 3 times, at 28 px, $\\alpha = 0.5$, .25 and 95 %.")
    ['0.12', '5 %', '.25']
    """
    open_text = BLOCK.sub(lambda block: f"\n{block[3]}" if block[2] else " ", text)
    prose = NO_MEASUREMENT.sub(" ", NO_PROSE.sub(" ", open_text))
    return [found for found in ASKED.findall(prose) if "." in found or "%" in found]


def stands(text: str, known: list[float]) -> bool:
    """Is one of the known numbers (in order) this one at its printed rounding, a percentage also as a share of one?

    >>> [stands(text, [0.1234, 0.25]) for text in ("0.12", "12.3 %", "12 %", ".2", "0.13", "25 %")]
    [True, True, True, True, False, True]
    """
    digits = text.rstrip(" %")
    value, half = float(digits), 0.5 * 10.0 ** -len(digits.partition(".")[2]) + EPSILON
    scales = (1, 0.01) if "%" in text else (1,)
    return any(_between((value - half) * scale, (value + half) * scale, known) for scale in scales)


def _between(low: float, high: float, known: list[float]) -> bool:
    index = bisect_left(known, low)
    return index < len(known) and known[index] <= high


def numbers(text: str) -> list[float]:
    """Every number in a text, without its sign."""
    return [float(found) for found in ANY.findall(text)]


def named(results: Path, text: str) -> list[float]:
    """The numbers in the tables of those folders of `results/` that a text names, in order."""
    folders = {match[1] for match in re.finditer(r"results/([\w-]+)", text)}
    files = [path for name in sorted(folders) for path in sorted((results / name).glob(TABLES))]
    return sorted(value for path in files for value in _file(path))


def _file(path: Path) -> Iterator[float]:
    """The numbers in one file of results."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        yield from _leaves(json.loads(text))
    elif path.suffix == ".csv":
        for row in csv.reader(text.splitlines()):
            yield from (value for each in row for value in numbers(each))
    else:
        yield from numbers(text)


def _leaves(value: Any) -> Iterator[float]:
    """The numbers in a value of JSON, its keys included (`"0.25": ...` is a radius)."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from numbers(key)
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield from numbers(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield abs(float(value))


def _outputs(cell: NotebookNode) -> Iterator[str]:
    """What a cell printed or showed as text."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield str(output.get("data", {}).get("text/plain", ""))
