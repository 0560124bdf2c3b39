"""What K posterior samples cost: time and memory of mutual information with its gradient, against peers, in one run.

    python benchmarks/bench_uncertainty.py --out results/bench-uncertainty

One network (our classifier, 28 px, batch 32), one thread. Each variant computes the gradient of the mutual information
under K samples with respect to the images, in eval mode, without gradients of the weights; *deterministic* is one pass
with the gradient of its entropy. Variants take turns, and a ratio is that of the medians. Memory is the growth of the
process's peak resident set (VmHWM, Linux) over one such step in a process of its own, after a small one as warm-up.

`--out` gets `summary.json` and `table.md`. Without baal installed (pip install baal) its rows are missing.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from measure import memory_of, options, peak_growth, turns, write
from torch import Tensor, nn

from tsynd.classification import build_classifier
from tsynd.posterior import FullDropout, HeadDropout
from tsynd.uncertainty import log_probabilities, mutual_information, predictive_entropy
from tsynd.utils.eval_mode import frozen

SAMPLES = (8, 64, 256)
BATCH, SIZE, CHUNK = 32, 28, 256
# Turns of each variant, by K.
TURNS = {8: 15, 64: 7, 256: 7}

Step = Callable[[Tensor], Tensor]


def main() -> None:
    """Measure and write what was found; with --memory-of, only that of one variant, for the process above."""
    given = options(__doc__, "bench-uncertainty", nargs=2, metavar=("VARIANT", "K"))
    if given.memory_of:
        print(memory_growth(given.memory_of[0], int(given.memory_of[1])))
        return
    rows = [row for samples in SAMPLES for row in measured(samples)]
    found = {"batch": BATCH, "size": SIZE, "chunk": CHUNK, "baal": version("baal") if find_spec("baal") else None, "rows": rows}
    if found["baal"] is None:
        print("baal is not installed: its rows are missing")
    write(given.out, found, table(rows))


def variants(samples: int) -> dict[str, Step]:
    """Each variant by name: images that need a gradient to one value for each image."""
    network = build_classifier(1, SIZE, 2, seed=0).eval()
    head, full, chunked = (
        HeadDropout.of(network, samples, torch.Generator().manual_seed(0)),
        FullDropout(network, samples, torch.Generator().manual_seed(0)),
        FullDropout(network, samples, torch.Generator().manual_seed(0), max_chunk=CHUNK),
    )
    found: dict[str, Step] = {
        "deterministic": lambda images: entropy(network, images),
        "HeadDropout": lambda images: mutual_information(head(images)),
        "FullDropout": lambda images: mutual_information(full(images)),
        f"FullDropout, max_chunk={CHUNK}": lambda images: mutual_information(chunked(images)),
        "loop of K passes": lambda images: mutual_information(loop(network, images, samples)),
        "batch repetition": lambda images: mutual_information(repetition(network, images, samples)),
    }
    if find_spec("baal"):
        from baal.bayesian.dropout import patch_module

        peer = patch_module(network, inplace=False).eval()
        found["baal, MC dropout"] = lambda images: mutual_information(repetition(peer, images, samples))
    return found


def entropy(network: nn.Module, images: Tensor) -> Tensor:
    """One pass, no samples."""
    with frozen(network):
        return predictive_entropy(log_probabilities(network(images)).unsqueeze(1))


def sampling(network: nn.Module) -> nn.Module:
    """The network with its dropout layers in training mode, as Monte-Carlo dropout is usually done."""
    for module in network.modules():
        module.train(isinstance(module, nn.Dropout))
    return network


def loop(network: nn.Module, images: Tensor, samples: int) -> Tensor:
    """K passes of the whole network, one after the other."""
    with frozen(network):
        sampling(network)
        return torch.stack([log_probabilities(network(images)) for _ in range(samples)], dim=1)


def repetition(network: nn.Module, images: Tensor, samples: int) -> Tensor:
    """One pass of the batch repeated K times: what baal's `predict_on_batch` does, but with gradients."""
    with frozen(network):
        logits = sampling(network)(images.repeat(samples, 1, 1, 1))
        return log_probabilities(logits).unflatten(0, (samples, -1)).transpose(0, 1)


def step(variant: Step, images_BCHW: Tensor) -> None:
    """A value and its gradient to the images."""
    images_BCHW = images_BCHW.clone().requires_grad_()
    torch.autograd.grad(variant(images_BCHW).sum(), images_BCHW)


def measured(samples: int) -> list[dict[str, Any]]:
    """Rows of the table for one K: medians over turns that the variants take one after another."""
    images_BCHW = torch.rand(BATCH, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    compared = variants(samples)
    # The short ones are repeated, so that a turn is long enough to be measured.
    once = turns(
        {name: partial(step, variant, images_BCHW) for name, variant in compared.items()},
        TURNS[samples],
        {"deterministic": 10, "HeadDropout": 10},
    )
    return [
        {
            "samples": samples,
            "variant": name,
            "milliseconds": round(1000 * once[name], 1),
            "of_deterministic": round(once[name] / once["deterministic"], 2),
            "of_loop": round(once[name] / once["loop of K passes"], 4),
            "peak_megabytes": memory_of(__file__, name, samples),
        }
        for name in compared
    ]


def memory_growth(name: str, samples: int) -> float | None:
    """By how many MB one step raises the peak of resident memory."""
    few, variant, images_BCHW = variants(2)[name], variants(samples)[name], torch.rand(BATCH, 1, SIZE, SIZE)
    return peak_growth(lambda: step(few, images_BCHW[:2]), lambda: step(variant, images_BCHW))


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: time as ratios, memory in MB."""
    lines = ["| K | variant | ms | × deterministic | × faster than the loop | peak memory, MB |", "|--:|:--|--:|--:|--:|--:|"]
    for row in rows:
        memory = "–" if row["peak_megabytes"] is None else f"{row['peak_megabytes']:.0f}"
        lines.append(
            f"| {row['samples']} | {row['variant']} | {row['milliseconds']:.1f} | {row['of_deterministic']:.2f} "
            f"| {1 / row['of_loop']:.1f} | {memory} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
