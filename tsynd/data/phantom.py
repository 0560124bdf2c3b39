"""Phantoms: ultrasound-like images of breast lesions whose truth is known, differentiable in the factors that made them.

A phantom is made as a scanner makes an image. Point scatterers (complex Gaussian noise) reflect as strongly as the tissue
they lie in: skin, layers, septa, and a lesion whose outline is a Fourier series. Depth attenuates them, the lesion shadows
or enhances what lies behind it, a point-spread function blurs them into speckle, and the envelope is compressed to grey
levels by a logarithm. It is a drawing of that process, made to be fast and differentiable, not a simulation of acoustics.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.data.dataset import SMALLEST, Dataset, Split
from tsynd.errors import TsyndError
from tsynd.randomness import generator_for, normal, uniform

CLASSES = ("benign", "malignant")
OPTIONS = {"seed": 0, "count": 2000}
VAL_PER_CLASS, TEST_PER_CLASS = 200, 500
# The outline's Fourier orders: 2 to 9 lobes; lower orders would be size and position, which are factors of their own.
LOBES = torch.arange(2, 10)
# Decibels from black to white, the level of black below the tissue's, and the power of the receiver's noise.
DYNAMIC_RANGE = 60.0
BLACK = 35.0
NOISE_FLOOR = 5e-4
# Lesions whose score is nearer to 0 than this are not drawn: their class could not be seen.
BORDERLINE = 0.2
BATCH = 50


@dataclass(frozen=True, eq=False)
class Factors:
    """What makes a phantom: tensors of shape (B,), and the shape of the outline, (B, 2, L).

    Lengths are fractions of the image side, levels are decibels.

    Attributes:
        radius: of the circle of the lesion's area; drawn from 0.12 to 0.25.
        aspect: height over width, above 1 taller than wide; 0.47 to 1.42.
        irregularity: of the margin, 0 a sharp ellipse, 1 lobed and indistinct; 0 to 1.
        contrast: echo level of the lesion against the tissue around, negative is darker; -22 to -10.
        shadow: loss behind the lesion, negative is enhancement; -10 to 20.
        x, y: of the centre, y grows with depth; 0.28 to 0.72 and 0.3 to 0.55.
        gain: of the whole image; normal, 4 dB.
        outline: cosine and sine coefficients of the outline at orders 2, 3, …, of unit root mean square.
    """

    radius: Tensor
    aspect: Tensor
    irregularity: Tensor
    contrast: Tensor
    shadow: Tensor
    x: Tensor
    y: Tensor
    gain: Tensor
    outline: Tensor

    def __len__(self) -> int:
        return len(self.radius)

    def __getitem__(self, chosen: Tensor | slice) -> "Factors":
        return Factors(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def phantom(seed: int = 0, count: int = OPTIONS["count"], size: int = 28) -> Dataset:
    """A data set of phantoms: `count` per class in train, 200 in val, 500 in test; the same seed, the same images.

    Args:
        seed: of factors and images; each split has its own stream, so `count` changes the training set only.
        count: training images per class.
        size: height and width in pixels.

    >>> phantom(count=10).train
    Split(20 images of 1 x 28 x 28)
    """
    if count < 1:
        raise TsyndError(f"phantom option 'count' must be at least 1 image per class, got {count}")
    per_class = {"train": count, "val": VAL_PER_CLASS, "test": TEST_PER_CLASS}
    splits = {split: draw_split(number, size, generator_for(seed, f"phantom {split}"))[0] for split, number in per_class.items()}
    chosen = {"seed": seed, "count": count}
    options = ",".join(f"{key}={value}" for key, value in chosen.items() if value != OPTIONS[key])
    name = f"phantom:{options}" if options else "phantom"
    train, val, test = (splits[split] for split in per_class)
    return Dataset(name, train, val, test, CLASSES, "binary", "CC BY 4.0", source="tsynd.data.phantom")


def draw_split(per_class: int, size: int, generator: torch.Generator | None = None) -> tuple[Split, Factors]:
    """Draw phantoms with `per_class` of each class, in mixed order, and the factors that made them."""
    # More than a third of all lesions are of each class and not borderline: six times as many are enough.
    drawn = sample_factors(6 * per_class + 64, generator)
    drawn = drawn[malignancy(drawn).abs() > BORDERLINE]
    labels = classify(drawn)
    chosen = torch.cat([(labels == label).nonzero().flatten()[:per_class] for label in range(len(CLASSES))]).sort().values
    factors = drawn[chosen]
    parts = [render(factors[start : start + BATCH], size, generator) for start in range(0, len(factors), BATCH)]
    return Split((torch.cat(parts) * 255).round().to(torch.uint8), labels[chosen]), factors


def sample_factors(count: int, generator: torch.Generator | None = None) -> Factors:
    """Draw the factors of `count` lesions, each factor independently of the others, on the CPU."""
    like = torch.empty(0)
    unit = uniform((7, count), generator, like)
    outline = normal((count, 2, len(LOBES)), generator, like) * LOBES**-1.0
    return Factors(
        radius=0.12 + 0.13 * unit[0],
        aspect=torch.exp(-0.75 + 1.1 * unit[1]),
        irregularity=unit[2],
        contrast=-22 + 12 * unit[3],
        shadow=-10 + 30 * unit[4],
        x=0.28 + 0.44 * unit[5],
        y=0.3 + 0.25 * unit[6],
        gain=4 * normal((count,), generator, like),
        outline=outline / outline.square().mean((1, 2), keepdim=True).sqrt(),
    )


def malignancy(factors: Factors) -> Tensor:
    """The score that decides the class, after the BI-RADS signs of malignancy; shape (B,), malignant above 0.

    Irregular margin, taller than wide and posterior shadow count alike, each in standard deviations of its own
    distribution; size, contrast, position and gain say nothing.
    """
    irregular = (factors.irregularity - 0.5) / 0.289
    tall = (factors.aspect.log() + 0.2) / 0.318
    shadowing = (factors.shadow - 5) / 8.66
    return (irregular + tall + shadowing) / 3


def classify(factors: Factors) -> Tensor:
    """The true class: 1, malignant, where `malignancy` is above 0, else 0, benign; (B,) int64."""
    return (malignancy(factors) > 0).long()


def lesion_masks(factors: Factors, size: int) -> Tensor:
    """Where the lesions are: (B, 1, size, size) in [0, 1], with a soft edge about a pixel wide; differentiable."""
    return F.avg_pool2d(_inside(factors, 2 * size, softness=0.5 / size).unsqueeze(1), 2)


def render(factors: Factors, size: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw phantoms: the factors make the lesion, the generator tissue and speckle; differentiable in the factors.

    Args:
        factors: of B lesions, on any device.
        size: height and width in pixels, at least 16.
        generator: of everything that is not a factor.

    Returns:
        (B, 1, size, size) float images in [0, 1].

    Raises:
        TsyndError: the size is below 16.
    """
    if size < SMALLEST:
        raise TsyndError(f"phantoms must be at least {SMALLEST} px, got size {size}")
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
    level = level - _column(factors.shadow) * _smooth(path, 0.015, 0.03)
    level = level - (16 + 16 * uniform((count, 1, 1), generator, like).to(like)) * depth + _column(factors.gain)
    return F.avg_pool2d(_echo(level, generator).unsqueeze(1), detail)


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
    """Echo levels of healthy tissue in dB (B, size, size): skin, tilted and bent layers with septa between, a dark floor."""
    unit = uniform((7, count, 1, 1), generator, like).to(like)
    layers = _field(count, (0.06, 0.25), size, generator, like)
    streaks = _field(count, (0.016, 0.1), size, generator, like)
    lobules = _field(count, (0.022, 0.03), size, generator, like)
    septa = torch.exp(-((layers + 0.6 * streaks) / 0.25).square())
    level = 4 * layers + (1.5 + 4 * unit[0]) * streaks + (1.5 + 4 * unit[1]) * lobules + 9 * unit[2] * septa
    centres = _centres(size, like)
    across, depth = centres.view(1, 1, -1) - 0.5, centres.view(1, -1, 1)
    bend = 0.4 * (unit[3] - 0.5) * across + 0.7 * (unit[4] - 0.5) * across.square()
    where = torch.stack(torch.broadcast_tensors(2 * across, 2 * (depth + bend) - 1), -1)
    level = F.grid_sample(level.unsqueeze(1), where, padding_mode="reflection", align_corners=False).squeeze(1)
    skin = 5 * torch.exp(-(depth / 0.05).square())
    floor = 30 * unit[5].square() * torch.sigmoid((depth + bend - 0.6 - 0.35 * unit[6] + 0.03 * layers) / 0.06)
    return level + skin - floor


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
    wave = _smooth(noise * (10 ** (level / 20)).unsqueeze(1), 0.6 / size, 1.0 / size)
    return ((10 * torch.log10(wave.square().sum(1) + NOISE_FLOOR) + BLACK) / DYNAMIC_RANGE).clamp(0, 1)


def _smooth(maps: Tensor, down: float, across: float) -> Tensor:
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
