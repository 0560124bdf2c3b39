"""What do autoencoders keep, and does the ball around a code decode to plausible images? From few training images to all.

    TSYND_DATA=DIR python studies/autoencoders.py --out results/autoencoders --data phantom breastmnist pneumoniamnist retinamnist

A `ConvAutoencoder`, another with a term of structural similarity (SSIM), and a `VAE` are trained on 25 images of each class, on
100 (or as many as the smallest class has), and on all, by the budget `cpu`; everything is measured on the test split. The
classifier that is asked about reconstructions was trained on the whole training split. `--out` gets `runs.csv`,
`summary.json`, `table.md` and, for seed 0, a figure of random walks and interpolations for each data set, with its images in
`walks.npz`. Rows that are there are not run again. A row takes up to a minute on one core; how long the rest will take is said
after each.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from shared import read_csv, trained, write_csv
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from torch import Tensor

import tsynd
from tsynd.autoencoding import ConvAutoencoder, build_autoencoder, train_autoencoder
from tsynd.autoencoding.training import ssim
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset
from tsynd.metrics.classification import auroc
from tsynd.teaching.figures import WIDTH, taught
from tsynd.training import Recipe
from tsynd.utils.atomic_files import write_json, write_npz, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.plotting import Picture, bare, save
from tsynd.utils.rng import generator_for, normal, seed_for

PER_CLASS: tuple[int | str, ...] = (25, 100, "all")
VARIANTS: dict[str, dict[str, Any]] = {"conv": {}, "conv+ssim": {"ssim_weight": 0.05}, "vae": {}}
STEPS = Recipe().autoencoder_steps
RADII = (0.0, 0.25, 0.5, 1.0)
RIDGE = 1e-3  # scikit-learn's C of the linear probe; of .0001 to 1 the best on BreastMNIST's validation split
WALK, STRIDE = 7, 0.25  # steps of a random walk, and the length of one
SHOWN = ("image", "recon-\nstruction", "random\nwalk", "half-way")


def main() -> None:
    """Train what is missing and write the tables and the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--data", nargs="+", required=True, help="data sets, as tsynd.load names them")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_csv(options.out / "runs.csv")
    strips = dict(np.load(options.out / "walks.npz")) if (options.out / "walks.npz").exists() else {}
    cost = {str(size): decoder_cost(size) for size in (28, 64, 224)}
    sets = {name: tsynd.load(name) for name in options.data}
    started, wanted = time.perf_counter(), list(missing(rows, sets, options.seeds))
    classifiers: dict[tuple[str, int], Classifier] = {}
    for done, (name, per_class, kind, seed) in enumerate(wanted, start=1):
        data = sets[name]
        if (name, seed) not in classifiers:
            classifiers[name, seed] = trained(data.train, len(data.classes), seed)
        autoencoder, images = trained_autoencoder(data, per_class, kind, seed)
        row = {"data": name, "per_class": per_class, "images": images, "kind": kind, "seed": seed}
        rows.append(row | measure(data, autoencoder, classifiers[name, seed], seed))
        if seed == 0 and per_class in (PER_CLASS[0], PER_CLASS[-1]):
            strips[f"{name}/{kind}/{per_class}"] = strip(data, autoencoder)
        write(options.out, rows, strips, cost)
        passed = time.perf_counter() - started
        left = passed / done * (len(wanted) - done)
        print(f"{name} {per_class} {kind} {seed}: {passed:.0f} s so far, about {left:.0f} s to go", file=sys.stderr, flush=True)
    write(options.out, rows, strips, cost)


def missing(rows: list[dict[str, Any]], sets: dict[str, Dataset], seeds: int) -> Iterator[tuple[str, int | str, str, int]]:
    """Data set, images of each class, kind of autoencoder and seed of each row that is not there yet."""
    there = {(row["data"], row["per_class"], row["kind"], row["seed"]) for row in rows}
    for name, data in sets.items():
        smallest = int(data.train.labels.bincount().min())
        for seed in range(seeds):
            for wanted in PER_CLASS:
                per_class = min(wanted, smallest) if isinstance(wanted, int) else wanted
                yield from ((name, per_class, kind, seed) for kind in VARIANTS if (name, per_class, kind, seed) not in there)


def trained_autoencoder(data: Dataset, per_class: Any, kind: str, seed: int) -> tuple[ConvAutoencoder, int]:
    """An autoencoder trained on a subset as `tsynd.run` does, and how many images that was."""
    images_BCHW = data.subset(per_class, seed).train.images.float() / 255
    autoencoder = build_autoencoder(data.channels, data.size, seed_for(seed, "initialise autoencoder"), kind.split("+")[0])
    train_autoencoder(autoencoder, images_BCHW, steps=STEPS, seed=seed, **VARIANTS[kind])
    return autoencoder, len(images_BCHW)


