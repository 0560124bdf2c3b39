"""The table of a study: a row a run, with the columns that everything later is computed from."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

PRIMARIES = ("auroc", "augmented", "pgd_2_255")
"""The measures that decide, unless the study file says otherwise."""

MEASURES = (
    "accuracy", "balanced_accuracy", "auroc", "nll", "ece", "augmented", "corrupted", "pgd_2_255", "pgd_4_255", "subgroup",
)  # fmt: skip

COLUMNS = ("key", "status", "data", "size", "per_class", "arm", "seed", *MEASURES, "seconds")


def row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record's row of `runs.csv`; what does not apply is None, as are all measures of a run that is not done.

    `augmented` is the mean balanced accuracy under augmentation outside the training range, `corrupted` that over corruptions
    and severities; `pgd_*` are accuracies; `subgroup` is the balanced accuracy in the subgroup that was withheld; `seconds` are
    those of warm-up, targeting and training.
    """
    cells = {name: record.get(name) for name in COLUMNS}
    if record["status"] != "done":
        return cells
    metrics, hidden = record["metrics"], withheld(record["data"])
    clean, attacked = metrics["clean"], metrics["attacks"]["pgd"]
    severities = [value for of_name in metrics["corruptions"].values() for value in of_name.values()]
    found = {name: clean[name] for name in ("accuracy", "balanced_accuracy", "auroc", "nll", "ece")}
    return (
        cells
        | found
        | {
            "augmented": metrics["test_time_augmentation"]["outside"]["mean"],
            "corrupted": fmean(severities),
            "pgd_2_255": attacked["0.0078"],
            "pgd_4_255": attacked["0.0157"],
            "subgroup": metrics["subgroups"][hidden] if hidden else None,
            "seconds": sum(metrics["seconds"][stage] for stage in ("warmup", "targeting", "training")),
        }
    )


def as_csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows under these names as the text of a table; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def withheld(data: str) -> str | None:
    """The subgroup that a set of phantoms withholds from training, by the set's name.

    >>> withheld("phantom:seed=1,withheld=irregular-enhancing"), withheld("breastmnist")
    ('irregular-enhancing', None)
    """
    _, _, options = data.partition(":")
    named = dict(option.split("=", 1) for option in options.split(",") if "=" in option)
    return named.get("withheld") if data.startswith("phantom") else None
