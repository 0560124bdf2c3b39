"""How like real breast ultrasound are phantoms? Grey levels, speckle, spectra, and a network that looks for the difference.

    python studies/phantom_likeness.py --out results/phantom-likeness

Real images are those of BreastMNIST at 28 px. As a yardstick its training split is compared with its validation and test
splits by the same numbers. `--out` gets `summary.json`, `table.md`, `likeness.svg` and the contact sheet `images.svg`.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from shared import trained
from torch import Tensor
from torch.nn import functional as F

import tsynd
from tsynd.data import Split
from tsynd.metrics.classification import error_auroc
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.plotting import COLOURS, Picture, save, styled
from tsynd.utils.rng import generator_for

SEEDS = 3
BINS = 64
MEASURES = {
    "mean": "mean grey level (0 to 1)",
    "deviation": "standard deviation of grey levels",
    "local_variation": "variation within 3 × 3 pixels (deviation / mean, median)",
    "lateral_correlation": "correlation with the neighbour to the right",
    "axial_correlation": "correlation with the neighbour below",
    "fine_power": "share of the power in the finest third of the spectrum",
}


def main() -> None:
    """Compare, draw and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    breast = tsynd.load("breastmnist")
    rest = torch.cat([breast.val.images, breast.test.images])
    phantoms = tsynd.load("phantom", count=len(breast.train) // 2)
    groups = {"real": breast.train.images, "real, other images": rest, "phantoms": phantoms.train.images}
    summary = {name: described(images) for name, images in groups.items()}
    differences = {name: differing(summary["real"], summary[name]) for name in ("real, other images", "phantoms")}
    told = [told_apart(breast.train.images, rest, phantoms.train.images, phantoms.test.images, seed) for seed in range(SEEDS)]
    found = {"images": {name: len(images) for name, images in groups.items()}, "described": summary, "differences": differences}
    found |= {"told_apart_auroc": [round(area, 4) for area in told], "versions": versions()}
    write_json(options.out / "summary.json", found)
    write_text(options.out / "table.md", table(found))
    save(likeness(summary), options.out / "likeness.svg")
    save(contact(breast.train.images, phantoms.train.images), options.out / "images.svg")


def described(images_BCHW: Tensor) -> dict[str, Any]:
    """The grey-level histogram, the radial spectrum, and a few numbers about speckle."""
    x_BHW = images_BCHW[:, 0].double() / 255
    windows = F.unfold(x_BHW.unsqueeze(1), 3)
    spectrum = radial_spectrum(x_BHW)
    rings = torch.arange(1, len(spectrum) + 1)
    numbers = {
        "mean": x_BHW.mean(),
        "deviation": x_BHW.std(),
        "local_variation": (windows.std(1) / windows.mean(1).clamp_min(0.02)).median(),
        "lateral_correlation": neighbours(x_BHW[:, :, :-1], x_BHW[:, :, 1:]),
        "axial_correlation": neighbours(x_BHW[:, :-1], x_BHW[:, 1:]),
        "fine_power": (spectrum * rings)[2 * len(rings) // 3 :].sum() / (spectrum * rings).sum(),
    }
    return {name: round(float(value), 4) for name, value in numbers.items()} | {
        "histogram": [round(share, 5) for share in (torch.histc(x_BHW, BINS, 0, 1) / x_BHW.numel()).tolist()],
        "spectrum_log10": [round(power, 4) for power in spectrum.log10().tolist()],
    }


def radial_spectrum(x_BHW: Tensor) -> Tensor:
    """Mean power at each whole spatial frequency from 1 to half the side, under a Hann window; in cycles an image."""
    side = x_BHW.shape[-1]
    window = torch.hann_window(side, periodic=False, dtype=x_BHW.dtype)
    power_HW = torch.fft.fft2((x_BHW - x_BHW.mean((1, 2), keepdim=True)) * window * window.unsqueeze(1)).abs().square().mean(0)
    frequencies = torch.fft.fftfreq(side) * side
    ring_HW = (frequencies.unsqueeze(1).square() + frequencies.square()).sqrt().round()
    return torch.stack([power_HW[ring_HW == ring].mean() for ring in range(1, side // 2 + 1)])


def neighbours(left_BHW: Tensor, right_BHW: Tensor) -> Tensor:
    """Correlation of neighbouring pixels within an image, averaged over images."""
    left, right = ((x - x.mean((1, 2), keepdim=True)).flatten(1) for x in (left_BHW, right_BHW))
    return F.cosine_similarity(left, right, dim=1).mean()


def differing(real: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """How far two descriptions are apart: grey levels by earth mover's distance (0 to 1), spectra by their power's ratio."""
    cumulated = [torch.tensor(described["histogram"]).cumsum(0) for described in (real, other)]
    ratios = torch.tensor(other["spectrum_log10"]) - torch.tensor(real["spectrum_log10"])
    return {
        "histogram_distance": round(float((cumulated[0] - cumulated[1]).abs().mean()), 4),
        "spectrum_largest_log10_ratio": round(float(ratios.abs().max()), 4),
        "spectrum_finest_log10_ratio": round(float(ratios[-1]), 4),
    }


def told_apart(real: Tensor, other_real: Tensor, phantoms: Tensor, other_phantoms: Tensor, seed: int) -> float:
    """AUROC with which the package's classifier, trained to do so, tells unseen phantoms from unseen real images."""
    labels = torch.cat([torch.zeros(len(real)), torch.ones(len(phantoms))]).long()
    classifier = trained(Split(torch.cat([real, phantoms]), labels), 2, seed)
    logits_BC = predict(classifier, torch.cat([other_real, other_phantoms]), 250)
    made = torch.cat([torch.zeros(len(other_real)), torch.ones(len(other_phantoms))]).bool()
    area = error_auroc(logits_BC[:, 1] - logits_BC[:, 0], made)
    assert area is not None
    return area


def table(found: dict[str, Any]) -> str:
    """The numbers as a Markdown table."""
    described, differences = found["described"], found["differences"]
    lines = ["| | " + " | ".join(described) + " |", "|---" * (len(described) + 1) + "|"]
    for name, words in MEASURES.items():
        lines.append(f"| {words} | " + " | ".join(f"{numbers[name]:.3f}" for numbers in described.values()) + " |")
    for name, words in {
        "histogram_distance": "distance of grey levels from the first column",
        "spectrum_largest_log10_ratio": "largest difference of the spectra (log10 of power)",
        "spectrum_finest_log10_ratio": "difference at the finest detail (log10 of power)",
    }.items():
        lines.append(f"| {words} | – | " + " | ".join(f"{numbers[name]:.3f}" for numbers in differences.values()) + " |")
    told = [f"{area:.3f}" for area in sorted(found["told_apart_auroc"])]
    reach = told[0] if told[0] == told[-1] else f"{told[0]} to {told[-1]}"
    lines += ["", f"A network trained to tell phantoms from real images does so with an AUROC of {reach} on images"]
    lines[-1] += f" that it has not seen ({len(told)} seeds; .5 would be chance)."
    return "\n".join([*lines, ""])


@styled
def likeness(summary: dict[str, Any]) -> Figure:
    """Grey levels and spectra of real images and phantoms."""
    figure = Picture(figsize=(7, 3.2))
    left, right = figure.subplots(1, 2)
    for (name, numbers), colour, line in zip(summary.items(), COLOURS, ("-", ":", "--"), strict=False):
        levels = (torch.arange(BINS) + 0.5) / BINS
        left.plot(levels, [share * BINS for share in numbers["histogram"]], color=colour, linestyle=line, label=name)
        powers = [10**power for power in numbers["spectrum_log10"]]
        right.plot(range(1, len(powers) + 1), powers, color=colour, linestyle=line, label=name)
    left.set(xlabel="grey level", ylabel="density")
    right.set(xlabel="detail (cycles an image)", ylabel="power", yscale="log")
    left.legend()
    return figure


@styled
def contact(real: Tensor, phantoms: Tensor, rows: int = 3, columns: int = 4) -> Figure:
    """Real images above, phantoms below, drawn at random."""
    figure = Picture(figsize=(4.8, 8.2))
    parts: Any = figure.subfigures(2, 1)  # an array of two
    for part, images, name in zip(parts, (real, phantoms), ("BreastMNIST", "phantoms"), strict=True):
        part.suptitle(name)
        chosen = torch.randperm(len(images), generator=generator_for(0, f"contact sheet of {name}"))
        for axis, position in zip(part.subplots(rows, columns).flat, chosen.tolist(), strict=False):
            axis.imshow(images[position, 0].numpy(), cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
    return figure


if __name__ == "__main__":
    main()
