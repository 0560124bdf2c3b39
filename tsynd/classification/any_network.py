"""Any network as a classifier: where dropout begins, how its input is normalised, and which of its parts learn how fast."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from tsynd.classification.networks import Classifier
from tsynd.errors import TsyndError, unknown
from tsynd.utils.eval_mode import frozen
from tsynd.utils.rng import seeded
from tsynd.utils.shape_errors import explained
from tsynd.utils.tensor_files import weights_hash
from tsynd.utils.validation import check_kind, check_number

Normalisation = str | tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Network:
    """A network of yours and what training must know of it; a factory may return one instead of the bare module.

    Args:
        module: images (B, C, S, S) to logits (B, classes).
        head: the layer where the posterior's dropout begins, as in `module.named_modules()`. None finds it: the last linear
            layer, or the first of the dropout layers between the pooled features and it. A head without dropout gets some.
        normalise: what is done to images in [0, 1] before the module sees them. "none"; "training" for the mean and
            standard deviation of each channel of the training images; or (means, deviations), a number for each channel.
        learning_rates: by the beginning of a parameter's name, the factor on the learning rate: `{"features": 0.1}` lets the
            layers of `module.features` learn ten times more slowly. 0 freezes them; batch norm in frozen layers keeps its
            running statistics.
    """

    module: nn.Module
    head: str | None = None
    normalise: Normalisation = "none"
    learning_rates: Mapping[str, float] = field(default_factory=dict)


class AnyClassifier(Classifier):
    """Any network behind the interface of `Classifier`, for training, runs, audits and studies.

    Parameters that require no gradient when it is made stay frozen.

    Args:
        network: images to logits (B, classes), bare or as a `Network`.
        channels, size, classes, multi_label: as for `Classifier`.
        rebuild: from a random seed to a freshly initialised `Network` like it, for controls and ensembles. Without it, layers
            are drawn anew by their `reset_parameters`.

    Raises:
        TsyndError: when the network does not give logits of this shape for such images, a named layer does not exist, or
            nothing is left to train.

    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    >>> classifier = AnyClassifier(Network(net, learning_rates={"0": 0.1, "1": 0}), channels=1, size=28, classes=2)
    >>> classifier.split, [group["lr"] for group in classifier.parameter_groups(0.01)]
    ('network.4', [0.001, 0.01])
    """

    memory_format = torch.contiguous_format  # a network that calls .view fails in another

    def __init__(
        self,
        network: nn.Module | Network,
        channels: int,
        size: int,
        classes: int,
        *,
        multi_label: bool = False,
        rebuild: Callable[[int], Network] | None = None,
    ) -> None:
        given = network if isinstance(network, Network) else Network(network)
        check_kind(nn.Module, network=given.module)
        nn.Module.__init__(self)
        self._describe(channels, size, classes, multi_label)
        self.network, self._rebuild = given.module, rebuild
        self.normalises_to_training = given.normalise == "training"
        self._normalise(given.normalise)
        calls = _calls(self.network, (channels, size, size), classes)
        linear = [name for name, layer, _ in calls if isinstance(layer, nn.Linear)]
        if given.head is not None:
            _check_layer(self.network, given.head)
        elif not linear:
            raise TsyndError(f"{self.called} has no linear layer where dropout could begin: name a layer as its head")
        self.readout = f"network.{linear[-1]}" if linear else ""
        self.split = f"network.{given.head or _start_of_dropout(calls)}"
        self._factors = _factors(self.network, given.learning_rates)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(self._factors[name] > 0)

    @property
    def called(self) -> str:
        """The name of the network's class, by which messages call it."""
        return type(self.network).__name__

    def trunk(self, images_BCHW: Tensor) -> Tensor:
        """Refuse: where the features of any network are, only the network knows."""
        raise TsyndError(f"{self.called} has no trunk and head of ours: use HeadDropout or FullDropout")

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, classes)."""
        logits: Tensor = self.network((images_BCHW - self.mean) / self.std)
        return logits

    def train(self, mode: bool = True) -> "AnyClassifier":
        """Switch modes; batch norm whose weights are frozen stays in eval mode, so that its running statistics stay too."""
        super().train(mode)
        for layer in self.modules():
            own = list(layer.parameters(recurse=False))
            if isinstance(layer, _NormBase) and own and not any(parameter.requires_grad for parameter in own):
                layer.eval()
        return self

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Return what is learnt, a group for each factor on the learning rate."""
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if factor := self._factors[name]:
                groups.setdefault(factor, []).append(parameter)
        return [{"params": learnt, "lr": learning_rate * factor} for factor, learnt in sorted(groups.items())]

    def reinitialise(self, seed: int) -> None:
        """Draw the weights anew, in place: as the factory does, so that what is pretrained stays so."""
        if self._rebuild is None:
            super().reinitialise(seed)
        else:
            self.network.load_state_dict(self._rebuild(seed).module.state_dict())

    def identity(self) -> str:
        """Say which network this is, and with which weights it begins."""
        return f"{super().identity()}, {self.called}, weights {weights_hash(self.network)}"

    def _normalise(self, how: Normalisation) -> None:
        """Set what the input is normalised by, where that does not wait for the training images."""
        if how in ("none", "training"):
            values: Any = ([0.0], [1.0])
        elif isinstance(how, tuple | list) and len(how) == 2:
            values = how
        else:
            raise TsyndError(f"normalise must be 'none', 'training' or (means, deviations), got {how!r}")
        for buffer, numbers in zip((self.mean, self.std), values, strict=True):
            given = torch.as_tensor(numbers, dtype=torch.float32).flatten()
            if len(given) not in (1, self.channels) or (buffer is self.std and not bool((given > 0).all())):
                raise TsyndError(f"normalise needs {self.channels} means and positive deviations, one a channel, got {how!r}")
            buffer.copy_(given.view(1, -1, 1, 1))


