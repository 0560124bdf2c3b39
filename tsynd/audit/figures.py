"""An audit to look at: typical and worst images with what the judge says of them, the table of all measures, and its words."""

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tsynd.audit import Audit
from tsynd.audit.auditing import GROUPS, MEASURES
from tsynd.audit.evaluator import Group
from tsynd.data import Dataset
from tsynd.data.labels import names_of
from tsynd.utils.plotting import Picture, bare, short, styled

ROWS = ("recon-\nstruction", "targeted", "change", "nearest real")
HEADINGS = {name: name for name in GROUPS} | {"unseen": "unseen real"}
UNINFORMED_CONTROLS = {"random": "random displacement", "sham": "a sham search"}  # controls in words
LIMIT = 0.25  # of the difference map, the same in every figure, so that figures can be compared


def cases(audit: Audit, count: int = 4) -> tuple[Tensor, Tensor]:
    """Rows of the targeted images to show, by the fall of the judge's log p(label): the typical ones, then the worst.

    Typical: nearest to the median fall. Worst: the largest fall. One image of each source, none twice.
    """
    group = audit.groups["targeted"]
    fall_B = group.columns["judge_log_prob_fall"]
    seen: set[int] = set()
    picked = []
    for distance_B in (-fall_B, (fall_B - fall_B.median()).abs()):
        rows: list[int] = []
        for row in distance_B.argsort(stable=True).tolist():
            if len(rows) < count and int(group.sources[row]) not in seen:
                seen.add(int(group.sources[row]))
                rows.append(row)
        picked.append(torch.tensor(rows, dtype=torch.int64))
    return picked[1], picked[0]


