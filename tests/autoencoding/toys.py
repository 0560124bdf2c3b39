"""Images, quick training and a small network that the tests of autoencoders share."""

from typing import Any

import torch
from torch import Tensor, nn

from tsynd.autoencoding import ConvAutoencoder, build_autoencoder, train_autoencoder

IMAGES = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 2


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def quickly(kind: str = "conv", **settings: Any) -> tuple[ConvAutoencoder, list[float]]:
    autoencoder = build_autoencoder(1, 28, seed=0, kind=kind)
    return autoencoder, train_autoencoder(autoencoder, IMAGES, **{"steps": 3, "batch_size": 4} | settings)


class Toy(nn.Module):
    """An encoder and a decoder with all that a search could disturb: batch norm, dropout, weights."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 3, 4, 4), nn.BatchNorm2d(3), nn.Dropout(0.5))
        self.up = nn.Sequential(nn.ConvTranspose2d(3, 1, 4, 4), nn.BatchNorm2d(1), nn.Sigmoid())

    def compress(self, images_BCHW: Tensor) -> Tensor:
        codes: Tensor = self.down(images_BCHW)
        return codes

    def restore(self, codes_BCHW: Tensor) -> Tensor:
        images: Tensor = self.up(codes_BCHW)
        return images


def untouched(network: nn.Module) -> list[Any]:
    """All that a call may not change."""
    tensors = [(name, tensor.clone().tolist()) for name, tensor in network.state_dict().items()]
    flags = [(parameter.requires_grad, parameter.grad is None) for parameter in network.parameters()]
    return [tensors, flags, [module.training for module in network.modules()], torch.get_rng_state().tolist()]