def measure(data: Dataset, autoencoder: ConvAutoencoder, classifier: Classifier, seed: int) -> dict[str, float | int]:
    """What the reconstructions of the test split keep, what its codes tell, and what becomes of random displacement.

    `agreement_R`: share of images that get the class of their original when decoded at displacement R in a random direction;
    `agreement_chance`: of two images drawn at random. `return_R`: |encode(decode(z)) - z| / sqrt(D), mean over images.
    `moved_R`: root mean square difference to the reconstruction, in [0, 1].
    """
    images_BCHW, labels_B = data.test.images.float() / 255, data.test.labels
    codes_BD, logits_BC = predict(autoencoder.encode, images_BCHW, 250), predict(classifier, images_BCHW, 250)
    made_BCHW = decoded(autoencoder, codes_BD)
    length = codes_BD.shape[1] ** 0.5
    direction_BD = normal(tuple(codes_BD.shape), generator_for(seed, "random displacement"), codes_BD)
    direction_BD *= length / direction_BD.norm(dim=1, keepdim=True)
    error_B = (made_BCHW - images_BCHW).square().mean(dim=(1, 2, 3))
    shares_C = logits_BC.argmax(dim=1).bincount() / len(logits_BC)
    found = {
        "psnr": -10 * error_B.log10().mean(),
        "ssim": ssim(made_BCHW, images_BCHW).mean(),
        "probe_auroc": probe(predict(autoencoder.encode, data.train.images, 250), data.train.labels, codes_BD, labels_B),
        "auroc": auroc(logits_BC.softmax(dim=1), labels_B),
        "auroc_made": auroc(predict(classifier, made_BCHW, 250).softmax(dim=1), labels_B),
        "agreement_chance": shares_C.square().sum(),
    }
    for radius in RADII:
        moved_BD = codes_BD + radius * direction_BD
        moved_BCHW = decoded(autoencoder, moved_BD)
        same_B = predict(classifier, moved_BCHW, 250).argmax(dim=1) == logits_BC.argmax(dim=1)
        back_BD = predict(autoencoder.encode, moved_BCHW, 250)
        found[f"agreement_{radius:g}"] = same_B.double().mean()
        found[f"return_{radius:g}"] = (back_BD - moved_BD).norm(dim=1).mean() / length
        found[f"moved_{radius:g}"] = (moved_BCHW - made_BCHW).square().mean(dim=(1, 2, 3)).sqrt().mean()
    return {name: round(float(value or 0), 4) for name, value in found.items()}


def decoded(autoencoder: ConvAutoencoder, codes_BD: Tensor) -> Tensor:
    """Images of codes, batch by batch and without gradients."""
    with torch.no_grad():
        return torch.cat([autoencoder.decode(part_BD) for part_BD in codes_BD.split(250)])


def probe(train_BD: Tensor, train_B: Tensor, test_BD: Tensor, test_B: Tensor) -> float | None:
    """AUROC on test codes of a ridge-penalised logistic regression that was fitted to training codes."""
    fitted = LogisticRegression(C=RIDGE, max_iter=2000).fit(train_BD.numpy(), train_B.numpy())
    return auroc(torch.from_numpy(fitted.predict_proba(test_BD.numpy())), test_B)


def decoder_cost(size: int) -> dict[str, float]:
    """How long decoding a batch of grey images takes, relative to the classifier's pass on it: median of pairs in turn.

    `forward`: without gradients; `search`: with the backward pass to codes or images, as in a step of targeting.
    """
    autoencoder, classifier = build_autoencoder(1, size, 0).eval(), build_classifier(1, size, 2, 0).eval()
    for network in (autoencoder, classifier):
        network.requires_grad_(False)
    batch = 64 if size < 100 else 16
    inputs = torch.zeros(batch, len(autoencoder.mean)), torch.rand(batch, 1, size, size, generator=generator_for(0, "cost"))

    def seconds(network: Callable[[Tensor], Tensor], x: Tensor, gradients: bool) -> float:
        started = time.perf_counter()
        with torch.set_grad_enabled(gradients):
            y = network(x.requires_grad_(gradients)).sum()
        if gradients:
            torch.autograd.grad(y, x)
        return time.perf_counter() - started

    networks: list[Callable[[Tensor], Tensor]] = [autoencoder.decode, classifier]
    found = {}
    for name, gradients in {"forward": False, "search": True}.items():
        times = [[seconds(f, x, gradients) for f, x in zip(networks, inputs, strict=True)] for _ in range(7)]
        found[name] = round(median(decoding / classifying for decoding, classifying in times), 2)
    return found


