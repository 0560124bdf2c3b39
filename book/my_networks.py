"""Factories of classifiers: functions that tsynd calls with what the data have."""

import torch
from monai.networks.nets import DenseNet121
from torch import nn

from tsynd.classification import Network


class Enlarge(nn.Module):
    """Images as a network of large photographs takes them: at least 64 px, and as many channels as it wants."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.expand(-1, self.channels, -1, -1)
        small = images.shape[-1] < 64
        return nn.functional.interpolate(images, (64, 64), mode="bilinear") if small else images


def densenet(channels: int, size: int, classes: int, multi_label: bool) -> nn.Module:
    """A DenseNet with fresh weights. Any module that gives logits will do."""
    return nn.Sequential(Enlarge(channels), DenseNet121(spatial_dims=2, in_channels=channels, out_channels=classes))


def fine_tuned(channels: int, size: int, classes: int, multi_label: bool) -> Network:
    """A pretrained network of photographs, say one of timm's instead of this DenseNet, whose weights are fresh."""
    return Network(
        nn.Sequential(Enlarge(3), DenseNet121(spatial_dims=2, in_channels=3, out_channels=classes)),
        normalise=((0.485, 0.456, 0.406)[:channels], (0.229, 0.224, 0.225)[:channels]),  # what it was trained on
        learning_rates={"1.features": 0.1, "1.features.conv0": 0},  # slower than the new layer; the first one is frozen
    )
