"""How cost grows: with the training set from 100 to 100,000 phantoms, with the image from 28 to 224 px, with the processes.

    python benchmarks/bench_scaling.py --out results/bench-scaling

*Set*: drawing a set of phantoms, per image; 20 steps of training on it, arm `guarded`, with one search for 16 images; and the
growth of the peak resident set (VmHWM, Linux) while all of this happens in a process of its own, beside the bytes of the
images themselves. *Size*: five steps of training of `none` and `guarded` on random images. Both in one thread. *Processes*: a
study of eight small runs (`budget: smoke`, 40 phantoms, arms `none` and `guarded`), start of the processes included, by one and
by two processes. K from 8 to 512 is in bench_targeting.py. Variants take turns, and a ratio is that of the medians.

`--out` gets `summary.json` and `table.md`.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measure import memory_of, options, peak_growth, turns, write
from torch import Tensor

from tsynd.autoencoding import build_autoencoder
from tsynd.classification import build_classifier
from tsynd.data.phantom.phantoms import draw_split
from tsynd.study import run_study
from tsynd.study.plan import Study, Tier
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.atomic_files import write_npz

COUNTS, SIZES, PROCESSES = (100, 1_000, 10_000, 100_000), (28, 64, 128, 224), (1, 2)
STEPS, FEW_STEPS, TURNS, RUNS = 20, 5, 3, 8


def main() -> None:
    """Measure and write what was found; with --memory-of, only that of one set, for the process above."""
    given = options(__doc__, "bench-scaling", type=int, metavar="COUNT")
    if given.memory_of is not None:
        print(memory_growth(given.memory_of))
        return
    found: dict[str, Any] = {"steps": STEPS, "few_steps": FEW_STEPS, "turns": TURNS, "runs": RUNS}
    for name, part in {"drawing": by_drawing, "set": by_set, "size": by_size, "processes": by_processes}.items():
        found[name] = part()
        print(name, found[name], file=sys.stderr, flush=True)
    found["memory"] = {str(count): memory_of(__file__, count) for count in COUNTS}
    found["bytes"] = {str(count): round(count * 28 * 28 / 1e6, 1) for count in COUNTS}
    write(given.out, found, table(found))


def drawn(count: int) -> tuple[Tensor, Tensor]:
    """So many phantoms, 8 bits, half of each class."""
    split = draw_split(count // 2, 28, torch.Generator().manual_seed(0))
    return split.images, split.labels


def training(arm: str, images_BCHW: Tensor, labels_B: Tensor, steps: int = STEPS) -> Callable[[], object]:
    """So many steps of an arm, with one search, on images that are there; the networks are made before the clock runs."""
    size, recipe = images_BCHW.shape[-1], replace(Recipe(), steps=steps, refresh_count=16, refresh_every=steps)
    autoencoder, classifier = build_autoencoder(1, size, seed=0), build_classifier(1, size, 2, seed=0)
    autoencoder.standardise(images_BCHW[:100])
    return lambda: train_classifier(classifier, images_BCHW, labels_B, parse_arm(arm), recipe, autoencoder=autoencoder.eval())


def by_drawing() -> dict[str, float]:
    """Time to draw an image of a set of phantoms, relative to the smallest set; the largest is drawn once."""
    seconds = turns({str(count): partial(drawn, count) for count in COUNTS[:-1]}, TURNS)
    seconds |= turns({str(COUNTS[-1]): partial(drawn, COUNTS[-1])}, 1)
    return relative({name: value / int(name) for name, value in seconds.items()})


def by_set() -> dict[str, float]:
    """Time of a training by the number of training images, relative to the smallest."""
    return relative(turns({str(count): training("guarded", *drawn(count)) for count in COUNTS}, TURNS))


def by_size() -> dict[str, dict[str, float]]:
    """Time of a training by the side of the images in px, relative to the smallest, for each arm."""
    sets = {size: torch.rand(120, 1, size, size, generator=torch.Generator().manual_seed(0)) for size in SIZES}
    labels_B = torch.arange(120) % 2
    return {
        arm: relative(turns({str(size): training(arm, images, labels_B, FEW_STEPS) for size, images in sets.items()}, TURNS))
        for arm in ("none", "guarded")
    }


def by_processes() -> dict[str, float]:
    """Time of a study by the number of processes, relative to one."""
    arms: dict[str, tuple[str, Mapping[str, Any]]] = {"none": ("none", {}), "guarded": ("guarded", {})}
    with tempfile.TemporaryDirectory() as folder:
        data = few(Path(folder) / "few.npz")
        tier = Tier("all", ((str(data), 20),), tuple(range(RUNS // len(arms))), arms)
        study = Study("scaling", (tier,), budget="smoke")
        return relative(turns({str(count): partial(whole_study, study, count) for count in PROCESSES}, TURNS))


def few(path: Path) -> Path:
    """A file of few phantoms, so that a run is short: 40 to train on, 20 to test on."""
    arrays: dict[str, Any] = {}
    for split, count in (("train", 40), ("val", 20), ("test", 20)):
        images_BCHW, labels_B = drawn(count)
        arrays |= {f"{split}_images": images_BCHW[:, 0].numpy(), f"{split}_labels": labels_B[:, None].numpy()}
    write_npz(path, **arrays)
    return path


def whole_study(study: Study, processes: int) -> None:
    """All runs of a study, in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        if run_study(study, Path(folder) / "out", jobs=processes)["done"] != RUNS:
            raise SystemExit("a run of the study failed: nothing was measured")


def relative(seconds: dict[str, float]) -> dict[str, float]:
    """Ratios to the first."""
    first = next(iter(seconds.values()))
    return {name: round(value / first, 2) for name, value in seconds.items()}


def memory_growth(count: int) -> float | None:
    """By how many MB drawing a set and training on it raises the peak of resident memory, after ten images."""
    return peak_growth(lambda: training("guarded", *drawn(10))(), lambda: training("guarded", *drawn(count))())


def table(found: dict[str, Any]) -> str:
    """Markdown: a row for each size of a set, then of an image, then for each number of processes."""
    lines = ["| training images | drawing one | training | peak memory, MB | the images alone, MB |", "|--:|--:|--:|--:|--:|"]
    for count, value in found["set"].items():
        memory = "–" if found["memory"][count] is None else f"{found['memory'][count]:.0f}"
        drawing = f"{found['drawing'][count]:.2f} ×"
        lines.append(f"| {int(count):,} | {drawing} | {value:.2f} × | {memory} | {found['bytes'][count]:.1f} |")
    lines += ["", "| image, px | pixels | training, `none` | training, `guarded` |", "|--:|--:|--:|--:|"]
    for size, value in found["size"]["none"].items():
        pixels = (int(size) / 28) ** 2
        lines.append(f"| {size} | {pixels:.1f} × | {value:.1f} × | {found['size']['guarded'][size]:.1f} × |")
    lines += ["", "| processes | time of a study |", "|--:|--:|"]
    lines += [f"| {processes} | {value:.2f} × |" for processes, value in found["processes"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
