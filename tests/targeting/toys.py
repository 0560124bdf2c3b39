"""Searches whose answer is known: an image of two pixels is its own code, and what is climbed is a function of it."""

from typing import Any

import torch
from torch import Tensor, nn

from tsynd.targeting import Synthesis, target
from tsynd.uncertainty import log_probabilities


class Toy:
    """Two classes; the log-odds of class 0 is a function of a code of two numbers, which are the image's two pixels."""

    networks: tuple[nn.Module, ...] = ()
    samples = 2

    def __init__(self, height: Any) -> None:
        self.height, self.sizes = height, list[int]()

    def encode(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.flatten(1)

    def decode(self, latents_BD: Tensor) -> Tensor:
        return latents_BD.view(-1, 1, 1, 2)

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        self.sizes.append(len(images_BCHW))
        height_B = self.height(images_BCHW.flatten(1))
        return log_probabilities(torch.stack([height_B, -height_B], dim=-1)).unsqueeze(1).expand(-1, 2, -1)

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Nothing is drawn."""


def log_odds(log_probs_BKC: Tensor, labels_B: Tensor) -> Tensor:
    """Of class 0: the height."""
    return (log_probs_BKC[:, 0, 0] - log_probs_BKC[:, 0, 1]) / 2


def run_toy(toy: Toy, start: list[list[float]], **changes: Any) -> Synthesis:
    """A search from these codes, in double, without noise."""
    images = torch.tensor(start, dtype=torch.float64).view(-1, 1, 1, 2)
    settings: dict[str, Any] = {"objective": log_odds, "noise": 0.0, "radius": 0.1, "steps": 12} | changes
    labels = settings.pop("labels", [0] * len(images))
    return target(images, torch.tensor(labels), toy, toy, **settings)
