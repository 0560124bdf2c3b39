"""A posterior over the classifier: it maps images to log-probabilities under K weight samples that are held fixed.

Fixed samples matter. The search of `tsynd.targeting` climbs one function, not another one at every step; afterwards
`resample()` draws new ones, so that uncertainty is reported on samples the search has not seen.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from tsynd.classification import Classifier
from tsynd.errors import TsyndError
from tsynd.randomness import generator_for, uniform


class Posterior(Protocol):
    """What targeting needs of a posterior. `networks` are frozen during a search."""

    networks: tuple[nn.Module, ...]

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to `log_probs_BKC`, differentiable in the images, under the samples held now."""
        ...

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Draw new posterior samples; they stay until the next call."""
        ...


class HeadDropout:
    """Monte-Carlo dropout in the head only: one pass through the trunk, K stochastic heads.

    The masks are shared over the batch and fixed until `resample()`, so results do not depend on how a batch is split,
    and K = 64 samples cost hardly more than one. (Gal and Ghahramani, ICML 2016, read dropout as an approximate
    posterior; batchbald_redux holds its masks likewise.)

    Args:
        trunk: images (B, C, H, W) to features (B, F).
        head: a `Sequential` of layers that act on the last dimension, with at least one `Dropout`.
        networks: the modules to put in eval mode and to freeze while the posterior is used.
        samples: K, the number of posterior samples, at least 2.
        generator: where the first masks are drawn from; torch's global state without one.

    Raises:
        TsyndError: when `samples` < 2 or the head has no dropout, so that its samples could not disagree.
    """

    def __init__(
        self,
        trunk: Callable[[Tensor], Tensor],
        head: nn.Sequential,
        networks: tuple[nn.Module, ...],
        samples: int = 64,
        generator: torch.Generator | None = None,
    ) -> None:
        if samples < 2:
            raise TsyndError(f"samples must be >= 2, so that they can disagree, got {samples}")
        if not any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in head):
            raise TsyndError("the head has no dropout, so all its samples would agree: add nn.Dropout layers to it")
        self.trunk, self.head, self.networks, self.samples = trunk, head, networks, samples
        self.resample(generator)

    @classmethod
    def of(cls, classifier: Classifier, samples: int = 64, generator: torch.Generator | None = None) -> "HeadDropout":
        """The posterior of a `Classifier`, by the dropout in its head."""
        return cls(classifier.trunk, classifier.head, (classifier,), samples, generator)

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Draw new masks for every dropout layer of the head (drawn on the CPU: the same on every device)."""
        device = generator.device if generator is not None else None
        self._seed = int(torch.randint(2**62, (1,), generator=generator, device=device))
        self._masks: dict[int, Tensor] = {}

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to log-probabilities (B, K, C), in fp32 or wider."""
        x_BKF = self.trunk(images_BCHW).unsqueeze(1).expand(-1, self.samples, -1)
        for index, layer in enumerate(self.head):
            x_BKF = x_BKF * self._mask(index, layer.p, x_BKF) if isinstance(layer, nn.Dropout) else layer(x_BKF)
        return torch.log_softmax(x_BKF.to(torch.promote_types(x_BKF.dtype, torch.float32)), dim=-1)

    def _mask(self, index: int, rate: float, x_BKF: Tensor) -> Tensor:
        """The mask (K, F) of one dropout layer: 0 with probability `rate`, else 1 / (1 - rate)."""
        if index not in self._masks:
            drawn_KF = uniform(tuple(x_BKF.shape[1:]), generator_for(self._seed, f"mask {index}"), x_BKF)
            self._masks[index] = (drawn_KF >= rate).to(x_BKF.dtype) / (1 - rate)
        return self._masks[index].to(x_BKF)