def strip(data: Dataset, autoencoder: ConvAutoencoder) -> np.ndarray:
    """Four pictures, uint8 (4, H, W, C): a test image of the last class, its reconstruction, where WALK random steps of
    displacement STRIDE lead from its code, and what lies half-way between its code and that of an image of the first class.
    """
    chosen = [int((data.test.labels == label).nonzero()[0]) for label in (len(data.classes) - 1, 0)]
    first_BCHW, last_BCHW = (data.test.images[i : i + 1].float() / 255 for i in chosen)
    with torch.no_grad():
        start_BD, end_BD = autoencoder.encode(first_BCHW), autoencoder.encode(last_BCHW)
        steps_BD = normal((WALK, start_BD.shape[1]), generator_for(0, "random walk"), start_BD)
        steps_BD *= STRIDE * start_BD.shape[1] ** 0.5 / steps_BD.norm(dim=1, keepdim=True)
        walked_BD = start_BD + steps_BD.sum(dim=0, keepdim=True)
        made_BCHW = autoencoder.decode(torch.cat([start_BD, walked_BD, torch.lerp(start_BD, end_BD, 0.5)]))
    return (torch.cat([first_BCHW, made_BCHW]) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each data set, number of images and kind: the seeds, and each measure's mean over them."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["per_class"], row["images"], row["kind"]), []).append(row)
    measures = [name for name in (rows[0] if rows else {}) if name not in ("data", "per_class", "images", "kind", "seed")]
    return [
        dict(zip(("data", "per_class", "images", "kind"), group, strict=True))
        | {"seeds": len(members)}
        | {name: round(fmean(row[name] for row in members), 4) for name in measures}
        for group, members in groups.items()
    ]


def table(summary: list[dict[str, Any]]) -> str:
    """The summary as a Markdown table, a row an autoencoder."""
    lines = ["| data | images | kind | PSNR | SSIM | probe | AUROC | agreement |", "|---" * 8 + "|"]
    for part in summary:
        agreement = " / ".join(f"{part[f'agreement_{radius:g}']:.2f}" for radius in RADII)
        cells = [part["data"], part["images"], part["kind"], f"{part['psnr']:.1f}", f"{part['ssim']:.2f}"]
        cells += [f"{part['probe_auroc']:.3f}", f"{part['auroc_made']:.3f}", agreement]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    chances = {part["data"]: part["agreement_chance"] for part in summary}
    seeds = sorted({part["seeds"] for part in summary})
    words = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    listed = ", ".join(f"{chance:.2f} ({name})" for name, chance in chances.items())
    whole = ", ".join(f"{part['auroc']:.3f} ({name})" for name, part in {part["data"]: part for part in summary}.items())
    lines += ["", f"Seeds: {words}. Agreement by chance, if images were paired at random: {listed}. AUROC on images: {whole}."]
    return "\n".join([*lines, ""])


def write(out: Path, rows: list[dict[str, Any]], strips: dict[str, np.ndarray], cost: dict[str, Any]) -> None:
    """Write the rows and what follows from them."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    rows.sort(key=lambda row: (names.index(row["data"]), row["images"], list(VARIANTS).index(row["kind"]), row["seed"]))
    write_csv(out / "runs.csv", rows)
    summary = summarise(rows)
    config = {"steps": STEPS, "variants": VARIANTS, "radii": RADII, "ridge": RIDGE, "decoder_time_per_classifier_time": cost}
    write_json(out / "summary.json", config | {"autoencoders": summary, "versions": versions()})
    write_text(out / "table.md", table(summary))
    write_npz(out / "walks.npz", **strips)
    for name in names:
        if shown := {key.partition("/")[2]: rows for key, rows in strips.items() if key.startswith(f"{name}/")}:
            save(walks(shown), out / f"walks-{name.replace(':', '-')}.svg")


@taught
def walks(strips: dict[str, np.ndarray]) -> Figure:
    """Draw the strip of each autoencoder in a row."""
    figure = Picture(figsize=(WIDTH, 0.6 + 0.95 * len(strips)))
    axes = figure.subplots(len(strips), len(SHOWN), squeeze=False)
    for row, (name, pictures) in zip(axes, strips.items(), strict=True):
        row[0].set_ylabel(name.replace("/", ",\n"), rotation=0, ha="right", va="center")
        for axis, picture_HWC in zip(row, pictures, strict=True):
            axis.imshow(picture_HWC.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="none")
    for axis, title in zip(axes[0], SHOWN, strict=True):
        axis.set_title(title)
    bare(axes)
    return figure


if __name__ == "__main__":
    main()
