"""How cost grows: with the training set, the images, the posterior samples and the classes, each with its slope.

    python benchmarks/bench_scaling.py --out results/bench-scaling

Random images, one thread, processor time. Each row changes one number and holds the others: 100 training images of 28 px, two
classes, K = 64. *Training* is ten steps of `none` on batches of 64 (three for images by their size); *search* is one of
`guarded` for 16 images. Networks are made before the clock runs. Variants take turns, and a ratio is that of the medians. The
slope is that of the logarithm of the time by the logarithm of the number, from the first to the last: 0 means that time does not
grow, 1 that it grows in proportion. Of images the number is that of pixels. Memory is the growth of the peak resident set
(VmHWM, Linux) in a process of its own, while a set is drawn and trained on, beside the bytes of its images.

`--out` gets `summary.json` and `table.md`.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from measure import memory_of, options, peak_growth, turns, write

from tsynd.autoencoding import build_autoencoder
from tsynd.classification import build_classifier
from tsynd.posterior import HeadDropout
from tsynd.targeting import Guard, target
from tsynd.training import Recipe, parse_arm, train_classifier

COUNTS, SIZES, SAMPLES, CLASSES = (100, 1_000, 10_000), (28, 64, 128), (8, 64, 512), (2, 10, 100)
TURNS = 2


def main() -> None:
    """Measure and write what was found; with --memory-of, only that of one set, for the process above."""
    given = options(__doc__, "bench-scaling", type=int, metavar="COUNT")
    if given.memory_of is not None:
        print(peak_growth(training(count=10), training(count=given.memory_of)))
        return
    variants: dict[str, dict[int, Callable[[], object]]] = {
        "training, by training images": {count: training(count=count) for count in COUNTS},
        "training, by classes": {classes: training(classes=classes) for classes in CLASSES},
        "training, by the side of the images in px": {size: training(size=size, steps=3) for size in SIZES},
        "search, by the side of the images in px": {size: search(size=size) for size in SIZES},
        "search, by posterior samples": {samples: search(samples=samples) for samples in SAMPLES},
    }
    found: dict[str, Any] = {"turns": TURNS, "time": {}, "slope": {}}
    for name, each in variants.items():
        seconds = turns({str(number): variant for number, variant in each.items()}, TURNS)
        first, last = seconds[str(min(each))], seconds[str(max(each))]
        found["time"][name] = {number: round(value / first, 2) for number, value in seconds.items()}
        grown = max(each) / min(each)
        found["slope"][name] = round(math.log(last / first) / math.log(grown**2 if "px" in name else grown), 2)
        print(name, found["time"][name], found["slope"][name], file=sys.stderr, flush=True)
    found["memory"] = {str(count): memory_of(__file__, count) for count in COUNTS}
    found["bytes"] = {str(count): round(count * 28 * 28 / 1e6, 1) for count in COUNTS}
    write(given.out, found, table(found))


def training(count: int = 100, size: int = 28, classes: int = 2, steps: int = 10) -> Callable[[], object]:
    """A few steps of `none`; the images are drawn when it is called for the first time."""
    generator, drawn = torch.Generator().manual_seed(0), list[torch.Tensor]()
    classifier, recipe, arm = build_classifier(1, size, classes, seed=0), replace(Recipe(), steps=steps), parse_arm("none")

    def train() -> None:
        if not drawn:
            drawn.append(torch.randint(256, (count, 1, size, size), generator=generator, dtype=torch.uint8))
        train_classifier(classifier, drawn[0], torch.arange(count) % classes, arm, recipe)

    return train


def search(size: int = 28, samples: int = 64) -> Callable[[], object]:
    """One search of `guarded` for 16 images."""
    images_BCHW = torch.rand(16, 1, size, size, generator=torch.Generator().manual_seed(0))
    autoencoder, classifier = build_autoencoder(1, size, seed=0).eval(), build_classifier(1, size, 2, seed=0).eval()
    autoencoder.standardise(images_BCHW)
    posterior = HeadDropout.of(classifier, samples, torch.Generator().manual_seed(0))
    return lambda: target(images_BCHW, torch.arange(16) % 2, autoencoder, posterior, guard=Guard())


def table(found: dict[str, Any]) -> str:
    """Markdown: a row for each number that grows, then the memory of a training."""
    lines = ["| time of | time, relative to the first | slope |", "|:--|:--|--:|"]
    for name, each in found["time"].items():
        times = ", ".join(f"{int(number):,}: {value:.2f} ×" for number, value in each.items())
        lines.append(f"| {name} | {times} | {found['slope'][name]:.2f} |")
    lines += ["", "| training images | peak memory, MB | the images alone, MB |", "|--:|--:|--:|"]
    for count, megabytes in found["memory"].items():
        memory = "–" if megabytes is None else f"{megabytes:.0f}"
        lines.append(f"| {int(count):,} | {memory} | {found['bytes'][count]:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
