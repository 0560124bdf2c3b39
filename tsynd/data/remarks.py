"""What in arrays of images and labels may not be what their owner means: told by `load` and `data check`, never refused."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from tsynd.data.dataset import Split

# More bytes than these are not looked at once more while they are loaded.
MOST = 2**30


def array_remarks(splits: Mapping[str, Split]) -> Iterator[tuple[str, str]]:
    """Remarks on a train, a val and a test split: a kind in a word or two, and a sentence."""
    labels = [split.labels for split in splits.values()]
    if labels[0].ndim == 2 and labels[0].shape[1] > 1 and all(bool((each.sum(dim=-1) == 1).all()) for each in labels):
        text = "every image has exactly one of several labels: if they are one-hot classes, write labels (N,), by argmax"
        yield "one label each", text
    for one, other in combinations([name for name, split in splits.items() if split.groups is not None], 2):
        found, others = (splits[name].groups for name in (one, other))
        assert found is not None and others is not None
        if common := set(found[found >= 0].tolist()) & set(others[others >= 0].tolist()):
            yield "group in several splits", f"{len(common)} group(s) have images in {one} and in {other}, such as {min(common)}"
    if sum(split.images.numel() for split in splits.values()) > MOST:
        return
    if (largest := max(int(split.images.max()) for split in splits.values())) <= 1:
        yield "dark", f"no image is brighter than {largest} of 255: were they in [0, 1] before they became whole numbers?"
    yield from (("copies", text) for text in leaks(splits))


def leaks(splits: Mapping[str, Split]) -> Iterator[str]:
    """Whether an image is in two splits, pixel for pixel at the size that is trained on."""
    hashes = {
        name: {hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in split.images.numpy()}
        for name, split in splits.items()
    }
    for one, other in combinations(splits, 2):
        if count := len(hashes[one] & hashes[other]):
            yield f"{count} image(s) of {other} are in {one} too, pixel for pixel: a leak; tsynd data check names them"