@styled
def faces(audit: Audit, data: Dataset, count: int = 4) -> Figure:
    """Typical and worst images: start, targeted, what the search changed, and the nearest image that was trained on.

    Above the first two stands what the judge sees and how sure it is, with ≠ where that is not the copied label; above
    the last its label and how far it is, relative to the typical distance between two real images.
    """
    typical, worst = cases(audit, count)
    start, targeted = audit.groups["reconstruction"], audit.groups["targeted"]
    rows = torch.cat([typical, worst]).tolist()
    figure = Picture(figsize=(1.45 * len(rows) + 1.2, 7.4))
    gap = [0.12] if len(worst) else []
    axes = figure.subplots(4, len(rows) + len(gap), squeeze=False, width_ratios=[1] * len(typical) + gap + [1] * len(worst))
    bare(axes)
    for blank in axes[:, len(typical)] if gap else ():
        blank.set_visible(False)
    shown = None
    for place, row in enumerate(rows):
        column = axes[:, place + (place >= len(typical))]
        nearest, distance = int(targeted.nearest[row]), float(targeted.columns["nearest_distance"][row])
        change_CHW = targeted.images[row] - start.images[row]
        real_CHW = data.train.images[nearest].float() / 255
        for axis, image_CHW in zip(column[[0, 1, 3]], (start.images[row], targeted.images[row], real_CHW), strict=True):
            axis.imshow(image_CHW.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
        shown = column[2].imshow(change_CHW.mean(dim=0).numpy(), cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT)
        label = short(names_of(targeted.labels[row], data.classes), 14)
        column[0].set_title(f"label: {label}\n{_verdict(start, row, data)}", fontsize=10)
        column[1].set_title(_verdict(targeted, row, data), fontsize=10)
        own = "source" if nearest == int(targeted.sources[row]) else short(names_of(data.train.labels[nearest], data.classes), 14)
        column[3].set_title(f"{own}\nat {distance:.2f}", fontsize=10)
    for line, name in enumerate(ROWS):
        axes[line, 0].set_ylabel(name)
    assert shown is not None
    figure.colorbar(shown, ax=axes[2, :].tolist(), label="intensity", shrink=0.9, aspect=12, extend="both")
    parts = f"left: {len(typical)} typical" + (f", right: the {len(worst)} worst" if len(worst) else "")
    figure.suptitle(f"{parts}, by how much less the judge believes the label", fontsize=10)
    return figure


def table(found: dict[str, Any]) -> tuple[list[str], dict[str, list[str]]]:
    """Headings, and rows of HTML cells by measure: mean and, below, its 95 % interval, for each group and the difference.

    `found` is `Audit.to_json()`, the section `audit` of `metrics.json`.
    """
    names = [name for name in GROUPS if name in found["groups"]]
    groups, change = [found["groups"][name] for name in names], found["differences"]["reconstruction"]
    rows = {"images (sources)": [f"{group['n']}<br><small>({group['sources']})</small>" for group in groups] + [""]}
    for measure, name in MEASURES.items():
        if any(measure in group for group in groups):
            rows[name] = [_cell(group.get(measure), measure) for group in [*groups, change]]
    return [*(HEADINGS[name] for name in names), "targeted − reconstruction"], rows


def words(found: dict[str, Any]) -> dict[str, str]:
    """What an audit says: short answers in plain text, by the question; `found` as for `table`."""
    groups, settings, differences = found["groups"], found["settings"], found["differences"]

    def mean(measure: str, name: str = "targeted") -> str:
        return _digits(groups[name][measure]["mean"], measure)

    def share(measure: str, name: str = "targeted") -> str:
        return f"{groups[name][measure]['mean']:.0%}"

    def minus(name: str, measure: str) -> str:
        low, high = (_digits(differences[name][measure][end], measure) for end in ("low", "high"))
        return f"{_digits(differences[name][measure]['mean'], measure)} ({low} to {high})"

    unknowing = {name: phrase for name, phrase in UNINFORMED_CONTROLS.items() if name in groups}
    minus_unknowing = "".join(f"; minus {phrase}: {minus(name, 'judge_agrees')}" for name, phrase in unknowing.items())
    answers = {
        "Still of its class?": f"The judge, another classifier, was trained on all {found['judge']['trained_on']} training "
        f"images. It sees the label in {share('judge_agrees')} of the targeted images, and in "
        f"{share('judge_agrees', 'reconstruction')} of what they started from. Targeted minus reconstruction: "
        f"{minus('reconstruction', 'judge_agrees')}{minus_unknowing}. Its balanced accuracy on unseen real images is "
        f"{found['judge']['balanced_accuracy']:.2f}."
    }
    known = (
        f"For the finished classifier mutual information is {mean('information', 'reconstruction')} nats at the start and "
        f"{mean('information')} on targeted images."
    )
    if "minimised" in groups:
        answers["Something that the controls do not find?"] = (
            f"{known} Random displacement ends at {mean('information', 'random')}, a sham search at "
            f"{mean('information', 'sham')}, a search downwards at {mean('information', 'minimised')}."
        )
    else:
        answers["Something that the classifier does not know?"] = known
    if "oracle_flipped" in groups["targeted"]:
        afterwards = "".join(f", after {phrase} in {share('oracle_flipped', name)}" for name, phrase in unknowing.items())
        answers["Still of its true class?"] = (
            "The oracle recovers the factors of a phantom from its image, and so its class. It sees another class than at the "
            f"start in {share('oracle_flipped')} of the targeted images{afterwards.replace(',', ';', 1)}."
        )
    if scale := found["subgroup"]:
        distance = "subgroup_distance"
        sham = f"; minus a sham search: {minus('sham', distance)}" if "sham" in groups else ""
        copies = f", and of their reconstructions {scale['reconstructed_inside']:.0%}" if "reconstructed_inside" in scale else ""
        answers[f"Nearer to the withheld {scale['name']}?"] = (
            "Distance in standard deviations of the factors that define the subgroup, as the oracle sees them: "
            f"{mean(distance, 'reconstruction')} at the start, {mean(distance)} after it. Targeted minus reconstruction: "
            f"{minus('reconstruction', distance)}{sham}. For scale: of the subgroup's {scale['test_images']} test images the "
            f"oracle places {scale['real_inside']:.0%} inside{copies}."
        )
    answers["Anonymous?"] = (
        f"No. The nearest image that was trained on or started from is at {mean('nearest_distance')} of the typical distance "
        f"between two real images; for unseen real images it is at {mean('nearest_distance', 'unseen')}. In "
        f"{share('nearest_is_source')} it is the source itself. Search radius: {settings['radius']:g}."
    )
    return answers


def captions(found: dict[str, Any]) -> tuple[str, str]:
    """What the columns of the table are, then what its rows are and how the intervals are made."""
    same = found["judge"]["trained_on"] == found["judge"]["run_trained_on"]
    seen = (
        "The judge was trained on the same images as this run's classifier: a second opinion, no better informed."
        if same
        else "The judge has seen the sources: compare columns, and do not read its agreement on them as its accuracy."
    )
    start = "Reconstruction: the augmented source, encoded and decoded."
    if "minimised" in found["groups"]:
        columns = (
            f"{start} Random: as far as a search goes, in a random direction. Sham: a search up the mutual information of an "
            "untrained copy. Minimised: down what the search climbed, of the finished classifier. All from the same starts."
        )
        coded = (
            f" Neighbours: the {found['settings']['k']} nearest codes of training images, without the source. Code lost on a "
            "round trip: |encode(decode(z)) − z| / √D."
        )
    else:
        columns = (
            f"{start} The images were given to this run, which has no autoencoder: so there are no controls, and nothing is "
            "asked about codes. The start and the displacement are from their file."
        )
        coded = ""
    if "labels" in found["settings"]:
        seen += f" Images have {found['settings']['labels']} labels each, present or absent: shares are of all of them."
    rows = (
        f"{seen}{coded} Nearest real image: of those that were trained on or started from, by the distance in "
        "pixels; 1 is the typical distance between two of them. Below each mean its 95 % interval: for shares Wilson's, with the "
        "effective number of sources as n, (Σm)² / Σm² for sources of m images; otherwise a bootstrap of sources."
    )
    return columns, rows


def _verdict(group: Group, row: int, data: Dataset) -> str:
    """What the judge sees in an image, and how sure it is (of several labels: on average)."""
    best, seen = group.judged[row].max(-1)  # of several labels: of each
    sign = "" if torch.equal(seen, group.labels[row]) else "≠ "
    return f"{sign}{short(names_of(seen, data.classes), 14)}\n{best.exp().mean():.0%}"


def _cell(measured: dict[str, float] | None, measure: str = "") -> str:
    """A mean and, below it, its interval; a dash where there is nothing to measure.

    >>> _cell({"mean": -0.5, "low": -0.596, "high": -0.404}), _cell(None)
    ('−0.50<br><small>−0.60, −0.40</small>', '–')
    """
    if measured is None:
        return "–"
    mean, low, high = (_digits(measured[part], measure) for part in ("mean", "low", "high"))
    return f"{mean}<br><small>{low}, {high}</small>"


def _digits(value: float, measure: str) -> str:
    """Two digits, three for what is small by nature, with a true minus sign and none before a zero."""
    text = f"{value:.3f}" if measure == "information" else f"{value:.2f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")
