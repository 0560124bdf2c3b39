"""Several finished runs in one report, from their files alone: each headline number, and paired differences to the first run."""

import csv
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tsynd.errors import TsyndError
from tsynd.runs import run as run_folder
from tsynd.runs.report import figures
from tsynd.runs.report.html import document, figure_tag, table, verdict_list
from tsynd.runs.report.page import headline
from tsynd.runs.verdicts import measured, resamples, with_interval
from tsynd.utils.safe_parsing import read_json

PAIRED = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}


def render_comparison(folders: list[Path]) -> tuple[str, list[str]]:
    """The report as HTML, and its differences as lines of text; the first folder is the baseline.

    Differences are paired: both runs are asked about the same resamples of the same images, of whole groups where there are any.
    TsyndError for fewer than two, a folder without a finished run, or runs that were not evaluated on the same images.
    """
    if len(folders) < 2:
        raise TsyndError(f"a comparison needs at least two runs, got {len(folders)}")
    found = {_name(path, folders): read_json(path / run_folder.METRICS) for path in folders}
    answers = {name: _answers(path / run_folder.PREDICTIONS) for name, path in zip(found, folders, strict=True)}
    (first, base), *others = answers.items()
    for name, other in others:
        if other["images"] != base["images"] or not torch.equal(other["labels"], base["labels"]):
            raise TsyndError(f"{name} was not evaluated on the images of {first}: compare runs with the same data and --evaluate")
    rows = {
        words: [with_interval(headline(each)[words][1], each.get("intervals", {}).get(key)) for each in found.values()]
        for words, (key, _) in headline(next(iter(found.values()))).items()
    }
    weights_RN = resamples(base["labels"], base["groups"], seed=0)
    differences: dict[str, list[str]] = {}
    lines = []
    for name, other in others:
        cells = []
        for key, words in PAIRED.items():
            value = float((measured(key, other) - measured(key, base))[0])
            drawn_R = measured(key, other, weights_RN) - measured(key, base, weights_RN)
            low, high = np.nanpercentile(drawn_R, [2.5, 97.5])
            cells.append(with_interval(value, [float(low), float(high)]).replace("-", "−"))
            verdict = "higher" if low > 0 else "lower" if high < 0 else "not told apart"
            lines.append(f"{name} minus {first}: {words} {cells[-1]}, {verdict}")
        differences[name] = cells
    warnings = "".join(
        f"<h3>{escape(name)}</h3>{verdict_list(each['verdicts'])}" for name, each in found.items() if each.get("verdicts")
    )
    unit = f"{len(base['groups'].unique())} groups" if base["groups"] is not None else f"{len(base['labels'])} images"
    alt = "Balanced accuracy clean and shifted, and accuracy under attack, of each run"
    body = f"""<p class="quiet">The baseline is {escape(first)}. All runs were evaluated on the same {len(base["labels"])} images.
One run of each says nothing about other seeds: for a claim about a method repeat it with several (tsynd study).
For research and teaching, not for clinical use.</p>
<h2>The numbers of each run</h2>
{table("95 % interval in parentheses", list(found), rows)}
<h2>Differences to {escape(first)}</h2>
<p>Paired over {unit}. Where the interval contains 0, these images cannot tell the two runs apart.</p>
{table("run", list(PAIRED.values()), differences)}
{figure_tag(figures.comparison(found), alt, "Points of one condition are set side by side.")}
{f"<h2>Warnings</h2>{warnings}" if warnings else ""}"""
    return document(f"{len(found)} runs compared", body), lines


def _name(path: Path, folders: list[Path]) -> str:
    """The name of a run's folder, or its whole path where two folders have one name."""
    name = path.resolve().name
    return name if sum(other.resolve().name == name for other in folders) == 1 else str(path)


def _answers(path: Path) -> dict[str, Any]:
    """What `predictions.csv` says: images, labels, probs and groups."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        chances = [name for name in rows[0] if name.startswith("probability_")]
        probs = torch.tensor([[float(row[name]) for name in chances] for row in rows], dtype=torch.float64)
        several = any(not row["label"].isdigit() for row in rows)
        labels = torch.tensor([[str(each) in row["label"].split() for each in range(len(chances))] for row in rows]).long()
        labels = labels if several else labels.argmax(1)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise TsyndError(f"{path} cannot be read: is {path.parent} the folder of a finished run? ({error})") from error
    names = [row["group"] or f"image {row['image']}" for row in rows]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = torch.tensor([numbers[name] for name in names]) if any(row["group"] for row in rows) else None
    return {"images": [row["image"] for row in rows], "labels": labels, "probs": probs, "groups": groups}
