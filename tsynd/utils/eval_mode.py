"""Networks lent to a function come back as they were: mode and grad flags are restored, on exceptions too."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from tsynd.errors import TsyndError


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Eval mode and no weight gradients inside the block; every module's mode and every grad flag restored after it.

    In eval mode batch-norm statistics stay as they are. Without weight gradients an ascent step on the input is
    about a third cheaper.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> with frozen(network):
    ...     print(network.training, network[0].weight.requires_grad)
    False False
    >>> network.training, network[0].weight.requires_grad
    (True, True)
    """
    training = [module for network in networks for module in network.modules() if module.training]
    learning = [parameter for network in networks for parameter in network.parameters() if parameter.requires_grad]
    if any(map(is_lazy, learning)):
        refuse_lazy(*networks)
    learning = [parameter for parameter in learning if not parameter.is_inference()]  # torch lets nobody set the flag of these
    try:
        if training:  # else there is nothing to do: a search freezes again and again
            for network in networks:
                network.eval()
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in learning:
            parameter.requires_grad_(True)


def refuse_lazy(*networks: nn.Module) -> None:
    """Refuse a network whose lazy layers have seen no input: it has no weights yet."""
    for network in networks:
        if lazy := [name for name, weight in network.named_parameters() if is_lazy(weight)]:
            raise TsyndError(
                f"{type(network).__name__} has no weights yet: pass images through it once, for {', '.join(lazy[:3])}"
            )


def owner_of(function: object) -> object:
    """The module that a bound method belongs to; anything else is its own owner."""
    return getattr(function, "__self__", function)


def weights_type(function: object) -> torch.dtype | None:
    """The floating-point type of the first weights of the network that a function belongs to; None where there are none."""
    network = owner_of(function)
    tensors = chain(network.parameters(), network.buffers()) if isinstance(network, nn.Module) else iter(())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), None)
