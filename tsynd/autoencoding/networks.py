"""The package's own autoencoders: a convolutional one with a cheap decoder, and its variational sibling."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.autoencoding.standardised import Standardised
from tsynd.errors import TsyndError
from tsynd.utils.rng import normal, seeded
from tsynd.utils.validation import check_name, check_number, check_seed, check_whole

LATENT_CHANNELS = 16
# A VAE's codes begin with this log-variance, a deviation of .14: with one of 1 its decoder would first learn from noise.
FIRST_LOG_VARIANCE = -4.0


def build_autoencoder(channels: int, size: int, seed: int, kind: str = "conv") -> "ConvAutoencoder":
    """A freshly initialised autoencoder; the same seed gives the same weights, and torch's global state is untouched.

    `kind` is `conv` or `vae`.

    >>> build_autoencoder(1, 28, seed=0).encode(torch.rand(2, 1, 28, 28)).shape
    torch.Size([2, 256])
    """
    check_name("kind of autoencoder", kind, KINDS)
    check_seed(seed)
    with seeded(seed):
        return KINDS[kind](channels, size)


class ConvAutoencoder(Standardised):
    """A small convolutional autoencoder with two verbs, `encode` and `decode`, on *standardised* codes.

    A code has zero mean and unit variance per dimension on the training images (with a floor on the variance), so a
    radius is measured in the same units everywhere. Images are padded by replication to a multiple of the total stride;
    28 px give a code of 16 x 4 x 4 = 256 numbers, 224 px one of 16 x 7 x 7.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: side of the square images, in px, at least 16.
    """

    maps: ClassVar[int] = LATENT_CHANNELS
    """How many maps the encoder ends in."""

    def __init__(self, channels: int, size: int) -> None:
        check_whole(channels=channels, size=size)
        if channels < 1:
            raise TsyndError(f"channels must be >= 1, got {channels}")
        if size < 16:
            raise TsyndError(f"an autoencoder needs size >= 16 px, got {size}")
        super().__init__()
        self.channels, self.size = channels, size
        halvings = max(3, (size // 4).bit_length() - 1)
        self.padding = -size % 2**halvings
        side = (size + self.padding) >> halvings
        fold = 2 ** (halvings - 2)  # a cheap first and last step: pixels become channels and back (Shi et al., CVPR 2016)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(fold),
            nn.Conv2d(channels * fold**2, 32, 3, padding=1),
            _block(32, 64, stride=2),
            _block(64, 64, stride=2),
            nn.Conv2d(64, self.maps, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, 64, 3, padding=1),
            _block(64, 4 * 64),
            nn.PixelShuffle(2),
            _block(64, 4 * 32),
            nn.PixelShuffle(2),
            _block(32, 32),
            nn.Conv2d(32, channels * fold**2, 3, padding=1),
            nn.PixelShuffle(fold),
            nn.Sigmoid(),
        )
        self.expect((channels, size, size), (LATENT_CHANNELS, side, side))

    def encode_raw(self, images_BCHW: Tensor) -> Tensor:
        codes: Tensor = self.encoder(self.pad(images_BCHW))
        return codes

    def decode_raw(self, codes: Tensor) -> Tensor:
        return self.crop(self.decoder(codes))

    def pad(self, images_BCHW: Tensor) -> Tensor:
        """Replicate the border so that the side is a multiple of the total stride."""
        before, after = self.padding // 2, self.padding - self.padding // 2
        return F.pad(images_BCHW, (before, after, before, after), mode="replicate") if self.padding else images_BCHW

    def crop(self, images_BCHW: Tensor) -> Tensor:
        """Undo `pad`."""
        before = self.padding // 2
        return images_BCHW[..., before : before + self.size, before : before + self.size]


class VAE(ConvAutoencoder):
    """A variational autoencoder (Kingma and Welling, ICLR 2014): the same network, but a code is a normal distribution.

    The encoder gives mean m and log-variance v of each raw code. Training decodes a sample, and adds to its squared error

        beta / pixels * KL,   KL = sum (m^2 + exp v - v - 1) / 2   (in nats, to a standard normal distribution),

    where pixels = C H W. With beta = 2 s^2 the sum is the negative evidence bound for pixels with noise of standard
    deviation s, but for constants; beta is a dial between sharp images and a dense latent space (Higgins et al., ICLR 2017).
    `encode` gives the standardised mean.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: side of the square images, in px, at least 16.
        beta: weight of the divergence, at least 0. The default comes from a throw-away trial on BreastMNIST's validation
            split, with one seed: from .003 on images blurred, and dimensions fell idle.

    Raises:
        TsyndError: for a smaller size, or a negative beta.
    """

    maps: ClassVar[int] = 2 * LATENT_CHANNELS
    latent_noise: ClassVar[float] = 0.0  # its own sampling is the noise

    def __init__(self, channels: int, size: int, beta: float = 1e-3) -> None:
        check_number(beta=beta)
        if not 0 <= beta < math.inf:
            raise TsyndError(f"beta must be >= 0, got {beta}")
        super().__init__(channels, size)
        self.beta = beta

    def encode_raw(self, images_BCHW: Tensor) -> Tensor:
        return self.distribution(images_BCHW)[0]

    def draw(self, images_BCHW: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """A sample of each image's raw code, and the divergence beta KL / pixels, averaged over the images."""
        mean, log_variance = self.distribution(images_BCHW)
        codes = mean + normal(tuple(mean.shape), generator, mean) * (log_variance / 2).exp()
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum() / 2
        return codes, self.beta * divergence / images_BCHW.numel()

    def distribution(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of raw codes, each (B, 16, h, w)."""
        mean, log_variance = self.encoder(self.pad(images_BCHW)).chunk(2, dim=1)
        return mean, (log_variance + FIRST_LOG_VARIANCE).clamp(-20, 10)


KINDS: dict[str, type[ConvAutoencoder]] = {"conv": ConvAutoencoder, "vae": VAE}


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.GroupNorm(8, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, stride, 1))
