"""The factors of a phantom: what they are, how they are drawn, and which values make sense."""

from dataclasses import dataclass, fields, replace
from typing import Annotated

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.utils.rng import normal, uniform
from tsynd.utils.rules import validated, whole
from tsynd.utils.validation import check_name

# The outline's Fourier orders: 2 to 9 lobes; lower orders would be size and position, which are factors of their own.
LOBES = torch.arange(2, 10)
# What can be drawn; `sample_factors` stays well inside. The outline has no limits: only its shape counts.
LIMITS = {
    "radius": (0.02, 0.5),
    "aspect": (0.2, 5.0),
    "irregularity": (0.0, 1.0),
    "contrast": (-40.0, 10.0),
    "shadow": (-30.0, 40.0),
    "x": (0.0, 1.0),
    "y": (0.0, 1.0),
    "gain": (-40.0, 40.0),
}


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


@validated
def sample_factors(count: Annotated[int, whole(0)], generator: torch.Generator | None = None, **given: float | Tensor) -> Factors:
    """Draw the factors of `count` lesions, each factor independently of the others, on the CPU.

    Args:
        count: how many lesions.
        generator: on the CPU.
        given: factors that are not drawn but take this value, a number or a (count,) tensor; the others stay as they were.

    Raises:
        TsyndError: a factor's name is unknown, its value is out of range, or the generator is on another device.

    >>> sample_factors(2, torch.Generator().manual_seed(0), aspect=1.2).aspect
    tensor([1.2000, 1.2000])
    """
    check_generator(generator)
    like = torch.empty(0)
    unit = uniform((7, count), generator, like)
    outline = normal((count, 2, len(LOBES)), generator, like) * LOBES**-1.0
    drawn = Factors(
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
    for name in given:
        check_name("factor", name, LIMITS)
    chosen = replace(drawn, **{name: torch.as_tensor(value, dtype=torch.float32).expand(count) for name, value in given.items()})
    check_factors(chosen)
    return chosen


@validated
def check_factors(factors: Factors) -> None:
    """Raise a TsyndError unless every factor lies within `LIMITS` (tensors on the meta device hold nothing to check)."""
    for name, (low, high) in LIMITS.items():
        values = getattr(factors, name).detach()
        if values.device.type == "meta":
            continue
        wrong = values[~((values >= low) & (values <= high))]  # NaN is wrong too
        if len(wrong):
            raise TsyndError(f"factor {name!r} must lie between {low:g} and {high:g}, got {wrong[0].item():.4g}")


def check_generator(generator: torch.Generator | None) -> None:
    """Raise a TsyndError unless the generator is on the CPU: phantoms are the same images on every device."""
    if generator is not None and (device := generator.device).type != "cpu":
        raise TsyndError(f"phantoms are drawn from a generator on the CPU, got one on {device}: move the images instead")
