"""95 % intervals for what an audit measures. Images of one source are alike, so sources are counted and resampled."""

import math

import torch
from torch import Tensor

from tsynd.errors import TsyndError

Z = 1.959964  # of the normal distribution, two-sided 95 %
DRAWS = 2000
CHUNK = 100  # resamples at a time; bounds the memory


def interval(values_B: Tensor, sources_B: Tensor, generator: torch.Generator | None = None) -> dict[str, float]:
    """Mean and 95 % interval of one value an image: `wilson` for a share (bool), `bootstrap` for any other number.

    Args:
        values_B: (B,) bool or float, B at least 1.
        sources_B: (B,) int64; images with the same number come from one source and do not count as independent.
        generator: of the bootstrap, on the CPU.

    >>> interval(torch.tensor([True, True, False, True]), torch.arange(4))["mean"]
    0.75
    """
    if values_B.ndim != 1 or values_B.shape != sources_B.shape or not len(values_B):
        raise TsyndError(f"values and sources must be (B,), B >= 1, got {tuple(values_B.shape)} and {tuple(sources_B.shape)}")
    mean, share = values_B.double().mean().item(), values_B.dtype == torch.bool
    low, high = wilson(mean, effective(sources_B)) if share else bootstrap(values_B, sources_B, generator)
    return {"mean": mean, "low": low, "high": high}


def effective(sources_B: Tensor) -> float:
    """The number of equally large sources whose mean varies as much, if images of one source agree: (sum m)^2 / sum m^2.

    m: the images of each source (Kish, Survey Sampling, 1965). With as many images of each it is the number of sources.

    >>> effective(torch.tensor([0, 1, 2])), effective(torch.tensor([0, 0, 0, 1]))
    (3.0, 1.6)
    """
    sizes_U = sources_B.unique(return_counts=True)[1].double()
    return float(sizes_U.sum().square() / sizes_U.square().sum())


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share seen in `count` independent trials (Wilson, JASA 1927); it holds at 0 and 1 too.

    With the effective number of sources as the count it allows for images of one source that all agree.

    >>> low, high = wilson(0.5, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    """
    if not 0 <= share <= 1 or count < 1:
        raise TsyndError(f"share must lie in [0, 1] and count be >= 1, got {share} and {count}")
    centre = share + Z**2 / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    low, high = ((centre + sign * half) / (1 + Z**2 / count) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def bootstrap(values_B: Tensor, sources_B: Tensor, generator: torch.Generator | None = None) -> tuple[float, float]:
    """The 95 % percentile interval of the mean, when sources, with all their images, are drawn anew with replacement."""
    _, unit_B = sources_B.cpu().unique(return_inverse=True)
    count = int(unit_B.max()) + 1
    sums_U, sizes_U = (
        torch.zeros(count, dtype=torch.float64).index_add_(0, unit_B, column)
        for column in (values_B.cpu().double(), torch.ones(len(unit_B), dtype=torch.float64))
    )
    means = []
    for _ in range(DRAWS // CHUNK):
        drawn = torch.randint(count, (CHUNK, count), generator=generator)
        means.append(sums_U[drawn].sum(1) / sizes_U[drawn].sum(1))
    low, high = torch.cat(means).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
