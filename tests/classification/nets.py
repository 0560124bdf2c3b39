"""Small networks of the kinds that researchers bring, and factories of them: also called by name in tests of runs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.autoencoding.any_codec import Codec
from tsynd.classification.any_network import Network


class DenseNet(nn.Module):
    """As DenseNets are: concatenated features, batch norm before each convolution, ReLU in place, `.view`, no dropout."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 8, 3, 4, 1), Dense(8), Dense(12), nn.BatchNorm2d(16))
        self.classifier = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(F.relu(self.features(x), inplace=True), 2)
        x = x.view(x.size(0), 16, -1).mean(2)
        logits: Tensor = self.classifier(x)
        return logits


class Dense(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 4, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


class ResNet(nn.Module):
    """As those of timm are: conv1, bn1, layer1, then `fc` behind dropout of its own that is a function's argument."""

    def __init__(self, channels: int, classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head_drop = nn.Dropout(dropout)
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.global_pool(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        logits: Tensor = self.fc(self.head_drop(x))
        return logits


def densenet(channels: int, size: int, classes: int, multi_label: bool) -> nn.Module:
    return DenseNet(channels, classes)


def resnet(channels: int, size: int, classes: int, multi_label: bool) -> Network:
    return Network(ResNet(channels, classes), normalise="training", learning_rates={"conv1": 0, "bn1": 0, "layer1": 0.1})


class Coder(nn.Module):
    """An autoencoder whose `encode` gives a mean and a deviation, as MONAI's AutoencoderKL does."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 4, 4), nn.ConvTranspose2d(4, channels, 4, 4)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        codes = self.down(images)
        return codes, torch.ones_like(codes)

    def decode(self, codes: Tensor) -> Tensor:
        images: Tensor = self.up(codes)
        return images


def coder(channels: int, size: int) -> Codec:
    return Codec(Coder(channels), train=True)


def untrained(channels: int, size: int) -> nn.Module:
    return Coder(channels)
