"""Factories of classifiers: tsynd calls them with what the data have."""

import torch
from monai.networks.nets import DenseNet121
from torch import nn

from tsynd.classification import Network


class Enlarge(nn.Module):
    """Images of at least 64 px, with the channels that a network wants."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.expand(-1, self.channels, -1, -1)
        if images.shape[-1] >= 64:
            return images
        return nn.functional.interpolate(images, (64, 64), mode="bilinear")


def densenet(
    channels: int, size: int, classes: int, multi_label: bool
) -> nn.Module:
    """A DenseNet with fresh weights; any module with logits will do."""
    return nn.Sequential(
        Enlarge(channels),
        DenseNet121(
            spatial_dims=2, in_channels=channels, out_channels=classes
        ),
    )


def fine_tuned(
    channels: int, size: int, classes: int, multi_label: bool
) -> Network:
    """A pretrained network, fine-tuned.

    Put yours in the place of this DenseNet, whose weights are fresh.
    """
    return Network(
        nn.Sequential(
            Enlarge(3),
            DenseNet121(
                spatial_dims=2, in_channels=3, out_channels=classes
            ),
        ),
        # what it was trained on
        normalise=(
            (0.485, 0.456, 0.406)[:channels],
            (0.229, 0.224, 0.225)[:channels],
        ),
        # slower than the new layer; the first one is frozen
        learning_rates={"1.features": 0.1, "1.features.conv0": 0},
    )
