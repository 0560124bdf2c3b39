"""What an accelerator gives: training, search, attack and evaluation there against one core of a CPU, and against peers there.

    python benchmarks/bench_gpu.py --out results/bench-gpu
    python benchmarks/bench_gpu.py --smoke            # seconds, on a CPU: does the script work? Its numbers mean nothing

Each part runs with the defaults, and on the accelerator also with its variants: channels last, bfloat16 (`autocast`) and
CUDA graphs (`torch.compile(mode="reduce-overhead")`). Peers are a plain loop for training and torchattacks for PGD. Variants take
turns after a warm-up, the device is waited for before a clock is read, and what is reported is a ratio of medians.
*Synchronisations* are counted by `torch.cuda.set_sync_debug_mode`: how often a training step, or a whole search, waits for the
device. Without an accelerator nothing is measured and nothing is written, unless `--smoke` is given.

`--out` gets `summary.json` and `table.md`.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from measure import turns, write
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.classification import build_classifier
from tsynd.posterior import HeadDropout
from tsynd.robustness import evaluate, pgd
from tsynd.targeting import target
from tsynd.training import Recipe, parse_arm, train_classifier

Call = Callable[[], object]

SAMPLES = 64


def main() -> None:
    """Measure and write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("results") / "bench-gpu", help="where the results go")
    parser.add_argument("--smoke", action="store_true", help="tiny, on the CPU if need be; writes nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None and not given.smoke:
        raise SystemExit("no accelerator here: nothing was measured. --smoke tries the script on the CPU")
    device = accelerator or torch.device("cpu")
    sizes, batch, steps, count = ((28,), 8, 2, 1) if given.smoke else ((28, 64, 128), 256, 20, 7)
    found: dict[str, Any] = {"batch": batch, "steps": steps, "samples": SAMPLES, "accelerator": str(device)}
    for size in sizes:
        found[str(size)] = measured(size, batch, steps, count, device)
        print(size, found[str(size)], file=sys.stderr, flush=True)
    if not given.smoke:
        write(given.out, found, table(found, sizes))


def measured(size: int, batch: int, steps: int, count: int, device: torch.device) -> dict[str, Any]:
    """Of each part: seconds by variant, relative to the default on the accelerator, and synchronisations there."""
    cpu = torch.device("cpu")
    result: dict[str, Any] = {}
    for name, part in {
        "training": trainings,
        "autoencoder": autoencoders,
        "search": searches,
        "pgd": attacks,
        "evaluation": evaluations,
    }.items():
        there, here = part(size, batch, steps, device), part(size, batch, steps, cpu)
        variants: dict[str, Call] = {f"accelerator, {kind}": finished(call, device) for kind, call in there.items()}
        variants["one core of the CPU"] = here["default"]
        seconds = turns(variants, count, clock=time.perf_counter)
        default = seconds["accelerator, default"]
        result[name] = {kind: round(value / default, 3) for kind, value in seconds.items()} | {"seconds": round(default, 4)}
        result[name]["synchronisations"] = synchronisations(there["default"], device)
    return result


def material(size: int, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random images and labels on the device."""
    images_BCHW = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    return images_BCHW.to(device), (torch.arange(batch) % 4).to(device)


def trainings(size: int, batch: int, steps: int, device: torch.device) -> dict[str, Callable[[], object]]:
    """Our loop of a classifier; a plain loop, also in bfloat16 and compiled."""
    images_BCHW, labels_B = material(size, batch, device)
    recipe = replace(Recipe(), steps=steps, batch_size=batch)

    def ours() -> None:
        train_classifier(build_classifier(3, size, 4, seed=0).to(device), images_BCHW, labels_B, parse_arm("none"), recipe)

    def plain(network: nn.Module, narrow: bool = False) -> Callable[[], None]:
        optimiser = torch.optim.AdamW(network.parameters(), fused=True)

        def loop() -> None:
            for _ in range(steps):
                optimiser.zero_grad()
                with torch.autocast(device.type, torch.bfloat16) if narrow else nullcontext():
                    loss = F.cross_entropy(network(images_BCHW), labels_B)
                loss.backward()
                optimiser.step()

        return loop

    def network() -> nn.Module:
        return build_classifier(3, size, 4, seed=0).to(device).train()

    last: nn.Module = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    variants: dict[str, Callable[[], object]] = {
        "default": ours, "plain loop": plain(network()), "plain loop, channels last": plain(last),
        "plain loop, bfloat16": plain(network(), narrow=True),
    }  # fmt: skip
    if device.type == "cuda":
        variants["plain loop, CUDA graphs"] = plain(torch.compile(network(), mode="reduce-overhead"))  # type: ignore[arg-type]
    return variants


def autoencoders(size: int, batch: int, steps: int, device: torch.device) -> dict[str, Callable[[], object]]:
    """The training of the autoencoder, with batches of 16 as usual and with large ones."""
    images_BCHW, _ = material(size, batch, device)

    def train(batch_size: int) -> Callable[[], object]:
        return lambda: train_autoencoder(
            build_autoencoder(3, size, seed=0).to(device), images_BCHW, steps=steps, batch_size=batch_size
        )

    return {"default": train(16), f"batches of {batch}": train(batch)}


def searches(size: int, batch: int, steps: int, device: torch.device) -> dict[str, Callable[[], object]]:
    """The search from a batch of images."""
    images_BCHW, labels_B = material(size, batch, device)
    autoencoder, classifier = (
        build_autoencoder(3, size, seed=0).to(device),
        build_classifier(3, size, 4, seed=0).to(device).eval(),
    )
    autoencoder.standardise(images_BCHW)
    posterior = HeadDropout.of(classifier, SAMPLES, torch.Generator().manual_seed(0))

    def search() -> object:
        return target(images_BCHW, labels_B, autoencoder.eval(), posterior, generator=torch.Generator().manual_seed(0))

    def folded() -> object:
        with posterior.folded():
            return search()

    return {"default": search, "folded": folded}


def attacks(size: int, batch: int, steps: int, device: torch.device) -> dict[str, Callable[[], object]]:
    """PGD with 20 steps, ours and that of torchattacks if it is installed; and ours on a network in bfloat16."""
    images_BCHW, labels_B = material(size, batch, device)
    classifier = build_classifier(3, size, 4, seed=0).to(device).eval()

    def narrow(x: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return classifier(x)

    variants: dict[str, Callable[[], object]] = {
        "default": lambda: pgd(classifier, images_BCHW, labels_B, eps=4 / 255),
        "bfloat16": lambda: pgd(narrow, images_BCHW, labels_B, eps=4 / 255),
    }
    try:
        import torchattacks
    except ImportError:
        return variants
    peer = torchattacks.PGD(classifier, eps=4 / 255, alpha=2.5 * 4 / 255 / 20, steps=20)
    return variants | {"torchattacks": lambda: peer(images_BCHW, labels_B)}


def evaluations(size: int, batch: int, steps: int, device: torch.device) -> dict[str, Callable[[], object]]:
    """The whole evaluation of a batch, as a run does it, and without folding."""
    images_BCHW, labels_B = (tensor.cpu() for tensor in material(size, batch, device))
    posterior = HeadDropout.of(build_classifier(3, size, 4, seed=0).to(device).eval(), SAMPLES, torch.Generator().manual_seed(0))

    def whole(network: nn.Module) -> object:
        return evaluate(network, images_BCHW, labels_B, "multi-class", posterior=posterior, draws=2, attack_steps=min(20, steps))

    def folded() -> object:
        with posterior.folded() as network:
            return whole(network)

    return {"default": folded, "not folded": lambda: whole(posterior.networks[0])}


def finished(call: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """The call, and the wait until the device has done it."""

    def run() -> None:
        call()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    return run


def synchronisations(call: Callable[[], object], device: torch.device) -> int | None:
    """How often a call waits for the device; None where torch cannot tell."""
    if device.type != "cuda":
        return None
    with counting() as waits:
        call()
    return len(waits)


@contextmanager
def counting() -> Iterator[list[Any]]:
    """Collect a warning for each synchronisation inside the block."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        waits: list[Any] = []
        try:
            yield waits
        finally:
            torch.cuda.set_sync_debug_mode("default")
            waits += [each for each in caught if "synchroniz" in str(each.message).lower()]


def table(found: dict[str, Any], sizes: tuple[int, ...]) -> str:
    """Markdown: a row for each part, size and variant."""
    lines = ["| part | image, px | variant | time, relative to the default on the accelerator |", "|:--|--:|:--|--:|"]
    for size in sizes:
        for part, variants in found[str(size)].items():
            for kind, value in variants.items():
                if kind not in ("seconds", "synchronisations"):
                    lines.append(f"| {part} | {size} | {kind} | {value:.2f} × |")
    lines += ["", "| part | image, px | synchronisations in one call |", "|:--|--:|--:|"]
    for size in sizes:
        for part, variants in found[str(size)].items():
            waits = variants["synchronisations"]
            lines.append(f"| {part} | {size} | {'–' if waits is None else waits} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
