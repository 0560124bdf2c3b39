"""One forward pass in which rows are repeated from a layer on, and dropout layers apply masks that are held fixed."""

from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Any

from torch import Tensor, nn

from tsynd.errors import TsyndError
from tsynd.posterior.masks import Masks, maskable
from tsynd.utils.network_passes import given
from tsynd.utils.network_trial import check_logits


def active(layer: nn.Module) -> bool:
    """Whether this is a dropout layer that can be masked and has a rate above 0.

    >>> active(nn.Dropout(0.1)), active(nn.Dropout(0.0))
    (True, False)
    """
    return maskable(layer) and float(layer.p) > 0  # type: ignore[arg-type]


class Expansion:
    """A pass of b images that gives logits (b, k, C) under the k chosen samples. For one use; its hooks do not outlive it.

    Args:
        network: in eval mode.
        split: the layer before which each row becomes k rows, ordered by image, then by sample; None: the input.
        count: b, the number of images.
        chosen: the samples.
        masks: None to repeat rows only.
        brought: the rate of dropout on the split layer's input, in place of the network's own; None for the network's own.

    After the pass, `reached` has the names of the active dropout layers that were called from the split on.

    >>> network = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2)).eval()
    >>> expansion = Expansion(network, "1", count=3, chosen=range(5), masks=Masks(5, seed=0), brought=None)
    >>> import torch
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
        rows = self._repeated(images_bCHW) if self._open else images_bCHW
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

    def _repeated(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(len(self.chosen), dim=0)

    def _enter(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Before the split layer, the first time it is called: repeat what comes in, one row for each sample."""
        if self._open:
            return None

        def repeat(x: Any) -> Any:
            if not isinstance(x, Tensor) or x.ndim == 0 or len(x) != self.count:
                return x
            self._open = True
            return self._bring(self._repeated(x))

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
