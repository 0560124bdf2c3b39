"""What the loops add to the arithmetic, what an import costs, and the memory of a training, as ratios in one run.

    python benchmarks/bench_training.py --out results/bench-training

One thread, our networks, 28 px, batches of 64 out of 120 random images. *Floor*: forward, backward and optimiser on one batch
that is ready; nothing that trains this network can be faster. *Plain loop*: what one would write first, a `DataLoader` whose
batches get the same augmentation. *Ours*: `train_classifier` by arm `none`, or `train_autoencoder`. All three take the same
optimiser, schedule, layout in memory and number of steps. Imports are timed in processes of their own; *everything* is the
public names of `tsynd`, with all that they need. Variants take turns, and a ratio is that of the medians. Memory is the
growth of the peak resident set (VmHWM, Linux) in a process of its own.

`--out` gets `summary.json` and `table.md`.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from measure import memory_of, options, peak_growth, turns, write
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.classification import build_classifier
from tsynd.training import Recipe, parse_arm, train_classifier

COUNT, BATCH, STEPS, TURNS = 120, 64, 40, 9
IMPORTS = {
    "torch": "import torch",
    "tsynd": "import torch, tsynd",
    "everything": "from tsynd import load, load_run, predict, run, synthesize",
    "command line": "import tsynd.cli",
}


def main() -> None:
    """Measure and write what was found; with --memory-of, only that of one training, for the process above."""
    given = options(__doc__, "bench-training", nargs=2, metavar=("NETWORK", "SIZE"))
    if given.memory_of:
        print(memory_growth(given.memory_of[0], int(given.memory_of[1])))
        return
    found: dict[str, Any] = {"batch": BATCH, "steps": STEPS, "turns": TURNS, "import": imports()}
    found["classifier"], found["autoencoder"] = classifiers(), autoencoders()
    found["memory"] = {
        f"{network} {size}": memory_of(__file__, network, size) for network in ("classifier", "autoencoder") for size in (28, 224)
    }
    write(given.out, found, table(found))


def imports() -> dict[str, float]:
    """Seconds of a process that imports something, less those of one that imports nothing, as ratios to torch's."""

    def process(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    seconds = turns({name: process(code) for name, code in {"nothing": "pass", **IMPORTS}.items()}, TURNS)
    floor = seconds.pop("nothing")
    return {name: round((value - floor) / (seconds["torch"] - floor), 2) for name, value in seconds.items()}


def images(size: int = 28) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    return torch.rand(COUNT, 1, size, size, generator=torch.Generator().manual_seed(0)), torch.arange(COUNT) % 2


def endless(images_BCHW: Tensor, labels_B: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of a `DataLoader`, over and over, augmented."""
    loader = DataLoader(TensorDataset(images_BCHW, labels_B), BATCH, shuffle=True, drop_last=True)
    while True:
        for batch_BCHW, batch_B in loader:
            yield augment(batch_BCHW, TRAIN_RANGE), batch_B


def steps_of(network: nn.Module, loss_of: Callable[[Tensor, Tensor], Tensor], batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    """Forward, backward and optimiser, STEPS times."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = loss_of(*next(batches))
        loss.backward()
        optimiser.step()
        schedule.step()
        loss.item()


def classifiers() -> dict[str, float]:
    """Three ways to train a classifier, as ratios to the floor."""
    images_BCHW, labels_B = images()
    network = build_classifier(1, 28, 2, seed=0).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ready = images_BCHW[:BATCH], labels_B[:BATCH]

    def loss_of(batch_BCHW: Tensor, batch_B: Tensor) -> Tensor:
        return F.cross_entropy(network(batch_BCHW), batch_B)

    def ours() -> None:
        recipe = replace(Recipe(), steps=STEPS, batch_size=BATCH)
        train_classifier(build_classifier(1, 28, 2, seed=0), images_BCHW, labels_B, parse_arm("none"), recipe)

    return ratios(
        {
            "floor": lambda: steps_of(network, loss_of, iter([ready] * STEPS)),
            "plain loop": lambda: steps_of(network, loss_of, endless(images_BCHW, labels_B)),
            "ours": ours,
        }
    )


def autoencoders() -> dict[str, float]:
    """Three ways to train an autoencoder, as ratios to the floor."""
    images_BCHW, labels_B = images()
    network = build_autoencoder(1, 28, seed=0)
    ready = images_BCHW[:BATCH], labels_B[:BATCH]

    def loss_of(batch_BCHW: Tensor, _: Tensor) -> Tensor:
        codes, loss = network.draw(batch_BCHW, torch.Generator())
        return loss + F.mse_loss(network.decode_raw(codes + 0.05 * torch.randn_like(codes)), batch_BCHW)

    return ratios(
        {
            "floor": lambda: steps_of(network, loss_of, iter([ready] * STEPS)),
            "plain loop": lambda: steps_of(network, loss_of, endless(images_BCHW, labels_B)),
            "ours": lambda: train_autoencoder(build_autoencoder(1, 28, seed=0), images_BCHW, steps=STEPS, batch_size=BATCH),
        }
    )


def ratios(variants: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Medians, relative to the floor's."""
    seconds = turns(variants, TURNS)
    return {name: round(value / seconds["floor"], 2) for name, value in seconds.items()}


def memory_growth(network: str, size: int) -> float | None:
    """By how many MB ten steps of training raise the peak of resident memory, after one step on images of 28 px."""

    def train(side: int, steps: int) -> None:
        images_BCHW, labels_B = images(side)
        if network == "autoencoder":
            train_autoencoder(build_autoencoder(1, side, seed=0), images_BCHW, steps=steps, batch_size=BATCH)
        else:
            recipe = replace(Recipe(), steps=steps, batch_size=BATCH)
            train_classifier(build_classifier(1, side, 2, seed=0), images_BCHW, labels_B, parse_arm("none"), recipe)

    return peak_growth(lambda: train(16, 1), lambda: train(size, 10))


def table(found: dict[str, Any]) -> str:
    """Markdown, one row for each measurement."""
    rows = [(f"import of {name}", f"{value:.2f} × `import torch`") for name, value in found["import"].items() if name != "torch"]
    for network in ("classifier", "autoencoder"):
        rows += [(f"training the {network}, {name}", f"{value:.2f} × floor") for name, value in found[network].items()]
    for which, megabytes in found["memory"].items():
        if megabytes is not None:
            network, size = which.split()
            rows.append(
                (f"memory of training the {network}, batches of {found['batch']} images of {size} px", f"{megabytes:.0f} MB")
            )
    return "| what | cost |\n|:--|--:|\n" + "".join(f"| {what} | {cost} |\n" for what, cost in rows)


if __name__ == "__main__":
    main()
