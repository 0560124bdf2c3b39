"""Can predicted probabilities be believed: log-likelihood, Brier score, calibration error, and risk against coverage.

torchmetrics has none of these in the form used here. As in `metrics`, `probs_BC` are B rows over C >= 2 classes that sum
to one, and `labels_B` are int64, 0 .. C - 1. The arithmetic is in float64.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.utils.rng import uniform

# Resampled rows that are held in memory at once: 32 MB for each of the few tensors of that size.
CHUNK = 2**22


def nll(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Negative log-likelihood of the labels, mean over images, in nats; a probability of 0 counts as the smallest float64."""
    probs_B = probs_BC.double().gather(1, labels_B.view(-1, 1))
    return float(-probs_B.clamp_min(torch.finfo(torch.float64).tiny).log().mean())


def brier(probs_BC: Tensor, labels_B: Tensor) -> float:
    """Brier score: squared error of the probabilities, *summed* over classes, mean over images; 0 <= Brier <= 2 (Brier 1950).

    For two classes it is twice the form that looks at class 1 only.
    """
    return float((probs_BC.double() - F.one_hot(labels_B, probs_BC.shape[1])).square().sum(dim=1).mean())


def ece(probs_BC: Tensor, labels_B: Tensor, bins: int = 15, fewest: int = 10) -> float:
    """Expected calibration error with equal-mass bins: mean |accuracy - confidence| over bins that hold equally many images.

    Confidence is the largest probability. Equal mass keeps every bin as sure as the others (Nixon et al. 2019, arXiv
    1904.01685); there are fewer `bins` when one would hold less than `fewest` images. Images of one confidence share their mean
    correctness, so that their order does not matter.
    """
    confidence_B, correct_B = _confidence(probs_BC, labels_B)
    gaps_B = _in_order_of(confidence_B, correct_B) - confidence_B.sort().values
    parts = gaps_B.tensor_split(_fit(bins, len(labels_B), fewest))
    return float(sum(part.sum().abs() for part in parts) / len(labels_B))


