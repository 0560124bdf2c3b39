"""Where does the network look? Attribution inside the lesion mask on phantoms, with and without targeted images, over ten seeds.

    python studies/attribution.py --out results/attribution --cache DIR

Arms `none`, `tsynd` and `guarded` are trained on 60 phantoms a class, seeds 0 to 9, and asked about the same 200 test images, by
integrated gradients and by Grad-CAM, for the class that they predict. `runs.csv` has a row a seed, arm and method: the share of
the maps' mass inside the mask, `random`: of the same network with weights drawn anew, `alike`: the rank correlation of the two.
`summary.json` has the paired differences with crossed intervals (`tsynd.study.statistics`); `table.md`, `attribution.svg` and
`maps.svg` are made from it. Runs whose maps lie in the cache are not run again. Needs captum (extra `explain`).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr  # type: ignore[import-untyped]
from shared import write_csv
from torch import Tensor

import tsynd
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.robustness.attribution import METHODS, attribute, mass_inside, randomised
from tsynd.runs import pipeline
from tsynd.runs.config import RunConfig
from tsynd.study.statistics import crossed, interval, resampled_images, resampled_seeds
from tsynd.teaching.figures import WIDTH, taught
from tsynd.utils.atomic_files import write_json, write_npz, write_text
from tsynd.utils.environment import versions
from tsynd.utils.plotting import Picture, bare, method_style, save, styled

ARMS, SEEDS, PER_CLASS, EVERY = ("none", "tsynd", "guarded"), range(10), 60, 5
FEW = {"draws": 1, "attack_steps": 1, "limit": 10}  # the robustness of these networks is not what is asked here
NAMES = {"integrated_gradients": "integrated gradients", "grad_cam": "Grad-CAM"}
REAL, SHOWN = "breastmnist", 4


def main() -> None:
    """Train what is missing, ask, and write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--cache", type=Path, required=True, help="where maps and autoencoders are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    test = tsynd.load("phantom").test
    assert isinstance(test, PhantomSplit)
    few = test[slice(0, len(test), EVERY)]
    masks_BHW, found = few.masks()[:, 0], {}
    for seed in SEEDS:
        for arm in ARMS:
            found[arm, seed] = masses(arm, seed, few, masks_BHW, options.cache)
    rows = [row(arm, seed, method, found[arm, seed]) for seed in SEEDS for arm in ARMS for method in METHODS]
    write_csv(options.out / "runs.csv", rows)
    area = float(masks_BHW.mean())
    summary: dict[str, Any] = {"images": len(few), "area": round(area, 4), "seeds": len(SEEDS), "per_class": PER_CLASS}
    summary |= {"methods": {method: compared(found, few.labels, method) for method in METHODS}, "versions": versions()}
    write_json(options.out / "summary.json", summary)
    write_text(options.out / "table.md", table(summary))
    save(draw(rows, area), options.out / "attribution.svg")
    shown = few.masks()[[4 * place for place in range(SHOWN)], 0]
    save(drawn(maps(few, options.cache), shown), options.out / "maps.svg")


def network(data: str, arm: str, seed: int, cache: Path) -> torch.nn.Module:
    """The classifier of a run."""
    return pipeline.run(RunConfig(data, arm, PER_CLASS, seed=seed, changes=FEW), shared=cache, audited=False).classifier


