"""What targeting costs: one ascent step, the whole search and a whole training, as ratios in one run.

    python benchmarks/bench_targeting.py --out results/bench-targeting

Our own networks, one thread. *Step*: decoder and posterior, forward and backward to the code. *Plain*: the same search as
one would first write it: K full passes in a loop, `.backward()`, weight gradients left on; its masks are those of our
posterior, so both must find the same images. *Training*: budget `cpu`, 600 steps, 60 random images of each class. Variants
take turns, and a ratio is that of the medians. Memory is the growth of the process's peak resident set (VmHWM, Linux) in a
process of its own.

`--out` gets `summary.json` and `table.md`.
"""

import contextlib
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from measure import memory_of, options, peak_growth, turns, write
from torch import Tensor, nn

from tsynd.autoencoding import ConvAutoencoder, build_autoencoder
from tsynd.classification import Classifier, build_classifier
from tsynd.posterior import HeadDropout
from tsynd.targeting import OBJECTIVES, target
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.uncertainty import log_probabilities, mutual_information, predictive_entropy
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import uniform

BATCH, SAMPLES, STEPS, RADIUS = 64, 64, 5, 0.25
SIZES, COUNTS = (28, 64, 128, 224), (8, 16, 32, 64, 128, 256, 512)
CHUNK = 32
TURNS, TRAININGS = 9, 7


def main() -> None:
    """Measure and write what was found; with --memory-of, only that of one chunk size, for the process above."""
    given = options(__doc__, "bench-targeting", type=int, metavar="CHUNK")
    if given.memory_of is not None:
        print(memory_growth(given.memory_of or None))
        return
    found: dict[str, Any] = {"batch": BATCH, "samples": SAMPLES, "steps": STEPS}
    for name, part in {"step": steps, "plain": plain, "training": trainings, "size": by_size, "count": by_count}.items():
        found[name] = part()
        print(name, found[name], file=sys.stderr, flush=True)
    found["memory"] = {str(chunk): memory_of(__file__, chunk) for chunk in (0, CHUNK)}
    write(given.out, found, table(found))


def networks(size: int = 28) -> tuple[Tensor, Tensor, ConvAutoencoder, Classifier]:
    """Random images and labels, and untrained networks that fit them."""
    images_BCHW = torch.rand(BATCH, 1, size, size, generator=torch.Generator().manual_seed(0))
    autoencoder, classifier = build_autoencoder(1, size, seed=0), build_classifier(1, size, 2, seed=0)
    autoencoder.standardise(images_BCHW)
    return images_BCHW, torch.arange(BATCH) % 2, autoencoder.eval(), classifier.eval()


def posterior_of(classifier: Classifier, samples: int = SAMPLES) -> HeadDropout:
    """The posterior, whose first masks are always the same."""
    return HeadDropout.of(classifier, samples, torch.Generator().manual_seed(0))


def step_of(
    size: int, samples: int, layout: torch.memory_format = torch.contiguous_format, narrow: bool = False
) -> Callable[[], None]:
    """One ascent step: the gradient of the objective to the codes; with 0 samples that of one pass's entropy."""
    images_BCHW, _, autoencoder, classifier = networks(size)
    for network in (autoencoder, classifier):
        network.to(memory_format=layout)  # type: ignore[call-overload]
    posterior = posterior_of(classifier, samples) if samples else None
    with torch.no_grad():
        start_BD = autoencoder.encode(images_BCHW)

    def step() -> None:
        z_BD = start_BD.clone().requires_grad_()
        cast = torch.autocast("cpu", torch.bfloat16) if narrow else contextlib.nullcontext()
        with frozen(autoencoder, classifier), cast:
            decoded = autoencoder.decode(z_BD)
            if posterior:
                value_B = mutual_information(posterior(decoded))
            else:
                value_B = predictive_entropy(log_probabilities(classifier(decoded)).unsqueeze(1))
            torch.autograd.grad(value_B.sum(), z_BD)

    return step


def steps() -> dict[str, float]:
    """One step in several forms, as ratios to a deterministic classifier's."""
    variants: dict[str, Callable[[], object]] = {
        "deterministic": step_of(28, 0),
        "K = 64": step_of(28, SAMPLES),
        "K = 64, channels_last": step_of(28, SAMPLES, torch.channels_last),
        "K = 64, bf16": step_of(28, SAMPLES, narrow=True),
        "K = 64, bf16, channels_last": step_of(28, SAMPLES, torch.channels_last, narrow=True),
    }
    seconds = turns(variants, 2 * TURNS)
    return {name: round(value / seconds["deterministic"], 3) for name, value in seconds.items()}


def plain() -> dict[str, float]:
    """Our search against the plain one: how many times faster, and, in double precision, how far what they find is apart."""
    images_BCHW, labels_B, autoencoder, classifier = networks()

    def ours() -> Tensor:
        generator = torch.Generator().manual_seed(1)
        settings: dict[str, Any] = {"radius": RADIUS, "steps": STEPS, "noise": 0.0, "generator": generator}
        return target(images_BCHW, labels_B, autoencoder, posterior_of(classifier), **settings).images

    masks = search_masks(images_BCHW, autoencoder, classifier)
    seconds = turns({"ours": ours, "plain": lambda: plain_search(images_BCHW, autoencoder, classifier, masks)}, 7)
    images_BCHW, autoencoder, classifier = images_BCHW.double(), autoencoder.double(), classifier.double()
    difference = (ours() - plain_search(images_BCHW, autoencoder, classifier, masks)).abs().max().item()
    return {"times_faster": round(seconds["plain"] / seconds["ours"], 1), "largest_difference": float(f"{difference:.1e}")}


