"""Dropout masks that are held fixed: K of them for each call of each dropout layer, shared by all images.

A mask's numbers depend on the seed, the layer's name in the network and the number of the call, on nothing else. So equal
seeds give equal masks on every device, for every floating-point type, however a batch is split, and whether the whole
network is repeated or its head only.
"""

import torch
from torch import Tensor, nn

from tsynd.utils.rng import generator_for

ALPHA = 1.7580993408473766  # of SELU: alpha dropout sets units to -ALPHA, then restores mean and variance

_ELEMENTS, _CHANNELS = (nn.Dropout, nn.AlphaDropout), (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout)
_ALPHAS = (nn.AlphaDropout, nn.FeatureAlphaDropout)
_FORWARDS = {kind.forward for kind in _ELEMENTS + _CHANNELS}


def maskable(layer: nn.Module) -> bool:
    """Whether this is one of PyTorch's dropout layers, with its own forward: in eval mode it passes its input on.

    >>> maskable(nn.Dropout2d(0.1)), maskable(nn.Linear(1, 1))
    (True, False)
    """
    return isinstance(layer, _ELEMENTS + _CHANNELS) and type(layer).forward in _FORWARDS


class Masks:
    """K fixed masks for each call of each dropout layer, drawn on the CPU when they are first needed and then kept.

    `held` has them by the layer's name (from its second call in a pass on: "name, call 2"), each (K, *features) as a factor
    of what passes through: 0 or 1 / (1 - rate); alpha dropout has a summand beside it. (Dropout: Srivastava et al., JMLR
    2014; channel-wise: Tompson et al., CVPR 2015; alpha: Klambauer et al., NeurIPS 2017.)

    >>> masks = Masks(samples=2, seed=0)
    >>> rows = masks.apply("drop", nn.Dropout(0.5), torch.ones(6, 5), range(2))  # 3 images x 2 samples
    >>> rows.unflatten(0, (3, 2))[0].equal(masks.held["drop"]), rows[:2].equal(rows[2:4])
    (True, True)
    """

    def __init__(self, samples: int, seed: int) -> None:
        self.samples, self.seed = samples, seed
        self.held: dict[str, Tensor] = {}
        self._affine: dict[tuple[object, ...], tuple[Tensor, Tensor | None]] = {}

    def apply(self, name: str, layer: nn.Module, rows: Tensor, chosen: range) -> Tensor:
        """Rows (b * k, *features), ordered by image, then by sample, through the masks of the k chosen samples.

        A range that begins at -1 has a row without a mask first: the network as it is.
        """
        rate = float(layer.p)  # type: ignore[arg-type]
        channels = isinstance(layer, _CHANNELS)
        shape = (*rows.shape[1:2], *(1 for _ in rows.shape[2:])) if channels else tuple(rows.shape[1:])
        key = (name, rate, isinstance(layer, _ALPHAS), shape, rows.dtype, rows.device)
        if key not in self._affine:
            with torch.inference_mode(False), torch.no_grad():  # drawn in inference mode, it could not be used outside
                keep = torch.rand((self.samples, *shape), generator=generator_for(self.seed, f"mask {name}")) >= rate
                scale, shift = _affine(keep, rate, alpha=isinstance(layer, _ALPHAS))
                self._affine[key] = scale.to(rows), None if shift is None else shift.to(rows)
            self.held[name] = self._affine[key][0]
        scale, shift = self._affine[key]
        unmasked, some = int(chosen.start < 0), slice(max(chosen.start, 0), chosen.stop)
        plain, masked = rows.unflatten(0, (-1, len(chosen))).tensor_split([unmasked], dim=1)
        masked = masked * scale[some] if shift is None else masked * scale[some] + shift[some]
        return (torch.cat([plain, masked], dim=1) if unmasked else masked).flatten(0, 1)


def _affine(keep: Tensor, rate: float, alpha: bool) -> tuple[Tensor, Tensor | None]:
    """What dropout does to its input where `keep` holds and where it does not, as a factor and a summand."""
    if rate >= 1:
        return torch.zeros(keep.shape), None
    if not alpha:
        return keep.double() / (1 - rate), None
    scale = ((1 - rate) * (1 + rate * ALPHA**2)) ** -0.5
    return keep.double() * scale, (keep.double() - 1 + rate) * (ALPHA * scale)
