"""What attacks and corruptions cost, beside what they find, against peers on the same network, batch and threads, in one run.

    python benchmarks/bench_robustness.py --out results/bench-robustness

The classifier that comes with the package for phantoms, 28 px, one thread, on images that it classifies rightly. Attacks in
L-infinity with one random start, equal eps, steps and (PGD) step size; accuracy is after the attack, its own evaluation not
in the time. Corruptions: our batched functions against an image at a time, by Pillow, numpy and scipy on 8-bit arrays, as
data sets of corrupted images are made. Variants take turns, and a ratio is that of the medians.

`--out` gets `summary.json` and `table.md`. Peers that are not installed are named, and their rows are missing:
pip install foolbox pyautoattack, and pip install --no-deps torchattacks.
"""

import io
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import options, write
from PIL import Image, ImageEnhance
from scipy.ndimage import convolve  # type: ignore[import-untyped]
from torch import Tensor, nn

import tsynd
from tsynd import pretrained
from tsynd.robustness import CORRUPTIONS, apgd, corrupt, pgd
from tsynd.robustness.corruptions.functions import _disc
from tsynd.utils.rng import generator_for, seeded

EPS, BATCH, TURNS, SEVERITY = 2 / 255, 100, 15, 3
PEERS = ("foolbox", "pyautoattack", "torchattacks")
Attack = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Measure and write what was found."""
    given = options(__doc__, "bench-robustness")
    model = pretrained.phantom().classifier
    test = tsynd.load("phantom", count=150).test
    images, labels = test.images.float() / 255, test.labels
    with torch.no_grad():
        right = (model(images).argmax(dim=1) == labels).nonzero().flatten()[:BATCH]
    images, labels = images[right], labels[right]
    found = {
        "eps": EPS,
        "batch": len(images),
        "severity": SEVERITY,
        "peers": {name: version(name) if find_spec(name) else None for name in PEERS},
        "attacks": attacked(model, images, labels),
        "corruptions": corrupted(images),
    }
    print(f"not installed: {', '.join(name for name in PEERS if not find_spec(name)) or 'none'}")
    write(given.out, found, table(found))


def attacks(model: nn.Module) -> dict[tuple[str, str], Attack]:
    """Each attack by its kind and whose it is."""
    start = generator_for(0, "start")
    found: dict[tuple[str, str], Attack] = {
        ("PGD, 20 steps", "tsynd"): lambda x, y: pgd(model, x, y, eps=EPS, step_size=EPS / 8, steps=20, generator=start),
        ("APGD-CE, 100 steps", "tsynd"): lambda x, y: apgd(model, x, y, eps=EPS, steps=100, generator=start),
    }
    if find_spec("foolbox"):
        import foolbox

        theirs, theirs_pgd = (
            foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"),
            foolbox.attacks.LinfPGD(abs_stepsize=EPS / 8, steps=20, random_start=True),
        )
        found["PGD, 20 steps", "foolbox"] = lambda x, y: theirs_pgd.run(
            theirs, x, foolbox.criteria.Misclassification(y), epsilon=EPS
        )
    if find_spec("pyautoattack"):
        from pyautoattack.autopgd_base import APGDAttack

        theirs_apgd = APGDAttack(model, n_iter=100, eps=EPS, seed=0, device="cpu")
        found["APGD-CE, 100 steps", "pyautoattack"] = theirs_apgd.perturb
    if find_spec("torchattacks"):
        import torchattacks

        found["PGD, 20 steps", "torchattacks"] = torchattacks.PGD(model, eps=EPS, alpha=EPS / 8, steps=20)
        found["APGD-CE, 100 steps", "torchattacks"] = torchattacks.APGD(model, eps=EPS, steps=100)
    return found


def attacked(model: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Rows of the table: medians of seconds over turns, and the accuracy that each leaves."""
    compared, accuracies = attacks(model), {}
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in compared}
    with seeded(0):  # peers draw from torch's global state
        for turn in range(TURNS + 1):
            for key, attack in compared.items():
                start = time.perf_counter()
                result = attack(images, labels)
                if turn:  # the first is a warm-up
                    seconds[key].append(time.perf_counter() - start)
                with torch.no_grad():
                    accuracies[key] = float((model(result).argmax(dim=1) == labels).double().mean())
    ours = {kind: median(seconds[kind, "tsynd"]) for kind, _ in compared}
    return [
        {
            "attack": kind,
            "by": by,
            "accuracy": round(accuracies[kind, by], 4),
            "seconds": round(median(seconds[kind, by]), 3),
            "of_ours": round(median(seconds[kind, by]) / ours[kind], 2),
        }
        for kind, by in sorted(compared, key=lambda key: (key[0] != "PGD, 20 steps", key[1] != "tsynd", key[1]))
    ]


