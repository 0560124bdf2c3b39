"""Images without labels: the training images that a small training set leaves over, or a folder of any images."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tsynd.data.dataset import Dataset
from tsynd.data.image_folder.decode_cache import decode_for
from tsynd.data.image_folder.image_file import NO_IMAGES, is_image
from tsynd.data.image_folder.listing import walk
from tsynd.data.splits import shuffled
from tsynd.errors import TsyndError
from tsynd.utils.tensor_files import tensors_hash

REST = "rest"


@dataclass(frozen=True)
class UnlabelledImages:
    """Images without labels, and where they come from.

    images: (U, C, H, W) uint8. index: (U,) int64, their positions in the data set's training split; None for a folder's.
    """

    images: Tensor
    index: Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """A hash of the images, in their order."""
        return tensors_hash({"images": self.images})


def unlabelled_images(source: str, data: Dataset, chosen: Tensor, *, count: int = 0, seed: int = 0) -> UnlabelledImages:
    """Return the images without labels that a training may use beside its own, the images `chosen` of `data.train`.

    Args:
        source: `rest`, the training images that are not among `chosen`, whose labels are not looked at; or a folder, with
            subfolders: whatever images lie there, fitted to the data set's size and channels.
        data, chosen: the data set, and (N,) positions in its training split.
        count, seed: at most so many, drawn by a hash of the seed, so that more contain fewer; 0 for all.

    Raises:
        TsyndError: when nothing is left, the folder holds no image, or one of its images cannot be read or does not fit.
    """
    if source == REST:
        left = torch.ones(len(data.train), dtype=torch.bool)
        left[chosen] = False
        index = _drawn(left.nonzero().flatten(), count, seed)
        if not len(index):
            raise TsyndError(
                f"unlabelled 'rest' is empty: all {len(data.train)} training images of {data.name} are trained on with their "
                "labels; take fewer with per_class, or name a folder of images"
            )
        return UnlabelledImages(data.train.images[index], index)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise TsyndError(f"unlabelled must be 'rest' or a folder of images, got {source!r}: no such folder")
    files = [file for file in walk(folder) if is_image(file)]
    if not files:
        raise TsyndError(f"{folder} has {NO_IMAGES}")
    some = [files[place] for place in _drawn(torch.arange(len(files)), count, seed).tolist()]
    images = decode_for(some, data.channels, data.size, "the labelled images are grey")
    return UnlabelledImages(torch.from_numpy(images.copy()), None)


def _drawn(index: Tensor, count: int, seed: int) -> Tensor:
    """At most `count` of the positions, in ascending order; all for 0."""
    if not count or count >= len(index):
        return index
    order = shuffled([f"unlabelled {position}" for position in range(len(index))], seed)[:count]
    return index[sorted(order)]
