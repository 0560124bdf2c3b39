"""What all posteriors share: the protocol, checks of what goes in and comes out, and passes of bounded size."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tsynd.errors import TsyndError
from tsynd.utils.validation import check_images


class Posterior(Protocol):
    """What targeting needs of a posterior. `networks` are frozen during a search."""

    networks: tuple[nn.Module, ...]
    samples: int

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to `log_probs_BKC`, differentiable in the images, under the samples held now."""
        ...

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Draw new posterior samples; they stay until the next call."""
        ...


def check_posterior(posterior: object) -> None:
    """Refuse what holds no samples, such as a network."""
    if not all(hasattr(posterior, name) for name in ("networks", "samples", "resample")):
        kind = type(posterior).__name__
        raise TsyndError(f"posterior must be one, such as HeadDropout.of(classifier), got {kind}, which holds no samples")


def checked_images(images_BCHW: Tensor) -> Tensor:
    """The images, if they are a float batch (B, C, H, W) that is not empty."""
    check_images(images_BCHW, in_range=False)
    return images_BCHW


def in_chunks(
    run: Callable[[Tensor, range], Tensor], images_BCHW: Tensor, samples: int, max_chunk: int | None, *, again: bool = True
) -> Tensor:
    """`run(images_bCHW, chosen samples)` on parts of at most `max_chunk` rows (images x samples), put together again.

    All samples of an image stay in one part if they fit. With `again`, when the images need a gradient, a part's activations
    are thrown away and computed again in the backward pass (torch.utils.checkpoint), so that memory is bounded there too. One
    part is run directly.

    >>> seen = []
    >>> def run(images, chosen):
    ...     seen.append((len(images), len(chosen)))
    ...     return images.flatten(1).sum(1)[:, None].expand(-1, len(chosen))
    >>> in_chunks(run, torch.ones(3, 1, 2, 2), samples=4, max_chunk=8).shape, seen
    (torch.Size([3, 4]), [(2, 4), (1, 4)])
    """
    rows = max_chunk or len(images_BCHW) * samples
    held, count = min(samples, rows), max(1, rows // samples)
    if held == samples and count >= len(images_BCHW):
        return run(images_BCHW, range(samples))
    again = again and torch.is_grad_enabled() and images_BCHW.requires_grad

    def part(images_bCHW: Tensor, chosen: range) -> Tensor:
        if not again:
            return run(images_bCHW, chosen)
        result: Tensor = checkpoint(run, images_bCHW, chosen, use_reentrant=False, preserve_rng_state=False)
        return result

    numbers = [range(start, min(start + held, samples)) for start in range(0, samples, held)]
    batches = images_BCHW.split(count)
    return torch.cat([torch.cat([part(images_bCHW, chosen) for chosen in numbers], dim=1) for images_bCHW in batches])