def search_masks(images_BCHW: Tensor, autoencoder: ConvAutoencoder, classifier: Classifier) -> dict[str, Tensor]:
    """The masks that `target` holds during its ascent, when its generator begins with seed 1."""
    seen: list[dict[str, Tensor]] = []
    posterior = posterior_of(classifier)

    def objective(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
        seen.append(posterior.masks)
        return OBJECTIVES["mutual_information"](log_probs_BKC, labels_B)

    generator = torch.Generator().manual_seed(1)
    target(images_BCHW, torch.zeros(BATCH).long(), autoencoder, posterior, objective=objective, steps=1, generator=generator)
    return seen[0]


def plain_search(images_BCHW: Tensor, autoencoder: ConvAutoencoder, classifier: Classifier, masks: dict[str, Tensor]) -> Tensor:
    """TSynD as one would first write it."""
    start = autoencoder.encode(images_BCHW).detach()
    limit = RADIUS * math.sqrt(start.shape[1])
    z, best_z = start.clone(), start.clone()
    best = torch.full((BATCH,), -torch.inf, dtype=start.dtype)
    for t in range(STEPS + 1):
        z = z.detach().requires_grad_()
        probs = torch.stack([one_pass(classifier, autoencoder.decode(z), masks, k) for k in range(SAMPLES)])
        mean = probs.mean(dim=0)
        value = -(mean * mean.log()).sum(dim=1) + (probs * probs.log()).sum(dim=2).mean(dim=0)
        better = value.detach() > best
        best, best_z = torch.where(better, value.detach(), best), torch.where(better[:, None], z.detach(), best_z)
        if t < STEPS:
            value.sum().backward()
            assert z.grad is not None
            offset = z.detach() + 0.4 * limit * z.grad / z.grad.norm(dim=1, keepdim=True) - start
            z = start + offset * (limit / offset.norm(dim=1, keepdim=True)).clamp_max(1)
    with torch.no_grad():
        return autoencoder.decode(best_z)


def one_pass(classifier: Classifier, images_BCHW: Tensor, masks: dict[str, Tensor], k: int) -> Tensor:
    """Probabilities under the k-th masks, by a pass of the whole network."""
    x = classifier.trunk(images_BCHW)
    for number, layer in enumerate(classifier.head):
        x = x * masks[f"head.{number}"][k] if isinstance(layer, nn.Dropout) else layer(x)
    return x.softmax(dim=1)


def trainings() -> dict[str, float]:
    """A whole training of each arm, as ratios to `none` at equal optimiser steps."""
    generator = torch.Generator().manual_seed(0)
    images_BCHW, labels_B = uniform((120, 1, 28, 28), generator, torch.empty(0)), torch.arange(120) % 2
    autoencoder = build_autoencoder(1, 28, seed=0)
    autoencoder.standardise(images_BCHW)
    recipe = Recipe()

    def train(arm: str, **changes: Any) -> Callable[[], object]:
        classifier = build_classifier(1, 28, 2, seed=0)
        settings = replace(recipe, **changes)
        return lambda: train_classifier(classifier, images_BCHW, labels_B, parse_arm(arm), settings, autoencoder=autoencoder)

    arms = ("none", "random", "sham", "tsynd", "guarded", "pgd")
    seconds = turns({arm: train(arm) for arm in arms}, TRAININGS)
    return {name: round(value / seconds["none"], 2) for name, value in seconds.items()}


def by_size() -> dict[str, float]:
    """Milliseconds of a step for one image, by the side of the images in px."""
    seconds = turns({str(size): step_of(size, SAMPLES) for size in SIZES}, 7)
    return {name: round(1000 * value / BATCH, 3) for name, value in seconds.items()}


def by_count() -> dict[str, float]:
    """A step by K, as ratios to a deterministic classifier's."""
    seconds = turns({"0": step_of(28, 0)} | {str(count): step_of(28, count) for count in COUNTS}, TURNS)
    return {name: round(value / seconds["0"], 2) for name, value in seconds.items() if name != "0"}


def memory_growth(chunk: int | None) -> float | None:
    """By how many MB a search of 64 images of 224 px raises the peak of resident memory."""
    images_BCHW, labels_B, autoencoder, classifier = networks(224)
    return peak_growth(
        lambda: target(images_BCHW[:2], labels_B[:2], autoencoder, posterior_of(classifier), steps=1),
        lambda: target(images_BCHW, labels_B, autoencoder, posterior_of(classifier), steps=1, max_chunk=chunk),
    )


def table(found: dict[str, Any]) -> str:
    """Markdown, one row for each measurement."""
    rows = [(f"one ascent step, {name}", f"{value:.2f} × deterministic") for name, value in found["step"].items()]
    faster, apart = found["plain"]["times_faster"], found["plain"]["largest_difference"]
    rows.append(("the whole search", f"{faster:.0f} × faster than the plain one"))
    rows.append(("largest difference of a pixel from the plain one, in double precision", f"{apart:.0e}"))
    rows += [(f"a whole training, `{name}`", f"{value:.2f} × `none`") for name, value in found["training"].items()]
    rows += [(f"one step, K = {name}", f"{value:.2f} × deterministic") for name, value in found["count"].items()]
    first = next(iter(found["size"].values()))
    rows += [(f"one step for one image of {name} px", f"{value / first:.1f} × 28 px") for name, value in found["size"].items()]
    for chunk, megabytes in found["memory"].items():
        if megabytes is not None:
            rows.append((f"memory, 64 images of 224 px, max_chunk={chunk if chunk != '0' else None}", f"{megabytes:.0f} MB"))
    return "| what | cost |\n|:--|--:|\n" + "".join(f"| {what} | {cost} |\n" for what, cost in rows)


if __name__ == "__main__":
    main()