def ece_interval(
    probs_BC: Tensor,
    labels_B: Tensor,
    bins: int = 15,
    fewest: int = 10,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    rows_per_image: int = 1,
    generator: torch.Generator | None = None,
) -> tuple[float, float]:
    """How far the measured ECE would vary with the sample of test images: a bootstrap interval, centred on the ECE.

    Images are resampled with replacement; the percentiles of the resamples' ECE, less their mean, are added to the measured
    ECE, within [0, 1]. An ECE takes noise inside its bins for miscalibration: it is biased upwards, by most where calibration
    is perfect (Roelofs et al. 2022, arXiv 2012.08668), and a resample is biased once more. Plain percentiles would therefore
    lie too high: for calibrated forecasts of 156 images, a quarter of the time above the measured ECE itself. The first bias
    stays: the interval is of the ECE that so many images give on average, not of the calibration error in a large population,
    and may well exclude the 0 of a perfectly calibrated forecast.

    `bins` and `fewest` are those of `ece`; `level` says how often the interval should hold that average. So many consecutive
    rows as `rows_per_image` says are one image's, and are drawn together (multi-label: number of labels).

    >>> probs, labels = torch.tensor([[0.8, 0.2]]).expand(200, 2), torch.arange(200) % 2
    >>> low, high = ece_interval(probs, labels, generator=torch.Generator().manual_seed(0))
    >>> round(ece(probs, labels), 2), low < 0.3 < high, high - low < 0.16
    (0.3, True, True)
    """
    if not 0 < level < 1:
        raise TsyndError(f"level must lie between 0 and 1, got {level}")
    if resamples < 1:
        raise TsyndError(f"resamples must be >= 1, got {resamples}")
    rows = len(labels_B)
    if rows_per_image < 1 or rows % rows_per_image:
        raise TsyndError(f"rows_per_image must divide the number of rows, got {rows_per_image} for {rows} rows")
    confidence_N, correct_N = _confidence(probs_BC, labels_B)
    order_N = confidence_N.argsort()
    image_N, gaps_N = order_N // rows_per_image, (correct_N - confidence_N)[order_N]
    last_V = confidence_N.unique(return_counts=True)[1].cumsum(dim=0) - 1  # of each confidence
    sizes = torch.tensor([len(part) for part in order_N.tensor_split(_fit(bins, rows, fewest))])
    edges_K = sizes.cumsum(dim=0)[:-1].to(gaps_N)
    parts = []
    for start in range(0, resamples, chunk := max(1, CHUNK // rows)):
        shape = (min(chunk, resamples - start), rows // rows_per_image)
        drawn_RB = (uniform(shape, generator, gaps_N) * shape[1]).long()
        copies_RB = gaps_N.new_zeros(shape).scatter_add_(1, drawn_RB, gaps_N.new_ones(shape))
        parts.append(_ece_of_copies(copies_RB[:, image_N], gaps_N, last_V, edges_K))
    ece_R = torch.cat(parts)
    tails = ece_R.new_tensor([(1 - level) / 2, (1 + level) / 2])
    low, high = (ece(probs_BC, labels_B, bins, fewest) + ece_R.quantile(tails) - ece_R.mean()).clamp(0, 1).tolist()
    return low, high


def aurc(uncertainty_B: Tensor, wrong_B: Tensor) -> float:
    """Area under the risk-coverage curve: the error rate when the most uncertain images are set aside, mean over coverages.

    AURC = 1/B sum_{n=1..B} r_n, where r_n is the fraction of errors among the n least uncertain images: 0 <= AURC <= 1, the
    smaller the better; an uncertainty that says nothing gives the error rate, `aurc(wrong, wrong)` the best that is possible
    with so many errors (what lies above it is the excess AURC). The curve is of Geifman and El-Yaniv 2017 (arXiv 1705.08500),
    its area of Geifman et al. 2019 (arXiv 1805.08206). Images of one uncertainty share their errors: the mean over all of
    their orders.

    uncertainty_B: (B,) in any unit, larger is less sure. wrong_B: (B,) bool, is the prediction wrong?

    >>> aurc(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([False, False, True, True]))  # (0 + 0 + 1/3 + 2/4) / 4
    0.20833333333333331
    >>> aurc(torch.zeros(4), torch.tensor([False, False, True, True]))
    0.5
    """
    if uncertainty_B.ndim != 1 or uncertainty_B.shape != wrong_B.shape or wrong_B.dtype != torch.bool or not len(wrong_B):
        got = f"{tuple(uncertainty_B.shape)} and {tuple(wrong_B.shape)} of {wrong_B.dtype}"
        raise TsyndError(f"uncertainty and wrong must have one shape (B,) with B >= 1, and wrong be bool, got {got}")
    if bool(uncertainty_B.isnan().any()):
        raise TsyndError(f"uncertainty must not be NaN, got {int(uncertainty_B.isnan().sum())} NaN in {len(uncertainty_B)}")
    errors_B = _in_order_of(uncertainty_B, wrong_B).cumsum(dim=0)
    return float((errors_B / torch.arange(1, len(errors_B) + 1, device=errors_B.device)).mean())


def _confidence(probs_BC: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """The largest probability of each row, and 1 where its class is the label, else 0."""
    confidence_B, predicted_B = probs_BC.double().max(dim=1)
    return confidence_B, (predicted_B == labels_B).double()


def _fit(bins: int, rows: int, fewest: int) -> int:
    """The number of bins when each must hold `fewest` rows."""
    return max(1, min(bins, rows // fewest))


def _in_order_of(keys_B: Tensor, values_B: Tensor) -> Tensor:
    """Values in ascending order of their keys, in float64; those of one key are replaced by their mean."""
    levels, level_B, count = keys_B.unique(return_inverse=True, return_counts=True)  # sorted
    sums = torch.zeros(len(levels), dtype=torch.float64, device=keys_B.device).index_add_(0, level_B, values_B.double())
    return (sums / count).repeat_interleave(count)


def _ece_of_copies(copies_RN: Tensor, gaps_N: Tensor, last_V: Tensor, edges_K: Tensor) -> Tensor:
    """The `ece` of R resamples, each a number of copies of every row; the copies of a resample are N rows again.

    Rows are in ascending order of their confidence; gaps_N are correct - confidence, last_V the last row of each confidence,
    edges_K the number of rows below each inner edge of the bins. Rows of one confidence share their mean gap: the sum of gaps
    is linear in the number of rows from one confidence to the next, and its changes between edges are what is asked for.
    """
    held_RV = F.pad(copies_RN.cumsum(dim=1)[:, last_V], (1, 0))
    gaps_RV = F.pad((copies_RN * gaps_N).cumsum(dim=1)[:, last_V], (1, 0))
    edges_RK = edges_K.repeat(len(copies_RN), 1)
    after_RK = torch.searchsorted(held_RV, edges_RK)  # held before the edge < edge <= held after it
    held, past = held_RV.gather(1, after_RK - 1), held_RV.gather(1, after_RK)
    gaps_RK = torch.lerp(gaps_RV.gather(1, after_RK - 1), gaps_RV.gather(1, after_RK), (edges_RK - held) / (past - held))
    return torch.cat([gaps_RV[:, :1], gaps_RK, gaps_RV[:, -1:]], dim=1).diff(dim=1).abs().sum(dim=1) / copies_RN.shape[1]
