"""Small networks, images and predictions that the tests of robustness share."""

import torch
from torch import Tensor, nn

from tsynd.utils.rng import seeded


def small_network(channels: int, size: int, classes: int, seed: int = 0) -> nn.Sequential:
    """A convolution with batch norm and dropout, and a linear layer: everything that has a state to disturb."""
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(8 * (-(-size // 2)) ** 2, classes),
        ).eval()


def images_and_labels(count: int, channels: int = 1, size: int = 12, classes: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy images whose class is the band that is brighter."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    images = 0.3 + 0.2 * torch.rand(count, channels, size, size, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, label * size // classes : (label + 1) * size // classes] += 0.2
    return images, labels


def trained(network: nn.Sequential, images: Tensor, labels: Tensor, steps: int = 60) -> nn.Sequential:
    """The network after a few steps on the images, in eval mode."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()
    return network.eval()


def predictions(count: int, classes: int, seed: int, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Probabilities of which the label's is often the largest; the lower the temperature, the surer."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    logits = torch.randn(count, classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(count), labels] += 1
    return (logits / temperature).softmax(dim=1), labels


def label_predictions(count: int, labels: int, seed: int) -> tuple[Tensor, Tensor]:
    """Multi-label: probabilities and labels of 0 or 1, (count, labels) each; later labels are rarer."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.linspace(0.5, 0.2, labels, dtype=torch.float64)
    truth = (torch.rand(count, labels, generator=generator, dtype=torch.float64) < share).long()
    noise = torch.randn(count, labels, generator=generator, dtype=torch.float64)
    return (2 * truth - 1 + noise).sigmoid(), truth
