"""How images reach the network: a whole set as one uint8 tensor, or a `DataLoader` that transforms each image, in one run.

    python benchmarks/bench_loading.py --out results/bench-loading

The work is the same: each image is augmented once by the light augmentation of training, and comes in a batch of 64
floats in [0, 1], in random order. *Tensor*: a batch is indexed and augmented at once, as in `tsynd.training`. *Each image*:
torch's `DataLoader` and a data set that augments one image when asked for it, without and with a worker process. *Batches*: the
same loader, whole batches augmented. One thread a process; variants take turns, and a ratio is that of the medians. Nothing is
decoded: images are random pixels in memory. Before anything is timed, images augmented alone and in a batch must be the same.

`--out` gets `summary.json` and `table.md`.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from measure import options, turns, write
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.utils.batching import as_float

BATCH, TURNS = 64, 9
COUNTS = {28: 2048, 64: 1024, 224: 128}
FIRST = "tensor"

Epoch = Callable[[], Iterator[Tensor]]


def main() -> None:
    """Measure, and write what was found."""
    given = options(__doc__, "bench-loading")
    found: dict[str, Any] = {"batch": BATCH, "turns": TURNS, "images": {str(size): count for size, count in COUNTS.items()}}
    found["ratio"] = {str(size): ratios(size, count) for size, count in COUNTS.items()}
    print(found["ratio"], file=sys.stderr, flush=True)
    write(given.out, found, table(found))


class EachImage(Dataset[Tensor]):
    """Augments one image when it is asked for, as a data set with a transform does."""

    def __init__(self, images_NCHW: Tensor, generator: torch.Generator | None = None) -> None:
        self.images_NCHW, self.generator = images_NCHW, generator

    def __len__(self) -> int:
        return len(self.images_NCHW)

    def __getitem__(self, position: int) -> Tensor:
        return augment(as_float(self.images_NCHW[position : position + 1]), TRAIN_RANGE, self.generator)[0]


def epochs(images_NCHW: Tensor) -> dict[str, Epoch]:
    """One pass over the images in several forms, by name; each yields augmented batches."""
    whole, single = TensorDataset(images_NCHW), EachImage(images_NCHW)

    def tensor() -> Iterator[Tensor]:
        for index_B in torch.randperm(len(images_NCHW)).split(BATCH):
            yield augment(as_float(images_NCHW[index_B]), TRAIN_RANGE)

    def batches() -> Iterator[Tensor]:
        for (batch_BCHW,) in DataLoader(whole, BATCH, shuffle=True):
            yield augment(as_float(batch_BCHW), TRAIN_RANGE)

    return {
        FIRST: tensor,
        "DataLoader, batches": batches,
        "DataLoader, each image": lambda: iter(DataLoader(single, BATCH, shuffle=True)),
        "DataLoader, each image, 1 worker": lambda: iter(DataLoader(single, BATCH, shuffle=True, num_workers=1)),
    }


def ratios(size: int, count: int) -> dict[str, float]:
    """Medians of a pass over `count` images of `size` px, relative to the first variant."""
    images_NCHW = torch.randint(256, (count, 1, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    if not same_work(images_NCHW[:BATCH]):
        raise SystemExit("the variants do not do the same work: nothing was measured")
    seconds = turns({name: partial(whole_pass, epoch) for name, epoch in epochs(images_NCHW).items()}, TURNS)
    return {name: round(value / seconds[FIRST], 2) for name, value in seconds.items()}


def whole_pass(epoch: Epoch) -> int:
    """Go through all batches; how many images there were."""
    return sum(map(len, epoch()))


def same_work(images_BCHW: Tensor) -> bool:
    """Whether images come out of a batch as they come out one by one, when both draw the same numbers."""
    together, single = (torch.Generator().manual_seed(0) for _ in range(2))
    batch_BCHW = augment(as_float(images_BCHW), TRAIN_RANGE, together)
    each = EachImage(images_BCHW, single)
    return torch.allclose(torch.stack([each[position] for position in range(len(each))]), batch_BCHW, atol=1e-5)


def table(found: dict[str, Any]) -> str:
    """Markdown: a row for each variant, a column for each size."""
    sizes = list(found["ratio"])
    head = "| time of a pass, relative to the first row | " + " | ".join(f"{size} px" for size in sizes) + " |\n"
    rows = [
        f"| {name} | " + " | ".join(f"{found['ratio'][size][name]:.1f} ×" for size in sizes) + " |\n"
        for name in found["ratio"][sizes[0]]
    ]
    return head + "|:--|" + "--:|" * len(sizes) + "\n" + "".join(rows)


if __name__ == "__main__":
    main()
