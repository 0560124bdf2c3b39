"""Autoencoders of yours: a module with `encode` and `decode`, ours, MONAI's or one of diffusers', from a factory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tsynd.autoencoding.standardised import AnyAutoencoder
from tsynd.errors import TsyndError
from tsynd.utils.batching import as_float
from tsynd.utils.factories import find_factory
from tsynd.utils.rng import seeded
from tsynd.utils.user_weights import load_weights

TRIED = 64  # images on which an autoencoder must reconstruct more than their mean


@dataclass(frozen=True)
class Codec:
    """An autoencoder of yours and what must be known of it; a factory may return one instead of the bare module.

    Args:
        module: has the methods `encode`, from images to codes of any shape, and `decode` back. `encode` may return the codes;
            a pair of mean and deviation, as MONAI's AutoencoderKL does; or an object with `latent_dist`, `latents` or `latent`,
            as those of diffusers do: the mean is taken. `decode` may return the images, or an object with `sample`.
        value_range: of the images that the module works on, such as (-1, 1) for the networks of diffusers.
        train: whether a run trains it, on the images that ours would be trained on. Otherwise it is used as it is.
    """

    module: nn.Module
    value_range: Sequence[float] = (0.0, 1.0)
    train: bool = False

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to codes of the module's own shape and scale."""
        low, high = self.value_range
        network: Any = self.module
        found = network.encode(low + (high - low) * images_BCHW)
        if isinstance(found, tuple | list) and found:
            return found[0]
        if hasattr(found, "latent_dist"):
            return found.latent_dist.mean
        return getattr(found, "latents", getattr(found, "latent", found))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to images, in [0, 1] where the module keeps to its range."""
        low, high = self.value_range
        network: Any = self.module
        found = network.decode(codes)
        found = found[0] if isinstance(found, tuple | list) and found else getattr(found, "sample", found)
        if not isinstance(found, Tensor):
            raise TsyndError(f"decode must return images (B, C, H, W), got {type(found).__name__}")
        return (found - low) / (high - low)


def adopt_autoencoder(
    factory: str,
    images_BCHW: Tensor,
    seed: int,
    *,
    weights: str | os.PathLike[str] | None = None,
    loading: bool = False,
) -> tuple[AnyAutoencoder, bool]:
    """Make the autoencoder of a factory of yours: `FILE.py:factory` or `package.module:factory`.

    The factory is called with the channels and the size of the images, and returns a module with `encode` and `decode`, or a
    `Codec`.

    Args:
        images_BCHW: training images in [0, 1] or of 8 bits, on the device where the autoencoder is to be.
        weights: a file for `tsynd.load_weights`.
        loading: whether the state of such an autoencoder is loaded next, so that nothing is to be measured or trained.

    Returns:
        The autoencoder, and whether it is still to be trained.

    Raises:
        TsyndError: when the factory fails or returns something else, or the autoencoder does not reconstruct the images
            better than their mean and is not to be trained.
    """
    with seeded(seed):
        made = find_factory(factory)(*images_BCHW.shape[1:3])
    codec = made if isinstance(made, Codec) else Codec(made)
    missing = [name for name in ("encode", "decode") if not callable(getattr(codec.module, name, None))]
    if not isinstance(codec.module, nn.Module) or missing:
        wanted = "a torch.nn.Module with the methods encode and decode, or a Codec of one"
        found = type(codec.module).__name__ + (f", which has no {' and no '.join(missing)}" if missing else "")
        raise TsyndError(f"{factory} must return {wanted}, got {found}")
    low, high = codec.value_range
    if not low < high:
        raise TsyndError(f"{factory}: value_range must be (lowest, highest), got {tuple(codec.value_range)}")
    if weights is not None:
        load_weights(codec.module, Path(weights))
    network, later = codec.module.to(images_BCHW.device), codec.train or loading
    some_BCHW = images_BCHW[:TRIED] if later or images_BCHW.dtype == torch.uint8 else images_BCHW
    try:
        autoencoder = AnyAutoencoder(codec.encode, codec.decode, as_float(some_BCHW), networks=[network], trained=not later)
        if not later:
            if some_BCHW is not images_BCHW:
                autoencoder.standardise(images_BCHW)
            first_BCHW = as_float(images_BCHW[:TRIED])
            with torch.no_grad():
                error = float((autoencoder(first_BCHW) - first_BCHW).square().mean())
            spread = float((first_BCHW - first_BCHW.mean(dim=0)).square().mean())
            if len(first_BCHW) > 1 and error >= spread:  # it has not learnt such images, and what it decodes would be noise
                raise TsyndError(
                    f"it reconstructs the training images worse than their mean does (squared error {error:.3g}, their variance "
                    f"is {spread:.3g}): name its weights, or give the range of its images as value_range"
                )
    except TsyndError as refused:
        hint = "" if later else " (a network that is still to be trained: return Codec(module, train=True))"
        raise TsyndError(f"{factory}: {refused}{hint}") from refused
    return autoencoder, codec.train
