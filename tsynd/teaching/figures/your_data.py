"""Figures of the chapter on your own data: its images, and the result on the test set."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from tsynd.teaching.figures import column, taught
from tsynd.teaching.figures.data import contact_sheet
from tsynd.teaching.figures.targeting import sheet
from tsynd.utils.plotting import COLOURS, MARKERS

__all__ = ["contact_sheet", "final_report", "sheet"]


@taught
def final_report(metrics: Mapping[str, Any]) -> Figure:
    """Draw the balanced accuracy of each kind of condition of a run's metrics, with intervals over images where there are any."""
    rows = {"clean": [row for row in metrics["conditions"] if row["section"] == "clean"]}
    for row in metrics["conditions"]:
        if row["section"] != "clean" and row["level"]:
            name = f"attack, {255 * row['level']:.0f}/255" if row["section"] == "attacks" else str(row["name"]).replace("_", " ")
            rows.setdefault(name, []).append(row)
    figure, (axis,) = column(0.26 * len(rows) + 1.0)
    for place, found in enumerate(rows.values()):
        keys = ("balanced_accuracy", "low", "high")
        mean, low, high = (sum(float(row[key] or 0) for row in found) / len(found) for key in keys)
        kind = int(found[0]["section"] == "attacks")
        style: Any = {"color": COLOURS[kind], "marker": MARKERS[kind], "capsize": 3}
        axis.errorbar(mean, place, xerr=[[max(mean - low, 0)], [max(high - mean, 0)]], **style)
    axis.axvline(0.5, color="0.4", linestyle=":", linewidth=1)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    axis.set(xlabel="balanced accuracy", xlim=(0, 1))
    return figure
