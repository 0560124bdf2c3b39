"""What is asked of one image of an audit: whose neighbour is it, is its code one that images have, what was near before?"""

from typing import Annotated

import torch
from torch import Tensor

from tsynd.data.phantom import Factors
from tsynd.data.phantom.oracle import UNITS
from tsynd.data.phantom.rule import SUBGROUPS
from tsynd.errors import TsyndError
from tsynd.targeting import Autoencoder
from tsynd.utils.batching import as_float, batches, fitting, predict
from tsynd.utils.rules import choice, validated

BATCH = 256
DISTANCES = 1 << 25  # that are held at a time
PAIRED = 500  # images whose pairs make the typical distance


def purity(
    codes_BD: Tensor, labels_B: Tensor, real_ND: Tensor, real_labels_N: Tensor, *, k: int = 10, own_B: Tensor | None = None
) -> Tensor:
    """The share of the k nearest real codes that have each code's label: (B,) in [0, 1]. Of several labels, the share of those
    that agree.

    k is at least 1 and less than N. own_B: positions in real_ND of the image that each code comes from, which is no neighbour.

    >>> real, labels = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([0, 0, 1])
    >>> purity(torch.tensor([[0.4], [8.0]]), torch.tensor([0, 1]), real, labels, k=2)
    tensor([1.0000, 0.5000])
    """
    if not 1 <= k < len(real_ND):
        raise TsyndError(f"k must be between 1 and {len(real_ND) - 1}, one less than the real codes, got {k}")
    nearest = []
    for rows_b in torch.arange(len(codes_BD), device=codes_BD.device).split(max(1, DISTANCES // len(real_ND))):
        distances_bN = torch.cdist(codes_BD[rows_b], real_ND)
        if own_B is not None:
            distances_bN.scatter_(1, own_B[rows_b, None], torch.inf)
        nearest.append(distances_bN.topk(k, dim=1, largest=False).indices)
    nearest_Bk = torch.cat(nearest)
    return (real_labels_N[nearest_Bk] == labels_B[:, None]).float().flatten(1).mean(1)


def cycle_error(codes_BD: Tensor, autoencoder: Autoencoder) -> Tensor:
    """|encode(decode(z)) - z| / sqrt(D), (B,): 0 for a code that the encoder gives to some image, large far from all of them."""
    with torch.no_grad():
        parts = [autoencoder.encode(autoencoder.decode(part_bD)) - part_bD for part_bD in codes_BD.split(BATCH)]
    return torch.cat(parts).norm(dim=1) / codes_BD.shape[1] ** 0.5


def nearest_real(images_BCHW: Tensor, real_NCHW: Tensor, own_B: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The nearest real image in pixels: its position (B,), and the root mean square distance (B,) in [0, 1] intensity.

    Images are float in [0, 1], or of 8 bits if they are real. own_B: a position in real_NCHW for each image that may not be the
    answer: its own, when the images are real.

    >>> real = torch.rand(3, 1, 16, 16)
    >>> nearest_real(real[1:2], real)
    (tensor([1]), tensor([0.]))
    """
    if images_BCHW.shape[1:] != real_NCHW.shape[1:] or (own_B is not None and len(real_NCHW) < 2):
        raise TsyndError(f"real images must be (N, {', '.join(map(str, images_BCHW.shape[1:]))}), got {tuple(real_NCHW.shape)}")
    flat_BP = images_BCHW.flatten(1)
    rows = max(1, 4 * DISTANCES // flat_BP.shape[1])  # torch.cdist copies what it compares
    best_B = flat_BP.new_full((len(flat_BP),), torch.inf)
    index_B = torch.zeros(len(flat_BP), dtype=torch.int64, device=flat_BP.device)
    for where, batch_NCHW in batches(real_NCHW, BATCH, images_BCHW.device):
        distances_BN = torch.cat([torch.cdist(part_bP, batch_NCHW.flatten(1)) for part_bP in flat_BP.split(rows)])
        if own_B is not None:
            inside_B = ((own_B >= where.start) & (own_B < where.stop)).nonzero().flatten()
            distances_BN[inside_B, own_B[inside_B] - where.start] = torch.inf
        near_B, position_B = distances_BN.min(dim=1)
        index_B = torch.where(near_B < best_B, position_B + where.start, index_B)
        best_B = torch.minimum(near_B, best_B)
    # Fast distances are rounded; those that are reported are not, so that a copy has distance 0.
    parts = [
        (image_bCHW - as_float(real_NCHW[index_b.to(real_NCHW.device)]).to(image_bCHW)).square().mean(dim=(1, 2, 3)).sqrt()
        for image_bCHW, index_b in zip(images_BCHW.split(BATCH), index_B.split(BATCH), strict=True)
    ]
    return index_B, torch.cat(parts)


def typical_distance(real_NCHW: Tensor, generator: torch.Generator | None = None) -> float:
    """The median root mean square distance between two real images, in [0, 1] intensity; over the pairs of at most 500."""
    some_NCHW = as_float(real_NCHW[torch.randperm(len(real_NCHW), generator=generator)[:PAIRED]])
    pairs = torch.nn.functional.pdist(some_NCHW.flatten(1)) / some_NCHW[0].numel() ** 0.5
    if not len(pairs):
        raise TsyndError(f"a typical distance needs at least 2 real images, got {len(real_NCHW)}")
    return pairs.median().item()


@validated
def distance_to_subgroup(factors: Factors, name: Annotated[str, choice("phantom subgroup", SUBGROUPS)]) -> Tensor:
    """How far lesions are from a subgroup of phantoms: (B,), in standard deviations of the factors that define it, 0 inside.

    The Euclidean distance to the box of factors `SUBGROUPS[name]`, each factor in units of its own spread over all
    phantoms (the aspect, whose spread is known for its logarithm, on that scale).

    >>> from tsynd.data.phantom import sample_factors
    >>> factors = sample_factors(2, irregularity=0.65 - 0.289, shadow=torch.tensor([-5.0, 8.66]))
    >>> distance_to_subgroup(factors, "irregular-enhancing")
    tensor([1.0000, 1.4142])
    """
    squares = []
    for factor, (low, high) in SUBGROUPS[name].items():
        bounds = torch.tensor([low, high]).to(factors.radius)
        values_B = getattr(factors, factor)
        if factor == "aspect":
            values_B, bounds = values_B.log(), bounds.log()
        outside_B = torch.maximum(bounds[0] - values_B, values_B - bounds[1]).relu()
        squares.append((outside_B / UNITS[factor][1]).square())
    return torch.stack(squares).sum(0).sqrt()


def sharpness(images_BCHW: Tensor) -> Tensor:
    """Return how sharp each image is: the standard deviation of its Laplacian, in intensity, (B,).

    Blur lowers it, which a pixel distance hardly sees: the Laplacian answers to edges and detail alone (the focus measure of
    Pech-Pacheco et al. 2000, ICPR, under its square root).

    >>> checks = (torch.arange(64).view(1, 1, 8, 8) // 8 + torch.arange(8)) % 2.0
    >>> bool(sharpness(checks) > 5 * sharpness(torch.nn.functional.avg_pool2d(checks, 3, 1, 1)))
    True
    """
    channels, size = images_BCHW.shape[1:3]
    kernel = images_BCHW.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).expand(channels, 1, 3, 3)
    parts = images_BCHW.split(fitting(size, 64))  # torch pads one channel to 16 on a CPU: 1 MB for an image of 128 px
    return torch.cat([torch.nn.functional.conv2d(part, kernel, groups=channels).flatten(1).std(dim=1) for part in parts])


def as_saved(images_BCHW: Tensor) -> Tensor:
    """Images as a file holds them, in steps of 1/255: then an audit says the same of images in memory and from a file."""
    return (images_BCHW * 255).round().clamp(0, 255) / 255


def encoded(images: Tensor, autoencoder: Autoencoder, device: torch.device) -> Tensor:
    """Codes of a set of images, uint8 or float, in batches: (N, D) on the device."""
    return predict(autoencoder.encode, images, fitting(images.shape[-1]), device).to(device)
