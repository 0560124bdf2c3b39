"""The parts of a report about what is wrong: warnings, errors by class, and what an expert rejected."""

from html import escape
from typing import Any

from tsynd.runs.report import figures
from tsynd.runs.report.html import figure_tag, number, table
from tsynd.runs.run import Run


def verdict_list(found: list[dict[str, str]]) -> str:
    """Warnings, each with what to do."""
    items = "".join(f"<li><strong>{escape(one['text'])}</strong> What to do: {escape(one['advice'])}.</li>" for one in found)
    return f'<div class="verdicts" role="note" aria-label="warnings"><ul>{items}</ul></div>' if items else ""


def review_section(made: dict[str, Any] | None) -> str:
    """What an expert decided about the synthetic images that were given."""
    if not made:
        return ""
    text = (
        f"An expert accepted {made['accept']} of the synthetic images, rejected {made['reject']} and relabelled "
        f"{made['relabel']}; {made['unreviewed']} were not reviewed. Only accepted and relabelled images were trained on."
    )
    if blind := made.get("blind"):
        told = [
            f"of {found['images']} {kind} images the label was confirmed in {found['label_confirmed']}, and "
            f"{found['rejected']} were rejected"
            for kind, found in blind.items()
        ]
        text += f" The review was blind, with real images mixed in: {'; '.join(told)}."
    return f"<h2>What the expert said</h2><p>{escape(text)}</p>"


def by_class_section(run: Run) -> str:
    """Which class is mistaken for which, and how often."""
    found = run.metrics.get("by_class")
    if not found:
        return ""
    rows = {
        row["name"]: [str(row["images"]), *(_with_ends(row[name]) for name in ("sensitivity", "specificity"))]
        for row in found["classes"]
    }
    matrix = {name: [str(count) for count in counts] for name, counts in zip(rows, found["confusion"] or [], strict=False)}
    drawn = ""
    if run.answers is not None:
        alt = f"ROC curves; the area is {number(run.metrics['clean']['auroc'])}"
        drawn = figure_tag(
            figures.roc(run.answers["labels"], run.answers["probs"], run.data.classes), alt, "One class against the rest."
        )
    ends = run.metrics["intervals"]
    note = f"Intervals are of 95 %, over {ends['units']} {ends['unit']}s; those of the table are Wilson's."
    return f"""<h2>Which class is mistaken for which?</h2>
<div class="tables">
{table("class", ["images", "sensitivity", "specificity"], rows)}
{table("true class, in rows; predicted, in columns", list(rows), matrix) if matrix else ""}
</div>
{drawn}
<p class="quiet">{note}</p>"""


def _with_ends(found: list[float] | None) -> str:
    return "–" if found is None else f"{found[0]:.2f}<br><small>{found[1]:.2f}, {found[2]:.2f}</small>"
