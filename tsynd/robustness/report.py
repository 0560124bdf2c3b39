"""What `evaluate` found: the sections of `metrics.json`, as a table of all conditions, and as a figure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tsynd.errors import TsyndError

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from torch import Tensor

SECTIONS = ("clean", "test_time_augmentation", "corruptions", "attacks", "uncertainty", "conditions")


class RobustnessReport(dict[str, Any]):
    """A robustness report: the dictionary of its sections.

    `conditions` has a row for each condition: section, name and level (severity, or eps; 0 is clean), n images, and the
    measures that `tsynd.robustness.conditions.described` names. All rows are of the same images, so they may be compared one by
    one.

    Args:
        sections: those of `evaluate`, or all of a run's `metrics.json`: others are left out.
        answers: what was found image by image; None for a report that is read from a file.

    Attributes:
        answers: `labels`, `probs` (B, C) and `mutual_information` (B,) of all images; `chosen`, int64, the places of the n
            images that were augmented, corrupted and attacked; and of each of these, (n,) float, the share of its decisions that
            were right: `test_time_augmentation inside` and `outside` (mean over draws), `corruption NAME` (mean over severities),
            `pgd 0.0078` and so on: of those that are right without an attack and hold.

    Raises:
        TsyndError: when a section is missing.
    """

    def __init__(self, sections: Mapping[str, Any], answers: Mapping[str, "Tensor"] | None = None) -> None:
        missing = [name for name in SECTIONS if name not in sections]
        if missing:
            raise TsyndError(f"a robustness report has the sections {', '.join(SECTIONS)}; missing: {', '.join(missing)}")
        super().__init__({name: sections[name] for name in (*SECTIONS, "checks") if name in sections})
        self.answers = answers

    def __repr__(self) -> str:
        clean = self["clean"]["balanced_accuracy"]
        return f"RobustnessReport({len(self['conditions'])} conditions, clean balanced accuracy {clean:.3f})"

    def to_json(self) -> dict[str, Any]:
        """The sections as plain data, ready for `json.dumps`, as they stand in `metrics.json`."""
        return dict(self)

    def to_frame(self) -> "pandas.DataFrame":
        """The conditions as a pandas table, a row each; what is undefined is NaN."""
        import pandas

        return pandas.DataFrame(self["conditions"])

    def plot(self) -> "Figure":
        """Balanced accuracy with its intervals, calibration, and mutual information, by severity and by size of the attack."""
        from tsynd.robustness.figure import conditions

        return conditions(self["conditions"])
