"""A copy of a network for inference, with each batch norm folded into the convolution before it: half the time, equal outputs."""

import copy
from collections import Counter
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """Copy a network, and fold batch norms into the convolutions that they directly follow in an `nn.Sequential`.

    Left alone are layers that have hooks (old weight norm works by them) or a forward of their own, that stand in several places,
    or in an `nn.Sequential` whose forward is not the usual one. Outputs and their gradients are the same but for rounding, and
    take about half as long on a CPU. The copy is in eval mode, without weight gradients, and has its channels last in memory.

    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU()).eval()
    >>> _ = network[1].running_mean.fill_(0.3)
    >>> images = torch.rand(2, 1, 8, 8)
    >>> len(list(folded(network).modules())), torch.allclose(folded(network)(images), network(images), atol=1e-6)
    (4, True)
    """
    twin = copy.deepcopy(network).eval().requires_grad_(False)
    places = Counter(id(module) for _, module in twin.named_modules(remove_duplicate=False))
    for container in twin.modules():
        if isinstance(container, nn.Sequential) and type(container).forward is nn.Sequential.forward and _plain(container):
            for place in range(len(container) - 1):
                convolution, norm = container[place], container[place + 1]
                if not (type(convolution) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.track_running_stats):
                    continue
                if all(_plain(layer) and places[id(layer)] == 1 for layer in (convolution, norm)):
                    container[place] = fuse_conv_bn_eval(convolution, norm)
                    container[place + 1] = nn.Identity()
    return twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a form unknown to its annotations


def _plain(module: nn.Module) -> bool:
    """Whether a module has neither hooks nor a forward of its own beside that of its class."""
    return not (module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
