"""The parts that pages about runs are made of: frame, figures, tables and numbers; warnings, errors by class, and reviews."""

from html import escape
from importlib import resources
from typing import Any

from matplotlib.figure import Figure

from tsynd.runs.report import figures
from tsynd.runs.run import Run
from tsynd.utils.plotting import data_uri


def document(title: str, body: str) -> str:
    """A whole page, without any other file."""
    folder = resources.files("tsynd.runs.report")
    style, frame = ((folder / name).read_text(encoding="utf-8") for name in ("report.css", "frame.html"))
    return frame.replace("{{title}}", escape(title)).replace("{{style}}", style).replace("{{body}}", body)


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


def verdict_list(found: list[dict[str, str]]) -> str:
    """Warnings, each with what to do."""
    items = "".join(f"<li><strong>{escape(one['text'])}</strong> What to do: {escape(one['advice'])}.</li>" for one in found)
    return f'<div class="verdicts" role="note" aria-label="warnings"><ul>{items}</ul></div>' if items else ""


def review_section(made: dict[str, Any] | None) -> str:
    """What an expert decided about the synthetic images that were given."""
    if not made:
        return ""
    said = "of {images} {kind} images the label was confirmed in {label_confirmed}, and {rejected} were rejected"
    told = "; ".join(said.format(kind=kind, **found) for kind, found in (made.get("blind") or {}).items())
    text = (
        "An expert accepted {accept} of the synthetic images, rejected {reject} and relabelled {relabel}; {unreviewed} were not"
    )
    return f"""<h2>What the expert said</h2>
<p>{text.format(**made)} reviewed. Only accepted and relabelled images were trained on.
{f"The review was blind, with real images mixed in: {told}." if told else ""}</p>"""


def by_class_section(run: Run) -> str:
    """Which class is mistaken for which, and how often."""
    found = run.metrics.get("by_class")
    if not found:
        return ""

    def share(values: list[float] | None) -> str:
        return "–" if values is None else f"{values[0]:.2f}<br><small>{values[1]:.2f}, {values[2]:.2f}</small>"

    rows = {row["name"]: [str(row["images"]), share(row["sensitivity"]), share(row["specificity"])] for row in found["classes"]}
    matrix = {name: [str(count) for count in counts] for name, counts in zip(rows, found["confusion"] or [], strict=False)}
    drawn, ends = "", run.metrics["intervals"]
    if run.answers is not None:
        curves = figures.roc(run.answers["labels"], run.answers["probs"], run.data.classes)
        alt = f"ROC curves; the area is {number(run.metrics['clean']['auroc'])}"
        drawn = figure_tag(curves, alt, "One class against the rest.")
    return f"""<h2>Which class is mistaken for which?</h2>
<div class="tables">
{table("class", ["images", "sensitivity", "specificity"], rows)}
{table("true class, in rows; predicted, in columns", list(rows), matrix) if matrix else ""}
</div>
{drawn}
<p class="quiet">Intervals are of 95 %, over {ends["units"]} {ends["unit"]}s; those of the table are Wilson's.</p>"""
