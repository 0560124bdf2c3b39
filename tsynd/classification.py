"""The classifier: a compact residual trunk and a small stochastic head, with normalisation inside the network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.randomness import seeded


def build_classifier(channels: int, size: int, classes: int, seed: int) -> "Classifier":
    """A freshly initialised classifier; the same seed gives the same weights, and torch's global state is untouched."""
    with seeded(seed):
        return Classifier(channels, size, classes)


def normalise_to(classifier: "Classifier", images_BCHW: Tensor) -> None:
    """Set the mean and standard deviation that the network normalises by, per channel, from training images in [0, 1]."""
    classifier.mean.copy_(images_BCHW.mean(dim=(0, 2, 3)).view(1, -1, 1, 1))
    classifier.std.copy_(images_BCHW.std(dim=(0, 2, 3)).clamp_min(0.01).view(1, -1, 1, 1))


class Classifier(nn.Module):
    """A small residual network: `trunk` (images to features), then `head` (features to logits, with dropout).

    The trunk pads the images by replication to a multiple of 16 px, halves them at least once and until fewer than 32 px
    are left, and ends in global average pooling: 64 features. The head is 64-64-C with dropout of .5 before each linear
    layer; it is the only stochastic part, so a posterior over it costs one trunk pass (`tsynd.posterior.HeadDropout`).

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: side of the square images, in px, at least 16.
        classes: number of classes, at least 2.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, size: int, classes: int) -> None:
        if size < 16 or classes < 2:
            raise TsyndError(f"a classifier needs size >= 16 px and at least 2 classes, got size={size}, classes={classes}")
        super().__init__()
        self.channels, self.size, self.classes = channels, size, classes
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, channels, 1, 1), 0.25))
        halvings = max(1, (-(-size // 16)).bit_length() - 1)
        stem = [_halving(channels if i == 0 else 16, 16) for i in range(halvings)]
        blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
        self.features = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, classes))

    def trunk(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to features (B, 64); deterministic in eval mode."""
        expected = (self.channels, self.size, self.size)
        if images_BCHW.ndim != 4 or tuple(images_BCHW.shape[1:]) != expected:
            raise TsyndError(f"images must have shape (B, {', '.join(map(str, expected))}), got {tuple(images_BCHW.shape)}")
        missing = -self.size % 16
        padded = F.pad(images_BCHW, (missing // 2, missing - missing // 2) * 2, mode="replicate") if missing else images_BCHW
        features: Tensor = self.features((padded - self.mean) / self.std)
        return features

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, classes)."""
        logits: Tensor = self.head(self.trunk(images_BCHW))
        return logits


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norm and a shortcut (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def _halving(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
