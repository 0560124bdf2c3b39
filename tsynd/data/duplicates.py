"""Which images are the same, pixel for pixel or nearly: two hashes of each, and no comparison of all with all."""

import hashlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

GRID = 16
# Of the 256 bits of `nearly`. On 1,500 chest X-rays of 224 px a copy that was halved in size, saved as JPEG of quality 50,
# made darker or noisy differs in at most 11 bits, 99 % of copies in 9 or fewer; two images of different patients in 14 or more.
THRESHOLD = 10
# Hashes within the threshold agree in all bits of at least one band, since there are more bands than bits that may differ.
BANDS = 16
BLOCK = 1024


def exactly(pixels: np.ndarray) -> str:
    """A hash of the pixels, their type and shape: the same for the same picture in any file format without loss."""
    digest = hashlib.blake2b(f"{pixels.dtype} {pixels.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def nearly(pixels: np.ndarray) -> np.ndarray:
    """A difference hash: 256 bits that say, on a grid of 16 x 17 means, whether each is brighter than its left neighbour.

    Few bits change with size, compression, brightness, contrast and noise; many with rotation, mirroring or a crop of more
    than a hundredth.

    Args:
        pixels: (H, W) or (H, W, 3), 8 or 16 bits.

    Returns:
        (256,) bool.

    >>> nearly(np.arange(32 * 34).reshape(32, 34)).all()
    np.True_
    """
    grey = pixels if pixels.ndim == 2 else pixels.mean(2)
    grid = np.asarray(Image.fromarray(grey.astype(np.float32)).resize((GRID + 1, GRID), Image.Resampling.BOX))
    return (grid[:, 1:] > grid[:, :-1]).ravel()


def near_pairs(hashes_NB: np.ndarray, threshold: int = THRESHOLD) -> Iterator[tuple[int, int]]:
    """Pairs of positions whose hashes differ in at most `threshold` bits, each once, the smaller position first.

    Only hashes that agree in a band of bits are compared; the bands' bits are scattered over the image. All pairs within the
    threshold are found.

    Args:
        hashes_NB: (N, 256) bool.
        threshold: below 16.

    >>> hashes = np.zeros((3, 256), dtype=bool)
    >>> hashes[1, :7], hashes[2] = True, True
    >>> list(near_pairs(hashes))
    [(0, 1)]
    """
    width = hashes_NB.shape[1]
    scattered_NB = hashes_NB[:, np.arange(width) * 97 % width]
    signs_NB = scattered_NB.astype(np.float32) * 2 - 1
    seen: set[tuple[int, int]] = set()
    for band in range(BANDS):
        packed = np.packbits(scattered_NB[:, band * width // BANDS : (band + 1) * width // BANDS], axis=1)
        _, bucket_N = np.unique(packed, axis=0, return_inverse=True)
        order = np.argsort(bucket_N.ravel(), kind="stable")
        edges = np.flatnonzero(np.diff(bucket_N.ravel()[order])) + 1
        for members in np.split(order, edges):
            for start in range(0, len(members) if len(members) > 1 else 0, BLOCK):
                part = members[start : start + BLOCK]
                differing = (width - signs_NB[part] @ signs_NB[members].T) / 2
                for one, other in zip(*np.nonzero(differing <= threshold), strict=True):
                    pair = (int(part[one]), int(members[other]))
                    if pair[0] < pair[1] and pair not in seen:
                        seen.add(pair)
                        yield pair


def clusters(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Pairs as sets that hang together, in the order of their first members.

    >>> clusters([(0, 4), (1, 2), (4, 7)])
    [[0, 4, 7], [1, 2]]
    """
    parent: dict[int, int] = {}

    def root(one: int) -> int:
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    found: dict[int, list[int]] = {}
    for one in sorted(parent):
        found.setdefault(root(one), []).append(one)
    return list(found.values())
