"""Cheap checks before a network is used as a posterior: would its samples really be fixed, and each image on its own?

A few passes of two images, once for each posterior. They raise a `TsyndError` that gives the reason; the network, its
buffers and the global random state are left as they were. Random numbers that do not come from torch are not seen.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._python_dispatch import TorchDispatchMode

from tsynd.errors import TsyndError
from tsynd.posterior.masks import maskable
from tsynd.utils.eval_mode import frozen, owner_of
from tsynd.utils.rng import seeded
from tsynd.utils.shape_errors import explained


def pair_of(images_BCHW: Tensor) -> Tensor:
    """Two different images for a trial: the first one and its negative."""
    first_CHW = images_BCHW[0].detach().nan_to_num()
    return torch.stack([first_CHW, 1 - first_CHW])


@contextmanager
def trial(*networks: nn.Module) -> Iterator[None]:
    """For trial passes: frozen networks, no gradient, buffers and the global random state restored afterwards."""
    with torch.inference_mode(False), torch.no_grad(), seeded(0), frozen(*networks), _kept_buffers(*networks):
        yield


def steady(run: Callable[[Tensor], Tensor], pair: Tensor) -> Tensor:
    """The output for two inputs in eval mode, if the pass draws no random number and treats each input on its own."""
    name = type(owner_of(run)).__name__
    with explained(f"input of shape (B, {', '.join(map(str, pair.shape[1:]))}) does not pass through {name}"):
        found, together = drawn(run, pair.clone())  # copies: a network may work in place
        alone = run(pair[:1].clone())
    if found:
        raise TsyndError(
            f"{found[0][0] or name} draws random numbers in eval mode too ({found[0][1]}), so posterior samples cannot be held "
            "fixed: make it deterministic in eval mode, with nn.Dropout layers for the randomness"
        )
    if isinstance(together, Tensor) and not same(together[:1], alone):
        raise TsyndError(
            f"{name} gives an image another output in another batch, even in eval mode (batch statistics?): "
            "a posterior needs a network that treats each image on its own"
        )
    return together


def refuse_uncontrolled(network: nn.Module, pair: Tensor, split: str | None) -> None:
    """Refuse a network that draws random numbers in training mode other than in its dropout layers (after the split).

    Such dropout (`F.dropout(x, training=self.training)`, the `dropout` of attention or recurrent layers, stochastic depth)
    is off in eval mode, so the posterior would silently lack it. Norm layers stay in eval mode in this trial.
    """
    for module in network.modules():
        module.training = not (maskable(module) or isinstance(module, _NormBase))
    with explained(f"{type(network).__name__} fails in training mode, so its randomness cannot be checked"):
        found, _ = drawn(network, pair.clone(), split)
    network.eval()
    if found:
        where, operation = found[0]
        raise TsyndError(
            f"{where or type(network).__name__} draws random numbers in training mode ({operation}) that are not those of an "
            "nn.Dropout layer and cannot be held fixed: use nn.Dropout layers there, or bring dropout of your own: "
            "HeadDropout.from_model(model, split=..., dropout=0.5)"
        )


def refuse_probabilities(outputs: object, name: str) -> None:
    """Refuse a network that ends in a softmax: a second one would silently flatten its predictions."""
    if not isinstance(outputs, Tensor) or outputs.is_meta or outputs.ndim != 2 or outputs.shape[1] < 2:
        return
    if bool((outputs >= 0).all()) and bool(((outputs.sum(dim=1) - 1).abs() < 1e-3).all()):
        raise TsyndError(f"{name} gives probabilities (rows that sum to one) where logits are needed: leave out its softmax")


def same(some: Tensor, others: Tensor) -> bool:
    """Equal but for rounding: within 10 sqrt(eps) of the largest value, at most .05. NaN and meta tensors pass."""
    if some.shape != others.shape or some.is_meta:
        return some.shape == others.shape
    tolerance = min(0.05, 10 * torch.finfo(some.dtype).eps ** 0.5)
    return not bool(((some - others).abs() > tolerance * others.abs().max()).any())


def drawn(run: Callable[[Tensor], Any], pair: Tensor, split: str | None = None) -> tuple[list[tuple[str, str]], Any]:
    """Which module (by its name in the network) called which random operation in a pass (after the split), and the output."""
    network = owner_of(run)
    path, after = [""], [split is None]

    def enter(name: str) -> None:
        path.append(name)
        after[0] |= name == split

    recorder = _Recorder(path, after)
    with ExitStack() as hooks:
        for name, module in network.named_modules() if isinstance(network, nn.Module) else ():
            handle = module.register_forward_pre_hook(lambda *_, name=name: enter(name))
            hooks.callback(handle.remove)
            handle = module.register_forward_hook(lambda *_: (path.pop(), None)[1], always_call=True)
            hooks.callback(handle.remove)
        with recorder:
            output = run(pair)
    return recorder.found, output


class _Recorder(TorchDispatchMode):
    """Notes each operation that draws random numbers, while `after` holds."""

    def __init__(self, path: list[str], after: list[bool]) -> None:
        super().__init__()
        self.path, self.after, self.found = path, after, list[tuple[str, str]]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.after[0] and torch.Tag.nondeterministic_seeded in func.tags:
            names = [argument.name for argument in func._schema.arguments]
            given = {argument.name: argument.default_value for argument in func._schema.arguments}
            given |= dict(zip(names, args, strict=False)) | kwargs
            if given.get("dropout_p", 1) and given.get("train", True) and given.get("training", True):  # these may be off
                self.found.append((self.path[-1], str(func)))
        return func(*args, **kwargs)


@contextmanager
def _kept_buffers(*networks: nn.Module) -> Iterator[None]:
    modules = [module for network in networks for module in network.modules()]
    kept = [
        (module._buffers, name, old, None if old is None else old.clone())
        for module in modules
        for name, old in module._buffers.items()
    ]
    try:
        yield
    finally:
        for buffers, name, old, values in kept:
            buffers[name] = old
            if old is not None and values is not None and not old.is_meta and not old.equal(values):
                old.copy_(values)
