"""Trained networks that come with the package, so that an example starts at once; `make artefacts` makes them again."""

import hashlib
from pathlib import Path

from torch import nn

from tsynd import store
from tsynd.data.phantom.oracle import Oracle
from tsynd.errors import TsyndError
from tsynd.randomness import seeded

FOLDER = Path(__file__).resolve().parent
ORACLE = FOLDER / "oracle.safetensors"


def oracle() -> Oracle:
    """The oracle that recovers the factors of phantoms of 28 px from their images, trained and in eval mode.

    Raises:
        TsyndError: when its file is missing or damaged.

    >>> import tsynd
    >>> from tsynd.data.phantom import classify
    >>> images = tsynd.load("phantom", count=1).train.images.float() / 255
    >>> classify(oracle().recover(images)).shape
    torch.Size([2])
    """
    with seeded(0):  # layers initialise from torch's global state, which is not ours to change
        network = Oracle()
    store.load_weights(ORACLE, network)
    notes = store.load_notes(ORACLE) or {}
    if notes.get("hash") != fingerprint(network):
        raise TsyndError(
            f"{ORACLE} is damaged: its weights are not those that it was written with; make artefacts makes it again"
        )
    return network


def fingerprint(network: nn.Module) -> str:
    """A short hash of a network's weights and buffers, in the order of their names."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
