"""Drawing phantoms: scatterers, a lesion, depth, a point-spread function and a logarithm, differentiable in the factors.

Point scatterers (complex Gaussian noise) reflect as strongly as the tissue they lie in: skin, fat, layers, fasciae, and a lesion
whose outline is a Fourier series. Depth attenuates them, the lesion shadows or enhances what lies behind it, a point-spread
function blurs them into speckle, and a logarithm makes grey levels: a drawing of that process, not a simulation of acoustics.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.data.dataset import SMALLEST
from tsynd.data.phantom.factors import LOBES, Factors, check_factors, check_generator
from tsynd.errors import TsyndError
from tsynd.utils.rng import normal, uniform
from tsynd.utils.rules import validated

# Decibels from black to white, the level of black below the tissue's, and the power of the receiver's noise.
DYNAMIC_RANGE = 57.0
BLACK = 32.0
NOISE_FLOOR = 6.5e-4


def lesion_masks(factors: Factors, size: int) -> Tensor:
    """Where the lesions are: (B, 1, size, size) in [0, 1], with a soft edge about a pixel wide; differentiable.

    Raises:
        TsyndError: the size is below 16, or a factor is out of range.
    """
    _check(factors, size, None)
    return F.avg_pool2d(_inside(factors, 2 * size, softness=0.5 / size).unsqueeze(1), 2)


def render(factors: Factors, size: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw phantoms: the factors make the lesion, the generator tissue and speckle; differentiable in the factors.

    Args:
        factors: of B lesions, on any device.
        size: height and width in pixels, at least 16.
        generator: of everything that is not a factor, on the CPU: the same images on every device.

    Returns:
        (B, 1, size, size) float images in [0, 1].

    Raises:
        TsyndError: the size is below 16, a factor is out of range (`tsynd.data.phantom.factors.LIMITS`), or the generator
            is on another device.
    """
    _check(factors, size, generator)
    # Small images are drawn at twice their size and averaged down.
    detail = 2 if size < 100 else 1
    fine = detail * size
    count, like = len(factors), factors.radius
    depth = _centres(fine, like).view(1, -1, 1)
    inside = _inside(factors, fine, softness=0.01 + 0.02 * _column(factors.irregularity))
    # The lesion replaces the tissue around it by darker, more even tissue.
    tissue = _tissue(count, fine, generator, like)
    level = tissue * (1 - 0.7 * inside) + _column(factors.contrast) * inside
    # What lies behind the lesion is weaker by the part of the lesion that the sound went through.
    height = 2 * factors.radius * factors.aspect.sqrt()
    path = inside.cumsum(1) / fine / _column(height)
    level = level - _column(factors.shadow) * smooth(path, 0.015, 0.03)
    level = level - (16 + 16 * uniform((count, 1, 1), generator, like).to(like)) * depth + _column(factors.gain)
    return F.avg_pool2d(_echo(level, generator).unsqueeze(1), detail)


@validated
def _check(factors: Factors, size: int, generator: torch.Generator | None) -> None:
    if size < SMALLEST:
        raise TsyndError(f"phantoms must be at least {SMALLEST} px, got size {size}")
    check_factors(factors)
    check_generator(generator)


def _inside(factors: Factors, size: int, softness: float | Tensor) -> Tensor:
    """Soft lesion masks (B, size, size): the outline is an ellipse times a Fourier series of the angle."""
    centres = _centres(size, factors.radius)
    stretch = _column(factors.aspect.sqrt())
    across = (centres.view(1, 1, -1) - _column(factors.x)) * stretch
    down = (centres.view(1, -1, 1) - _column(factors.y)) / stretch
    distance = (across.square() + down.square() + 1e-8).sqrt()
    angle = torch.atan2(down, across)
    # The outline is tabulated at 128 angles, finer than a pixel at the sizes used, and looked up linearly.
    table = _outline(factors, 128)
    position = angle.flatten(1) * (128 / (2 * torch.pi))
    below = position.floor()
    left, right = (table.gather(1, (below.long() + step) & 127) for step in (0, 1))
    radius = torch.lerp(left, right, position - below).view_as(distance)
    return torch.sigmoid((radius * _column(factors.radius) - distance) / softness)


def _outline(factors: Factors, count: int) -> Tensor:
    """The outline's distance from the centre at `count` angles, (B, count), relative to the radius."""
    angles = torch.arange(count, device=factors.radius.device, dtype=factors.radius.dtype) * (2 * torch.pi / count)
    waves = LOBES.to(angles.device).view(-1, 1) * angles
    series = factors.outline[:, 0] @ waves.cos() + factors.outline[:, 1] @ waves.sin()
    return 1 + 0.08 * factors.irregularity.unsqueeze(1) * series.clamp(-9, 9)


