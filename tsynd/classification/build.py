"""Classifiers by name: ours, pretrained ones, and those that a factory of yours makes."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from tsynd.classification.any_network import AnyClassifier, Network
from tsynd.classification.efficientnet import efficientnet_lite0, efficientnet_lite0_frozen
from tsynd.classification.networks import ARCHITECTURES, Classifier
from tsynd.errors import TsyndError, unknown
from tsynd.utils.factories import FORMS, find_factory, is_factory
from tsynd.utils.rng import seeded
from tsynd.utils.rules import validated
from tsynd.utils.user_weights import load_weights

FACTORIES: dict[str, Callable[..., nn.Module | Network]] = {
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite0-frozen": efficientnet_lite0_frozen,
}
"""Networks that come with weights, from the extra `[pretrained]`: called as a factory of yours is."""


@validated
def build_classifier(
    channels: int,
    size: int,
    classes: int,
    seed: int,
    *,
    architecture: str = "compact",
    multi_label: bool = False,
    trunk_dropout: float = 0.0,
    head: str | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> Classifier:
    """Build a freshly initialised classifier; the same seed gives the same weights, and torch's global state is untouched.

    Args:
        channels, size, classes, multi_label: as for `Classifier`.
        seed: of the initial weights.
        architecture: `compact`, `resnet18`, `linear`, `efficientnet-lite0`, `efficientnet-lite0-frozen` (see
            `tsynd.classification.efficientnet`), or a factory of yours, `FILE.py:factory` or `package.module:factory`. It is
            called with channels, size, classes and multi_label, and returns a module that gives logits, or a `Network`.
        trunk_dropout: of `compact` only.
        head: of a factory's network: the layer where dropout begins; found without it.
        weights: of a factory's network: a file for `tsynd.load_weights`.

    Raises:
        TsyndError: for an unknown name, a factory that fails or returns something else, and weights that do not fit.
    """
    check_architecture(architecture)
    if architecture in ARCHITECTURES:
        if head is not None or weights is not None:
            named = "head" if head is not None else "weights"
            raise TsyndError(f"{named} is for a network of your own ({FORMS}), got it with {architecture!r}")
        with seeded(seed):
            return Classifier(
                channels, size, classes, architecture=architecture, multi_label=multi_label, trunk_dropout=trunk_dropout
            )
    if trunk_dropout:
        raise TsyndError(f"trunk_dropout must be 0 for {architecture}, got {trunk_dropout}")

    def fresh(seed: int) -> Network:
        factory: Callable[..., Any] = FACTORIES.get(architecture) or find_factory(architecture)
        with seeded(seed):
            made = factory(channels, size, classes, multi_label)
        network = made if isinstance(made, Network) else Network(made)
        if not isinstance(network.module, nn.Module):
            raise TsyndError(f"{architecture} must return a torch.nn.Module that gives logits, got {type(made).__name__}")
        if weights is not None:
            load_weights(network.module, Path(weights)).train()
        return network if head is None else replace(network, head=head)

    try:
        return AnyClassifier(fresh(seed), channels, size, classes, multi_label=multi_label, rebuild=fresh)
    except TsyndError as error:
        if str(error).startswith(architecture):
            raise
        raise TsyndError(f"{architecture}: {error}") from error


def check_architecture(name: str) -> None:
    """Refuse what names neither a classifier that there is nor a factory.

    >>> check_architecture("resnet19")
    Traceback (most recent call last):
    tsynd.errors.TsyndError: unknown classifier 'resnet19': did you mean 'resnet18'? (known: compact, resnet18, ...)
    """
    if not isinstance(name, str) or (name not in ARCHITECTURES and name not in FACTORIES and not is_factory(name)):
        raise unknown("classifier", name, (*ARCHITECTURES, *FACTORIES, FORMS))