Calls = list[tuple[str, nn.Module, int]]
"""Layers without parts, in the order in which they are called: name, layer, dimensions of its input."""


def _calls(network: nn.Module, shape: tuple[int, int, int], classes: int) -> Calls:
    """Pass two images through a network once, refuse what gives no logits for them, and return what was called."""
    name, calls = type(network).__name__, Calls()

    def note(layer_name: str, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls.append((layer_name, layer, inputs[0].ndim if inputs and isinstance(inputs[0], Tensor) else 0))

    images_BCHW = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    weights = next((parameter for parameter in network.parameters()), images_BCHW)
    with ExitStack() as stack:
        for layer_name, layer in network.named_modules():
            if layer_name and not list(layer.children()):
                hook = layer.register_forward_pre_hook(lambda layer, inputs, called=layer_name: note(called, layer, inputs))
                stack.callback(hook.remove)
        stack.enter_context(explained(f"images of shape {tuple(images_BCHW.shape)} do not pass through {name}"))
        stack.enter_context(torch.no_grad())
        stack.enter_context(seeded(0))
        stack.enter_context(frozen(network))
        logits = network(images_BCHW.to(weights))
    if not isinstance(logits, Tensor):
        raise TsyndError(f"{name} must give a tensor of logits (B, {classes}), got {type(logits).__name__}")
    if logits.shape != (2, classes):
        hint = "features or maps: end in a linear layer" if logits.ndim != 2 else "as many numbers an image as there are classes"
        raise TsyndError(f"{name} must give logits (2, {classes}) for 2 images, {hint}, got shape {tuple(logits.shape)}")
    return calls


def _start_of_dropout(calls: Calls) -> str:
    """The last linear layer, or the first dropout layer among the layers of feature vectors that lead to it."""
    last = max(place for place, (_, layer, _) in enumerate(calls) if isinstance(layer, nn.Linear))
    start = calls[last][0]
    for name, layer, dimensions in reversed(calls[:last]):
        if dimensions != 2:
            break
        if isinstance(layer, _DropoutNd) and layer.p > 0:
            start = name
    return start


def _check_layer(network: nn.Module, name: str) -> None:
    layers = [known for known, _ in network.named_modules(remove_duplicate=False) if known]
    if name not in layers:
        raise unknown(f"layer of {type(network).__name__}", name, difflib.get_close_matches(name, layers, 8, 0.3) or layers[-8:])


def _factors(network: nn.Module, given: Mapping[str, float]) -> dict[str, float]:
    """The factor on the learning rate of each parameter, by its name: that of the longest beginning which is named."""
    check_number(**{f"learning rate of {beginning}": factor for beginning, factor in given.items()})
    factors = {name: float(parameter.requires_grad) for name, parameter in network.named_parameters()}
    for beginning, factor in sorted(given.items(), key=lambda item: len(item[0])):
        named = [name for name in factors if name == beginning or name.startswith(f"{beginning}.")]
        if not named:
            tops = list(dict.fromkeys(name.partition(".")[0] for name in factors))
            raise unknown(f"part of {type(network).__name__}", beginning, tops)
        if not 0 <= factor < math.inf:
            raise TsyndError(f"the learning rate of {beginning!r} must be a factor >= 0, got {factor}")
        factors |= dict.fromkeys(named, float(factor))
    if not any(factors.values()):
        raise TsyndError(f"{type(network).__name__} has nothing to train: all of its parameters are frozen")
    return factors
