"""Dropout masks that are held fixed, K of them shared by all images, and a forward pass in which rows are repeated under them.

A mask's numbers depend on the seed, the layer's name and the number of the call, on nothing else: not on the device, the
floating-point type, how a batch is split, and whether the whole network is repeated or its head only.
"""

from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tsynd.errors import TsyndError
from tsynd.utils.network_passes import given
from tsynd.utils.network_trial import check_logits
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


def active(layer: nn.Module) -> bool:
    """Whether this is a dropout layer that can be masked and has a rate above 0.

    >>> active(nn.Dropout(0.1)), active(nn.Dropout(0.0))
    (True, False)
    """
    return maskable(layer) and float(layer.p) > 0  # type: ignore[arg-type]


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


class Expansion:
    """A pass of b images that gives logits (b, k, C) under the k chosen samples. For one use; its hooks do not outlive it.

    Before the layer `split` (None: the input) each of `count` rows becomes k rows, ordered by image, then by sample. Without
    masks, rows are only repeated. `brought` is the rate of dropout on the split layer's input, in place of the network's own.
    After the pass, `reached` has the names of the active dropout layers that were called from the split on.

    >>> network = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2)).eval()
    >>> expansion = Expansion(network, "1", count=3, chosen=range(5), masks=Masks(5, seed=0), brought=None)
    >>> expansion(torch.rand(3, 1, 2, 2)).shape, expansion.reached
    (torch.Size([3, 5, 2]), ['1'])
    """

    def __init__(
        self, network: nn.Module, split: str | None, count: int, chosen: range, masks: Masks | None, brought: float | None
    ) -> None:
        self.network, self.split, self.count, self.chosen = network, split, count, chosen
        self.masks, self.brought = masks, brought
        self.reached: list[str] = []
        self._calls: Counter[str] = Counter()
        self._open = split is None

    def __call__(self, images_bCHW: Tensor) -> Tensor:
        images_bCHW = given(images_bCHW, self.network)
        rows = images_bCHW.repeat_interleave(len(self.chosen), dim=0) if self._open else images_bCHW
        with ExitStack() as hooks:
            for name, layer in self.network.named_modules():
                if name == self.split:
                    hooks.callback(layer.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
                if active(layer):
                    hooks.callback(layer.register_forward_hook(partial(self._drop, name)).remove)
            logits: object = self.network(rows)
        kind = type(self.network).__name__
        if not self._open:
            raise TsyndError(f"layer {self.split!r} is not called in the forward of {kind}: split at one that is")
        return check_logits(self.network, logits, self.count * len(self.chosen)).unflatten(0, (self.count, len(self.chosen)))

    def _enter(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Before the split layer, the first time it is called: repeat what comes in, one row for each sample."""
        if self._open:
            return None

        def repeat(x: Any) -> Any:
            if not isinstance(x, Tensor) or x.ndim == 0 or len(x) != self.count:
                return x
            self._open = True
            return self._bring(x.repeat_interleave(len(self.chosen), dim=0))

        args, kwargs = tuple(repeat(x) for x in args), {name: repeat(x) for name, x in kwargs.items()}
        if not self._open:
            raise TsyndError(f"layer {self.split!r} gets no tensor whose first dimension is the batch: split at one that does")
        return args, kwargs

    def _bring(self, rows: Tensor) -> Tensor:
        """Dropout of our own; feature maps are dropped by channel."""
        if self.masks is None or self.brought is None or not rows.is_floating_point():
            return rows
        layer = nn.Dropout2d(self.brought) if rows.ndim >= 4 else nn.Dropout(self.brought)
        return self.masks.apply(self._label(f"input of {self.split}"), layer, rows, self.chosen)

    def _drop(self, name: str, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """After a dropout layer, which passes its input on in eval mode: apply its mask, one for each call in the pass."""
        label = self._label(name)
        if not self._open or self.brought is not None:
            return None
        self.reached.append(name)
        if output.shape[:1] != (self.count * len(self.chosen),):
            raise TsyndError(
                f"dropout layer {name!r} gets a tensor of shape {tuple(output.shape)}, whose first dimension is not the batch "
                f"({self.count * len(self.chosen)} rows), so it cannot have one mask for each sample"
            )
        return None if self.masks is None else self.masks.apply(label, layer, output, self.chosen)

    def _label(self, name: str) -> str:
        self._calls[name] += 1
        return name if self._calls[name] == 1 else f"{name}, call {self._calls[name]}"
