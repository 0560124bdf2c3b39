"""Passes that disturb nothing: what a network gives, whether it is the same each time, and which random numbers it draws."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tsynd.errors import TsyndError
from tsynd.utils.eval_mode import frozen, owner_of, weights_type
from tsynd.utils.rng import seeded
from tsynd.utils.shape_errors import explained

Model = Callable[[Tensor], Tensor]


def given(x: Tensor, function: object) -> Tensor:
    """A copy of the tensor, since a network may work in place, in the floating-point type of the network's (first) weights."""
    return x.to(weights_type(function) or x.dtype, copy=True)


def wide(x: Tensor) -> Tensor:
    """The tensor in single precision or wider: what images, steps and measures are computed in, whatever the network is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def name_of(function: object) -> str:
    """The class of a network, or of what a method belongs to, for a message."""
    owner = owner_of(function)
    return str(getattr(owner, "called", type(owner).__name__)).lstrip("_")


def network_of(function: object) -> tuple[nn.Module, ...]:
    """The network behind a function, if it is a module or a module's method."""
    return (owner,) if isinstance(owner := owner_of(function), nn.Module) else ()


def finite(x: Tensor) -> bool:
    """Whether all numbers are; values are not looked at on the meta device."""
    return x.is_meta or bool(x.detach().isfinite().all())


def pair_of(images_BCHW: Tensor) -> Tensor:
    """Two different images for a trial: the first one and its negative."""
    first_CHW = images_BCHW[0].detach().nan_to_num()
    return torch.stack([first_CHW, 1 - first_CHW])


@contextmanager
def trial(*networks: nn.Module) -> Iterator[None]:
    """For trial passes: frozen networks, no gradient, buffers and the global random state restored afterwards."""
    with torch.inference_mode(False), torch.no_grad(), seeded(0), frozen(*networks), _kept_buffers(*networks):
        yield


def steady(run: Model, pair: Tensor) -> Tensor:
    """The output for two inputs in eval mode, if the pass draws no random number and treats each input on its own."""
    name = name_of(run)
    what = "images" if pair.ndim == 4 else "features"
    with explained(f"{what} of shape (B, {', '.join(map(str, pair.shape[1:]))}) do not pass through {name}"):
        first = run(given(pair, run))  # what is made once, such as the masks of a posterior, is made here
        together = drawing_nothing(run, given(pair, run))
        alone = run(given(pair[:1], run))
    if not isinstance(first, Tensor) or not isinstance(together, Tensor):
        return first
    if not same(first, together):
        raise TsyndError(f"{name} gives other outputs whenever it is asked, even in eval mode: make it deterministic there")
    if not same(together[:1], alone):
        raise TsyndError(
            f"{name} gives an image another output in another batch, even in eval mode (batch statistics?): "
            "it must treat each image on its own"
        )
    return together


def drawing_nothing(run: Model, x: Tensor) -> Tensor:
    """The output of a pass, if it draws no random number."""
    found, output = drawn(run, x)
    if found:
        raise TsyndError(
            f"{found[0][0] or name_of(run)} draws random numbers in eval mode too ({found[0][1]}), so nothing that it says can "
            "be repeated or held fixed: make it deterministic in eval mode, with nn.Dropout layers for the randomness; attack an "
            "average of such a network, by tsynd.robustness.averaged_model or eot_model"
        )
    return output


def same(some: Tensor, others: Tensor) -> bool:
    """Equal but for rounding: within 10 sqrt(eps) of the largest value, at most .05. NaN and meta tensors pass."""
    if some.shape != others.shape or some.is_meta or not some.is_floating_point():
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
            hooks.callback(module.register_forward_pre_hook(lambda *_, name=name: enter(name)).remove)
            hooks.callback(module.register_forward_hook(lambda *_: (path.pop(), None)[1], always_call=True).remove)
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
            on = all(given.get(name, True) for name in ("dropout_p", "train", "training"))
            if on and given.get("generator") is None:  # one of its own repeats itself
                self.found.append((self.path[-1], str(func)))
        return func(*args, **kwargs)


@contextmanager
def _kept_buffers(*networks: nn.Module) -> Iterator[None]:
    held = [module._buffers for network in networks for module in network.modules()]
    kept = [(buffers, name, old, None if old is None else old.clone()) for buffers in held for name, old in buffers.items()]
    try:
        yield
    finally:
        for buffers, name, old, values in kept:
            buffers[name] = old
            if old is not None and values is not None and not old.is_meta and not old.equal(values):
                old.copy_(values)
