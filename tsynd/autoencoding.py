"""The autoencoder: images to latent codes and back, standardised so that one radius means the same on every data set."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.modes import frozen
from tsynd.randomness import generator_for, normal, seeded
from tsynd.robustness.augmentation import INSIDE, augment

LATENT_CHANNELS = 16
# A dimension that hardly varies on a small training set would otherwise blow up when it is divided by its deviation.
FLOOR = 0.5


def build_autoencoder(channels: int, size: int, seed: int) -> "ConvAutoencoder":
    """A freshly initialised autoencoder; the same seed gives the same weights, and torch's global state is untouched."""
    with seeded(seed):
        return ConvAutoencoder(channels, size)


def train_autoencoder(
    autoencoder: "ConvAutoencoder",
    images_BCHW: Tensor,
    *,
    steps: int = 800,
    batch_size: int = 64,
    learning_rate: float = 4e-3,
    latent_noise: float = 0.05,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train on images in [0, 1] by mean squared error, with light augmentation and noise on the codes, then standardise.

    The noise, in units of the codes' overall standard deviation, makes the decoder smooth around each code: the ball
    that targeting searches must decode to plausible images.

    Args:
        images_BCHW: (N, C, H, W) training images in [0, 1], on the autoencoder's device.
        steps, batch_size, learning_rate: AdamW with a one-cycle schedule that peaks at `learning_rate`.
        latent_noise: standard deviation of the noise, relative to the codes of the batch.
        seed: of batches, augmentation and noise.
        progress: called with (step, loss) after each step.

    Returns:
        The loss (mean squared error in [0, 1] intensity) of each step.
    """
    generator = generator_for(seed, "autoencoder batches")
    optimiser = torch.optim.AdamW(autoencoder.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, max(steps, 2))
    losses = []
    autoencoder.train()
    for step in range(steps):
        index = torch.randint(len(images_BCHW), (batch_size,), generator=generator)
        batch_BCHW = augment(images_BCHW[index.to(images_BCHW.device)], INSIDE, generator)
        codes = autoencoder.encoder(autoencoder.pad(batch_BCHW))
        noise = normal(tuple(codes.shape), generator, codes) * codes.detach().std() * latent_noise
        loss = F.mse_loss(autoencoder.crop(autoencoder.decoder(codes + noise)), batch_BCHW)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if progress:
            progress(step, losses[-1])
    autoencoder.eval()
    autoencoder.standardise(images_BCHW)
    return losses


class ConvAutoencoder(nn.Module):
    """A small convolutional autoencoder with two verbs, `encode` and `decode`, on *standardised* codes.

    A code has zero mean and unit variance per dimension on the training images (with a floor on the variance), so a
    radius is measured in the same units everywhere. Images are padded by replication to a multiple of the total stride;
    28 px give a code of 16 x 4 x 4 = 256 numbers, 224 px one of 16 x 7 x 7.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: side of the square images, in px, at least 16.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, size: int) -> None:
        if size < 16:
            raise TsyndError(f"an autoencoder needs size >= 16 px, got {size}")
        super().__init__()
        self.channels, self.size = channels, size
        halvings = max(3, (size // 4).bit_length() - 1)
        self.padding = -size % 2**halvings
        self.shape = (LATENT_CHANNELS, (size + self.padding) >> halvings, (size + self.padding) >> halvings)
        fold = 2 ** (halvings - 2)  # a cheap first and last step: pixels become channels and back (Shi et al., CVPR 2016)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(fold),
            nn.Conv2d(channels * fold**2, 32, 3, padding=1),
            _block(32, 64, stride=2),
            _block(64, 64, stride=2),
            nn.Conv2d(64, LATENT_CHANNELS, 3, padding=1),
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
        dimensions = LATENT_CHANNELS * self.shape[1] * self.shape[2]
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("std", torch.ones(dimensions))

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to standardised codes (B, D)."""
        expected = (self.channels, self.size, self.size)
        if images_BCHW.ndim != 4 or tuple(images_BCHW.shape[1:]) != expected:
            raise TsyndError(f"images must have shape (B, {', '.join(map(str, expected))}), got {tuple(images_BCHW.shape)}")
        codes: Tensor = (self.encoder(self.pad(images_BCHW)).flatten(1) - self.mean) / self.std
        return codes

    def decode(self, latents_BD: Tensor) -> Tensor:
        """Standardised codes (B, D) to images (B, C, H, W) in [0, 1]."""
        return self.crop(self.decoder((latents_BD * self.std + self.mean).unflatten(1, self.shape)))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """The reconstruction: decode(encode(images))."""
        return self.decode(self.encode(images_BCHW))

    @torch.no_grad()
    def standardise(self, images_BCHW: Tensor, batch_size: int = 256) -> None:
        """Set mean and deviation per dimension from training images; deviations below FLOOR x their RMS are raised to it."""
        with frozen(self):
            batches = images_BCHW.split(batch_size)
            codes_ND = torch.cat([self.encoder(self.pad(batch)).flatten(1) for batch in batches])
        self.mean.copy_(codes_ND.mean(dim=0))
        variance_D = codes_ND.var(dim=0, correction=0)
        self.std.copy_(variance_D.clamp_min(FLOOR**2 * variance_D.mean().clamp_min(1e-8)).sqrt())

    def pad(self, images_BCHW: Tensor) -> Tensor:
        """Replicate the border so that the side is a multiple of the total stride."""
        before, after = self.padding // 2, self.padding - self.padding // 2
        return F.pad(images_BCHW, (before, after, before, after), mode="replicate") if self.padding else images_BCHW

    def crop(self, images_BCHW: Tensor) -> Tensor:
        """Undo `pad`."""
        before = self.padding // 2
        return images_BCHW[..., before : before + self.size, before : before + self.size]


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.GroupNorm(8, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, stride, 1))