def _tissue(count: int, size: int, generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Echo levels of healthy tissue in dB (B, size, size): skin, fat, layers with fasciae between, lobules, a dark floor."""
    unit = uniform((9, count, 1, 1), generator, like).to(like)
    grains = ((0.05, 0.4), (0.014, 0.14), (0.025, 0.04), (0.035, 0.09), (0.035, 0.4), (0.2, 0.2))
    layers, streaks, lobules, lumps, sheets, warp = (_field(count, grain, size, generator, like) for grain in grains)
    # Fasciae are bright lines along the layers, thin and long: where a smooth field is near 0.
    fasciae = torch.exp(-((sheets + 0.25 * streaks) / 0.15).square()) * torch.sigmoid(2 * layers)
    level = 4 * layers + (1 + 3.5 * unit[0]) * streaks + (4 + 18 * unit[2].square()) * fasciae
    level = level + (1.5 + 3 * unit[1].square()) * lobules + (1.5 + 3.5 * unit[1]) * lumps
    # All of this is tilted, bent and warped, each image in its own way.
    centres = _centres(size, like)
    across, depth = centres.view(1, 1, -1) - 0.5, centres.view(1, -1, 1)
    bend = 0.4 * (unit[3] - 0.5) * across + 0.7 * (unit[4] - 0.5) * across.square() + 0.02 * warp
    where = torch.stack(torch.broadcast_tensors(2 * across, 2 * (depth + bend) - 1), -1)
    level = F.grid_sample(level.unsqueeze(1), where, padding_mode="reflection", align_corners=False).squeeze(1)
    skin = 5 * torch.exp(-(depth / 0.05).square())
    fat = 8 * unit[7] * torch.exp(-((depth + bend - 0.12 - 0.1 * unit[8]) / 0.08).square())
    floor = 22 * unit[5].square() * torch.sigmoid((depth + bend - 0.6 - 0.35 * unit[6] + 0.03 * layers) / 0.08)
    return level + skin - fat - floor


def _field(count: int, width: tuple[float, float], size: int, generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Smooth noise (B, size, size) of unit variance; `width` is its grain down and across, in fractions of the image side."""
    sources = [torch.linspace(-grain, 1 + grain, 3 + round(1.4 / grain)).to(like) for grain in width]
    noise = normal((count, len(sources[0]), len(sources[1])), generator, like).to(like)
    down, across = (_bells(_centres(size, like), source, grain) for source, grain in zip(sources, width, strict=True))
    return F.normalize(down, dim=1) @ noise @ F.normalize(across, dim=1).T


def _echo(level: Tensor, generator: torch.Generator | None) -> Tensor:
    """Grey levels in [0, 1] of scatterers with these mean echo levels (dB): speckle, envelope, logarithm.

    The grain of real speckle is about a hundredth of the image. A coarser pixel averages over several grains: for
    that stands an even part of the scatterers, the larger the coarser the image.
    """
    count, size, _ = level.shape
    share = min(1.0, size / 150)
    even = torch.tensor([(2 - 2 * share) ** 0.5, 0.0], device=level.device).view(2, 1, 1)
    noise = normal((count, 2, size, size), generator, level).to(level) * share**0.5 + even
    wave = smooth(noise * (10 ** (level / 20)).unsqueeze(1), 0.5 / size, 0.75 / size)
    return ((10 * torch.log10(wave.square().sum(1) + NOISE_FLOOR) + BLACK) / DYNAMIC_RANGE).clamp(0, 1)


def smooth(maps: Tensor, down: float, across: float) -> Tensor:
    """Blur (…, H, W) maps with a Gaussian of these standard deviations, in fractions of the image side."""
    centres = _centres(maps.shape[-1], maps)
    blurs = [_bells(centres, centres, sigma) for sigma in (down, across)]
    vertical, horizontal = (blur / blur.sum(1, keepdim=True) for blur in blurs)
    return vertical @ maps @ horizontal.T


def _bells(targets: Tensor, sources: Tensor, sigma: float) -> Tensor:
    """Gaussian weights (targets, sources) of the distances between positions."""
    return torch.exp(-0.5 * ((targets.unsqueeze(1) - sources) / sigma).square())


def _centres(size: int, like: Tensor) -> Tensor:
    """Pixel centres as fractions of the image side."""
    return (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) / size


def _column(factor: Tensor) -> Tensor:
    """A factor (B,) as (B, 1, 1), to go with maps."""
    return factor.view(-1, 1, 1)