def one_by_one(random: np.random.Generator) -> dict[str, Callable[[np.ndarray, float], np.ndarray]]:
    """Corruptions of one 8-bit grey image, at the level of ours."""

    def noisy(apply: Callable[[np.ndarray, float], np.ndarray]) -> Callable[[np.ndarray, float], np.ndarray]:
        return lambda image, level: (apply(image / 255, level).clip(0, 1) * 255).astype(np.uint8)

    def stored(image: np.ndarray, level: float) -> np.ndarray:
        Image.fromarray(image).save(file := io.BytesIO(), "jpeg", quality=int(level))
        return np.asarray(Image.open(file))

    def struck(image: np.ndarray, level: float) -> np.ndarray:
        numbers = random.random(image.shape)
        return np.where(numbers < level / 2, 0, np.where(numbers >= 1 - level / 2, 255, image)).astype(np.uint8)

    return {
        "gaussian_noise": noisy(lambda x, level: x + random.normal(scale=level, size=x.shape)),
        "speckle_noise": noisy(lambda x, level: x * (1 + random.normal(scale=level, size=x.shape))),
        "impulse_noise": struck,
        "shot_noise": noisy(lambda x, level: random.poisson(x * level) / level),
        "defocus_blur": noisy(lambda x, level: convolve(x, _disc(level * x.shape[-1]).numpy(), mode="mirror")),
        "brightness_up": lambda image, level: np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(level)),
        "contrast_down": lambda image, level: np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(level)),
        "gamma_up": noisy(lambda x, level: x**level),
        "jpeg": stored,
    }


def corrupted(images: Tensor) -> list[dict[str, Any]]:
    """Rows of the table: images a second, batched and one at a time."""
    arrays, rows = list((images[:, 0] * 255).round().byte().numpy()), []
    for name, function in one_by_one(np.random.default_rng(0)).items():
        level, generator = CORRUPTIONS[name].levels[SEVERITY - 1], generator_for(0, name)
        seconds: dict[str, list[float]] = {"batched": [], "one_by_one": []}
        for turn in range(TURNS + 1):
            start = time.perf_counter()
            corrupt(images, name, SEVERITY, generator)
            middle = time.perf_counter()
            np.stack([function(array, level) for array in arrays])
            if turn:
                seconds["batched"].append(middle - start)
                seconds["one_by_one"].append(time.perf_counter() - middle)
        rate = {kind: len(images) / median(values) for kind, values in seconds.items()}
        ratio = round(rate["batched"] / rate["one_by_one"], 2)
        rows.append({"corruption": name} | {kind: round(value) for kind, value in rate.items()} | {"ratio": ratio})
    return rows


def table(found: dict[str, Any]) -> str:
    """Markdown: attacks with accuracy beside time, then corruptions."""
    lines = ["| attack | by | accuracy | seconds | × ours |", "|:--|:--|--:|--:|--:|"]
    lines += [
        f"| {row['attack']} | {row['by']} | {row['accuracy']:.2f} | {row['seconds']:.2f} | {row['of_ours']:.2f} |"
        for row in found["attacks"]
    ]
    lines += ["", "| corruption | images a second, batched | one at a time | × faster |", "|:--|--:|--:|--:|"]
    lines += [
        f"| {row['corruption'].replace('_', ' ')} | {row['batched']:,} | {row['one_by_one']:,} | {row['ratio']:.1f} |"
        for row in found["corruptions"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    main()
