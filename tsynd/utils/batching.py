"""A set of images in batches of bounded memory, and a model's predictions for it."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.utils.network_passes import finite, name_of, wide
from tsynd.utils.network_trial import ask
from tsynd.utils.validation import check_count, check_tensors


def batches(images: Tensor, batch_size: int, device: torch.device | None = None) -> Iterator[tuple[slice, Tensor]]:
    """Go through a set in order: where each batch lies in it, and the batch as float images in [0, 1] on the device.

    Args:
        images: (B, C, H, W), uint8, or float in [0, 1].
        batch_size: at most so many images at a time, at least 1.
        device: where the batches are wanted; left where they are without one.

    Raises:
        TsyndError: when the set is empty, has another shape or dtype, or `batch_size` < 1.

    >>> [(where.start, batch.dtype) for where, batch in batches(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), 2)]
    [(0, torch.float32), (2, torch.float32)]
    """
    check_tensors(images=images)
    if images.ndim != 4 or len(images) == 0:
        raise TsyndError(f"images must have shape (B, C, H, W) with B >= 1, got {tuple(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TsyndError(f"images must be uint8, or float in [0, 1], got {images.dtype}")
    check_count(1, batch_size=batch_size)
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size].to(device or images.device)
        yield slice(start, start + len(batch)), batch.float() / 255 if batch.dtype == torch.uint8 else wide(batch)


def fitting(size: int, most: int = 256) -> int:
    """How many images of a size to take at a time: `most`, and above 64 px so many as have as many pixels.

    >>> fitting(28), fitting(128), fitting(224)
    (256, 64, 20)
    """
    return max(1, min(most, most * 64**2 // size**2))


def predict(model: Callable[[Tensor], Tensor], images: Tensor, batch_size: int, device: torch.device | None = None) -> Tensor:
    """What a model says of a whole set, batch by batch and without gradients: (B, ...) on the CPU, all of it finite."""
    with torch.no_grad():
        found = torch.cat([ask(model, batch).cpu() for _, batch in batches(images, batch_size, device)])
    if not finite(found):
        bad = found.reshape(len(found), -1).isfinite().all(dim=1).logical_not().nonzero().flatten()
        raise TsyndError(f"{name_of(model)} gives NaN or infinite numbers for {len(bad)} image(s), such as number {int(bad[0])}")
    return found


# Training images that would take more bytes than this as floats are kept in 8 bits.
LARGE = 10**9


def as_float(images: Tensor) -> Tensor:
    """Images in [0, 1]: those of 8 bits are divided by 255, others are as they are."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def for_training(images: Tensor, device: torch.device | None) -> Tensor:
    """8-bit images on a device, in [0, 1]; where that would take more than `LARGE` bytes, as they are, a quarter as large.

    Training takes either, and converts the latter batch by batch.
    """
    moved = images.to(device)
    return moved if images.numel() * 4 > LARGE else as_float(moved)
