"""Randomness that belongs to the caller: named generators from one seed, and a context that gives the global state back."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tsynd.utils.validation import check_kind, check_seed


def seed_for(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose, the same on every platform.

    Each purpose has a stream of its own, so that two arms which share a seed share subset and initialisation, whatever else they
    draw.
    """
    check_seed(seed)
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator_for(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose (see `seed_for`). Draws are made on the CPU, then moved: the same on every device."""
    return torch.Generator().manual_seed(seed_for(seed, purpose))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global state inside the block (layers initialise and drop out from it) and give it back afterwards."""
    check_seed(seed)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def uniform(shape: tuple[int, ...], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) drawn on the generator's device (CPU without one), then of `like`'s device and type."""
    return torch.rand(shape, generator=generator, device=_device(generator)).to(like)


def normal(shape: tuple[int, ...], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Standard normal numbers drawn on the generator's device (CPU without one), then of `like`'s device and type."""
    return torch.randn(shape, generator=generator, device=_device(generator)).to(like)


def poisson(rates: Tensor, generator: torch.Generator | None) -> Tensor:
    """Poisson numbers of these rates (>= 0) drawn on the generator's device (CPU without one), of the rates' device and type."""
    return torch.poisson(rates.to(_device(generator)).float(), generator=generator).to(rates)


def _device(generator: torch.Generator | None) -> torch.device:
    check_kind(torch.Generator, optional=True, generator=generator)
    return generator.device if generator is not None else torch.device("cpu")