def masses(arm: str, seed: int, few: PhantomSplit, masks_BHW: Tensor, cache: Path) -> dict[str, np.ndarray]:
    """Of each method the share of mass inside the mask of each image, for the network and for one with random weights."""
    path = cache / f"{arm}-{seed}.npz"
    if not path.exists():
        classifier, images_BCHW = network("phantom", arm, seed, cache), few.images.float() / 255
        with torch.no_grad():
            classes_B = classifier(images_BCHW).argmax(dim=1)
        arrays = {}
        for method in METHODS:
            trained = attribute(classifier, images_BCHW, method, classes=classes_B)
            drawn = attribute(randomised(classifier, seed), images_BCHW, method, classes=classes_B)
            pairs = zip(trained.flatten(1).numpy(), drawn.flatten(1).numpy(), strict=True)
            arrays[method] = mass_inside(trained, masks_BHW).numpy()
            arrays[f"{method} random"] = mass_inside(drawn, masks_BHW).numpy()
            arrays[f"{method} alike"] = np.array([spearmanr(*pair).statistic for pair in pairs])
        write_npz(path, **arrays)
        print(f"{arm}, seed {seed}", flush=True)
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def row(arm: str, seed: int, method: str, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """A row of `runs.csv`; images whose map is 0 everywhere are left out of its means."""
    means = {name: round(float(np.nanmean(found[key])), 5) for name, key in columns(method).items()}
    return {"seed": seed, "arm": arm, "method": method} | means | {"empty": int(np.isnan(found[method]).sum())}


def columns(method: str) -> dict[str, str]:
    """The columns of a method in `runs.csv`, by what they hold."""
    return {"inside": method, "random": f"{method} random", "alike": f"{method} alike"}


def compared(found: dict[tuple[str, int], dict[str, np.ndarray]], labels_B: Tensor, method: str) -> dict[str, Any]:
    """Means by arm, and paired differences to `none` and to random weights."""
    generator = np.random.default_rng(0)
    counts_RN, counts_RS = resampled_images(labels_B.numpy(), generator), resampled_seeds(len(SEEDS), generator)
    means = {arm: round(float(np.mean([np.nanmean(found[arm, seed][method]) for seed in SEEDS])), 4) for arm in ARMS}
    means["random weights"] = round(float(np.mean([np.nanmean(found["none", s][f"{method} random"]) for s in SEEDS])), 4)
    pairs = {f"{arm} - none": ((arm, method), ("none", method)) for arm in ARMS[1:]}
    pairs |= {f"{arm} - random weights": ((arm, method), (arm, f"{method} random")) for arm in ARMS}
    differences = {}
    for name, ((arm_a, key_a), (arm_b, key_b)) in pairs.items():
        table_SN = np.stack([np.nan_to_num(found[arm_a, s][key_a] - found[arm_b, s][key_b]) for s in SEEDS])
        under_SR = table_SN @ counts_RN.T / counts_RN.sum(axis=1)
        one = interval(table_SN.mean(), crossed(under_SR, counts_RS))
        differences[name] = {"mean": round(one.mean, 4), "low": round(one.low, 4), "high": round(one.high, 4)}
    alike = {arm: round(float(np.mean([np.nanmean(found[arm, s][f"{method} alike"]) for s in SEEDS])), 3) for arm in ARMS}
    return {"means": means, "differences": differences, "alike": alike}


def table(summary: dict[str, Any]) -> str:
    """Markdown: the share of mass inside the mask by arm, and the differences."""
    lines = ["| | integrated gradients | Grad-CAM |", "|:--|--:|--:|"]
    methods = [summary["methods"][method] for method in METHODS]
    for name in methods[0]["means"]:
        lines.append(f"| {name} | " + " | ".join(f"{method['means'][name]:.3f}" for method in methods) + " |")
    lines.append(f"| *the mask's share of the area* | {summary['area']:.3f} | {summary['area']:.3f} |")
    for name in methods[0]["differences"]:
        of_name = [method["differences"][name] for method in methods]
        cells = " | ".join(f"{each['mean']:+.3f} ({each['low']:+.3f} to {each['high']:+.3f})" for each in of_name)
        lines.append(f"| {name.replace(' - ', ' − ')} | {cells} |")
    return "\n".join(lines) + "\n"


@styled
def draw(rows: list[dict[str, Any]], area: float) -> Figure:
    """Each seed's share of mass inside the mask, arms side by side, with random weights and the area."""
    figure = Picture(figsize=(7, 3.4))
    for axes, method in zip(figure.subplots(1, len(METHODS)), METHODS, strict=True):
        for place, arm in enumerate(ARMS):
            of_arm = [each for each in rows if each["arm"] == arm and each["method"] == method]
            spread = [place + 0.02 * (each["seed"] - 4.5) for each in of_arm]
            axes.plot(spread, [each["inside"] for each in of_arm], linestyle="none", ms=5, **method_style(arm))
            axes.plot(spread, [each["random"] for each in of_arm], "_", color="0.45", ms=6)
        axes.axhline(area, color="0.3", lw=1, ls="--")
        axes.set_xticks(range(len(ARMS)), ARMS)
        axes.set_ylim(0, None)
        axes.set_title(NAMES[method])
        axes.set_ylabel("share of the map inside the lesion")
    axes.plot([], [], "_", color="0.45", ms=6, label="random weights")
    axes.plot([], [], color="0.3", lw=1, ls="--", label="share of the area")
    axes.legend(loc="lower right", fontsize=10)
    return figure


def maps(few: PhantomSplit, cache: Path) -> dict[str, dict[str, Tensor]]:
    """Of each data set four images, and their maps by `none` and `guarded`, seed 0: each (SHOWN, H, W)."""
    real = tsynd.load(REAL).test
    half, found = [4 * place for place in range(SHOWN)], {}
    for data, split in {"phantom": few, REAL: real}.items():
        images_BCHW = split.images[half].float() / 255
        found[data] = {"image": images_BCHW[:, 0]}
        found[data] |= {arm: attribute(network(data, arm, 0, cache).eval(), images_BCHW) for arm in ("none", "guarded")}
    return found


@taught
def drawn(found: dict[str, dict[str, Tensor]], outlines_BHW: Tensor) -> Figure:
    """Draw the maps: phantoms with their lesions outlined, then real images, where nobody knows the truth."""
    figure = Picture(figsize=(WIDTH, 6.7))
    parts: Any = figure.subfigures(len(found), 1)  # an array
    for part, (data, kinds) in zip(parts, found.items(), strict=True):
        part.suptitle({"phantom": "phantoms", REAL: "BreastMNIST"}[data])
        axes = part.subplots(len(kinds), SHOWN)
        for row, (kind, pictures_BHW) in zip(axes, kinds.items(), strict=True):
            row[0].set_ylabel(kind, rotation=0, ha="right", va="center")
            for axis, picture_HW, outline_HW in zip(row, pictures_BHW, outlines_BHW, strict=True):
                axis.imshow(picture_HW.numpy(), cmap="gray" if kind == "image" else "magma", interpolation="none")
                if data == "phantom":
                    axis.contour(outline_HW.numpy(), [0.5], colors="white", linewidths=0.8)
        bare(axes)
    return figure


if __name__ == "__main__":
    main()
