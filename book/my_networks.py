"""Factories of classifiers: functions that tsynd calls with what the data have."""

import torch
from monai.networks.nets import DenseNet121
from torch import nn

from tsynd.classification import Network


def densenet(channels: int, size: int, classes: int, multi_label: bool) -> nn.Module:
    """A DenseNet with fresh weights. Any module that gives logits will do."""
    return DenseNet121(spatial_dims=2, in_channels=channels, out_channels=classes)


def fine_tuned(channels: int, size: int, classes: int, multi_label: bool) -> Network:
    """A pretrained network, say one of timm's: `network` would come from `timm.create_model(..., num_classes=classes)`."""
    network = nn.Sequential(Colour(), DenseNet121(spatial_dims=2, in_channels=3, out_channels=classes))
    return Network(
        network,
        normalise=((0.485, 0.456, 0.406)[:channels], (0.229, 0.224, 0.225)[:channels]),  # what it was trained on
        learning_rates={"1.features": 0.1, "1.features.conv0": 0},  # slower than the new layer; the first one is frozen
    )


class Colour(nn.Module):
    """Grey images as a network of colour photographs takes them: three times the same channel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.expand(-1, 3, -1, -1)
