"""Figures of the quickstart: methods under attack, phantoms, and targeted images."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from tsynd.data import Dataset
from tsynd.runs.report.figures import order_of_gain
from tsynd.targeting import Synthesis
from tsynd.teaching.figures.data import contact_sheet
from tsynd.teaching.figures.robustness import fall
from tsynd.teaching.figures.targeting import sheet

__all__ = ["contact_sheet", "targeted", "under_attack"]


def under_attack(accuracy: Mapping[str, Sequence[float]], levels: Sequence[float]) -> Figure:
    """Draw the accuracy of each method against the size of the attack in grey levels."""
    return fall(accuracy, [level / 255 for level in levels])


def targeted(found: Synthesis, data: Dataset, count: int = 4) -> Figure:
    """Draw sources, reconstructions, targeted images and the change, those with the largest rise of mutual information first."""
    chosen = order_of_gain(found, count)
    reconstructions, images = found.reconstructions[chosen], found.images[chosen]
    rows = {"source": data.train.images[found.sources[chosen]].float() / 255, "recon-\nstruction": reconstructions}
    rows |= {"targeted": images, "change": images - reconstructions}
    pairs = zip(found.mutual_information_before[chosen], found.mutual_information_after[chosen], strict=True)
    heads = [data.classes[label] for label in found.labels[chosen]]
    return sheet(rows, heads, {"change": [f"{before:.2f} → {after:.2f}" for before, after in pairs]})
