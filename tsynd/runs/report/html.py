"""The parts that every page about runs is made of: the frame, figures, tables and numbers."""

from html import escape
from importlib import resources

from matplotlib.figure import Figure

from tsynd.utils.plotting import data_uri

STYLE = (resources.files("tsynd.runs.report") / "report.css").read_text(encoding="utf-8")


def document(title: str, body: str) -> str:
    """A whole page, without any other file."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} – tsynd report</title>
<style>
{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def figure_tag(figure: Figure, alt: str, caption: str) -> str:
    """A figure as a picture inside the page."""
    image = wide("figure", f'<img src="{data_uri(figure)}" alt="{escape(alt)}">')
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def table(corner: str, columns: list[str], rows: dict[str, list[str]]) -> str:
    """A table; cells may hold HTML, names may not."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in [corner, *columns])
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows.items()
    )
    return wide("table", f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def wide(name: str, inside: str) -> str:
    """What may be wider than a phone: it scrolls sideways, with the keyboard as well."""
    return f'<div class="wide" role="group" aria-label="{name}" tabindex="0">{inside}</div>'


def number(value: float | list[float | None] | None) -> str:
    """Three digits; a dash for what is undefined.

    >>> number([0.25, None])
    '0.250, –'
    """
    if isinstance(value, list):
        return ", ".join(number(part) for part in value)
    return "–" if value is None else f"{value:.3f}"
