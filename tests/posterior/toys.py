"""Small networks that the tests of posteriors share: each has something that a posterior must get right or refuse."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.utils.rng import seeded

IMAGES = torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Own(nn.Module):
    """A user's network: batch norm, channel dropout in the trunk, one dropout layer called twice in the head."""

    def __init__(self, trunk_rate: float = 0.2, head_rate: float = 0.5, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.thin = nn.Dropout2d(trunk_rate)
        self.first = nn.Linear(8 * 36, 16)
        self.drop = nn.Dropout(head_rate)
        self.second = nn.Linear(16, 16)
        self.last = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(self.thin(F.relu(self.norm(self.conv(images)))).flatten(1))
        return self.last(self.drop(F.relu(self.second(self.drop(F.relu(x))))))


def own(trunk_rate: float = 0.2, head_rate: float = 0.5, classes: int = 3, seed: int = 0) -> Own:
    with seeded(seed):
        network = Own(trunk_rate, head_rate, classes)
        network(torch.rand(16, 1, 12, 12))  # running statistics that are not those of a fresh network
        return network.eval()


def plain(*layers: nn.Module, classes: int = 3) -> nn.Sequential:
    """Flatten, a linear layer, the given layers, a linear layer."""
    with seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(144, 8), *layers, nn.Linear(8, classes)).eval()


class Called(nn.Module):
    """A layer that calls a function of (x, self.training)."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.training)  # type: ignore[operator]


FUNCTIONAL = Called(lambda x, training: F.dropout(x, 0.5, training))
ALWAYS = Called(lambda x, training: F.dropout(x, 0.5, True))
DEPTH = Called(lambda x, training: x * (torch.rand(len(x), 1) > 0.2) if training else x)


class Attention(nn.Module):
    """Self-attention over 4 parts of the features, with dropout of its own."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, dropout=rate, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.view(len(x), 4, 2)
        return self.attention(parts, parts, parts)[0].flatten(1)
