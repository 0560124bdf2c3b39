"""Monte-Carlo dropout with fixed masks, by hooks on any network: in the whole of it, or in what follows a split.

The network runs in eval mode. (Gal and Ghahramani, ICML 2016, read dropout as an approximate posterior; batchbald_redux holds
its masks likewise.)
"""

import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from torch import Tensor, nn

from tsynd.classification import Classifier
from tsynd.errors import TsyndError, unknown
from tsynd.posterior.masks import Expansion, Masks, active
from tsynd.posterior.protocol import checked_images, in_chunks, refuse_compiled, refuse_unclimbable, refuse_uncontrolled
from tsynd.uncertainty import log_probabilities
from tsynd.utils.eval_mode import frozen
from tsynd.utils.folding import folded
from tsynd.utils.network_passes import pair_of, same, steady, trial
from tsynd.utils.network_trial import check_logits, check_weights, is_multi_label, refuse_probabilities
from tsynd.utils.rng import generator_for
from tsynd.utils.rules import validated, whole
from tsynd.utils.shape_errors import explained
from tsynd.utils.validation import check_kind

DEFAULT_RATE = 0.5  # the rate of the dropout that HeadDropout brings to a network that has none after the split
CPU_ROWS = 256  # that pass through a whole network at a time: thousands leave a CPU's cache and take up to three times as long


class MaskedDropout:
    """What `HeadDropout` and `FullDropout` have in common: a network, where its samples begin, and K fixed sets of masks.

    `networks`: the one network. `samples`: K. `split`: the layer before which rows are repeated, None for the input.
    """

    @validated
    def __init__(
        self,
        network: nn.Module,
        split: str | None,
        samples: Annotated[int, whole(2)],
        dropout: float | None,
        generator: torch.Generator | None,
        max_chunk: Annotated[int, whole(1)] | None,
    ) -> None:
        if dropout is not None and not 0 < dropout < 1:
            raise TsyndError(f"dropout must be None or a rate between 0 and 1, both excluded, got {dropout}")
        self.networks: tuple[nn.Module, ...] = (network,)
        self.samples, self.max_chunk = samples, max_chunk
        self.split = None if split is None else _name_of(network, split)
        self._brought, self._examined, self._climbed = dropout, False, False
        self.resample(generator)

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Hold new masks from now on. Their seed is drawn from the generator, from torch's global state without one."""
        device = generator.device if generator is not None else None
        self._masks = Masks(self.samples, int(torch.randint(2**62, (1,), generator=generator, device=device)))

    @property
    def masks(self) -> dict[str, Tensor]:
        """The masks that calls have needed since `resample`: (K, *features) by the name of the dropout layer."""
        return dict(self._masks.held)

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Log-probabilities of images under the K samples held now, in fp32 or wider, differentiable in the images.

        Args:
            images_BCHW: (B, C, H, W) float in [0, 1], B >= 1, on the network's device; they are cast to its type.

        Returns:
            (B, K, classes); (B, K, L, 2) if the network has an attribute `multi_label` that is true.

        Raises:
            TsyndError: when the images do not fit the network, or the network cannot be used so; it says why.
        """
        checked_images(images_BCHW)
        (network,), masks = self.networks, self._masks
        if not self._examined:
            self._examine(images_BCHW)
        if not self._climbed and torch.is_grad_enabled() and images_BCHW.requires_grad:
            refuse_unclimbable(network, images_BCHW)
            self._climbed = True

        def run(images_bCHW: Tensor, chosen: range) -> Tensor:  # also in the backward pass, under the same masks
            with frozen(network), explained(f"images of shape {tuple(images_BCHW.shape)} do not pass through {_kind(network)}"):
                logits_bkC = self._expansion(len(images_bCHW), chosen, masks)(images_bCHW)
                return log_probabilities(logits_bkC, is_multi_label(network))

        rows = self.max_chunk
        if rows is None and self.split is None and images_BCHW.device.type == "cpu":
            rows = max(CPU_ROWS, self.samples)
        return in_chunks(run, images_BCHW, self.samples, rows, again=self.max_chunk is not None)

    @contextmanager
    def folded(self) -> Iterator[nn.Module]:
        """Inside the block the network is a folded copy of itself, if it allows: the same samples in less time.

        See `tsynd.utils.folding`. A network of somebody else may use its layers otherwise than in order: a copy whose logits
        differ from the network's by more than rounding, for any of some very different images, is not used.
        """
        kept = self.networks
        self.networks = (_faster(kept[0]),)
        try:
            yield self.networks[0]
        finally:
            self.networks = kept

    def with_logits(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities as a call gives them, and the network's own logits (B, classes), from one pass; no gradients."""
        (network,), masks = self.networks, self._masks
        if self.split is None or self.max_chunk is not None or not self._examined:
            with torch.no_grad(), frozen(network):
                return self(images_BCHW), network(images_BCHW)
        checked_images(images_BCHW)
        with torch.no_grad(), frozen(network):
            logits_BkC = self._expansion(len(images_BCHW), range(-1, self.samples), masks)(images_BCHW)
            return log_probabilities(logits_BkC[:, 1:], is_multi_label(network)), logits_BkC[:, 0]

    def _expansion(self, count: int, chosen: range, masks: Masks | None) -> Expansion:
        return Expansion(self.networks[0], self.split, count, chosen, masks, self._brought)

    def _examine(self, images_BCHW: Tensor) -> None:
        """Once, with two images: is all randomness in our hands, and do repeated rows without masks give what one row gives?"""
        (network,) = self.networks
        refuse_compiled(network)
        check_weights(network)
        with trial(network):
            pair = pair_of(images_BCHW)
            expected_2C = check_logits(network, steady(network, pair), 2)
            refuse_probabilities(network, images_BCHW[:8], is_multi_label(network))
            if self._brought is None:
                refuse_uncontrolled(network, pair, self.split)
            where = "the input" if self.split is None else f"layer {self.split!r}"
            for samples in (2, 3):  # a dimension that is no batch may have the size of one of them, not of both
                expansion = self._expansion(2, range(samples), None)
                with explained(
                    f"{_kind(network)} cannot take {samples} rows for each image from {where} on (it needs the batch again?)"
                ):
                    rows_2kC = expansion(pair)
                if not same(rows_2kC.flatten(0, 1), expected_2C.repeat_interleave(samples, dim=0)):
                    raise TsyndError(
                        f"{_kind(network)} gives other logits when rows are repeated from {where} on, even without dropout, "
                        "since a later layer uses the batch as it was: split later, or use FullDropout"
                    )
        if self._brought is None and not expansion.reached:
            if self.split is None:
                raise _no_dropout(network)
            self._brought = DEFAULT_RATE
        self._examined = True


class FullDropout(MaskedDropout):
    """Monte-Carlo dropout in every dropout layer of any network: the whole network is passed K times, as rows of one batch.

    The masks are shared over the batch and fixed until `resample()`, so results do not depend on how a batch is split.

    Args:
        model: images (B, C, H, W) in [0, 1] to logits, with nn.Dropout layers (also 1d, 2d, 3d, alpha) of a rate above 0.
        samples: K, the number of posterior samples, at least 2.
        generator: where the seed of the first masks is drawn from; torch's global state without one.
        max_chunk: the most rows (images x samples) that pass through the network at a time, which bounds memory, in the
            backward pass too (activations are computed again). None keeps all activations for a backward pass. The result is
            the same.

    Raises:
        TsyndError: when `samples` < 2, when the model has no active dropout layer, and at the first call when it draws random
            numbers that cannot be held fixed (F.dropout, dropout inside attention, stochastic depth).

    >>> network = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    >>> posterior = FullDropout(network, samples=8, generator=torch.Generator().manual_seed(0))
    >>> posterior(torch.rand(5, 1, 4, 4)).shape
    torch.Size([5, 8, 3])
    """

    def __init__(
        self,
        model: nn.Module,
        samples: int = 64,
        generator: torch.Generator | None = None,
        max_chunk: int | None = None,
    ) -> None:
        check_kind(nn.Module, model=model)
        if not any(active(layer) for layer in model.modules()):
            raise _no_dropout(model)
        super().__init__(model, None, samples, None, generator, max_chunk)


class HeadDropout(MaskedDropout):
    """Monte-Carlo dropout in the head only: one pass through the trunk, then K rows for each image in the layers that follow.

    K = 64 samples cost hardly more than one when the head is small. The masks are shared over the batch and fixed until
    `resample()`, so results do not depend on how a batch is split. Made by `from_model`, or `of` for our own classifier.
    """

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        split: str,
        samples: int = 64,
        *,
        dropout: float | None = None,
        generator: torch.Generator | None = None,
        max_chunk: int | None = None,
    ) -> "HeadDropout":
        """The posterior of any network by dropout in what runs after a named layer is reached.

        Args:
            model: images (B, C, H, W) in [0, 1] to logits.
            split: name of a layer, as in `model.named_modules()`. Its input is repeated for each sample; dropout before
                it stays off.
            samples: K, the number of posterior samples, at least 2.
            dropout: None for the model's own dropout layers from the split on; if it has none there, dropout of .5 is
                brought to the split layer's input. A rate: brought there, and the model's own stays off. Feature maps
                (4 or more dimensions) are dropped by channel.
            generator: where the seed of the first masks is drawn from; torch's global state without one.
            max_chunk: the most rows (images x samples) that pass through the network at a time; None for all at once. Below
                `samples`, the trunk is passed more than once for each image. The result is the same.

        Raises:
            TsyndError: for an unknown layer, `samples` < 2 or a rate outside (0, 1); at the first call when the layers from
                the split on need the batch as it was, or draw random numbers that cannot be held fixed.

        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
        >>> HeadDropout.from_model(network, split="3", samples=8)(torch.rand(5, 1, 4, 4)).shape
        torch.Size([5, 8, 3])
        """
        return cls(model, split, samples, dropout, generator, max_chunk)

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        samples: int = 64,
        generator: torch.Generator | None = None,
        max_chunk: int | None = None,
    ) -> "HeadDropout":
        """The posterior of a `Classifier`, by the dropout in its head; arguments as in `from_model`."""
        return cls(classifier, classifier.split, samples, None, generator, max_chunk)


def _faster(network: nn.Module) -> nn.Module:
    """The network's folded copy, or the network itself where that fails, gives other logits, or cannot be tried."""
    channels, size = getattr(network, "channels", None), getattr(network, "size", None)
    weight = next(network.parameters(), None)
    if not isinstance(channels, int) or not isinstance(size, int) or weight is None:
        return network
    shape = (channels, size, size)
    ramp = torch.linspace(0, 1, 2 * math.prod(shape)).view(2, *shape)
    noise = torch.rand(2, *shape, generator=generator_for(0, "folding"))
    images = torch.cat([ramp, 1 - ramp, noise, noise.round(), 0.1 * noise, torch.ones(1, *shape)]).to(weight)
    try:
        twin = folded(network)
        with torch.no_grad(), frozen(network):
            given, found = network(images), twin(images)
        return twin if bool(((found - given).abs() <= 1e-4 * given.abs().amax()).all()) else network
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return network


def _kind(network: nn.Module) -> str:
    return type(network).__name__


def _no_dropout(network: nn.Module) -> TsyndError:
    return TsyndError(
        f"{_kind(network)} calls no nn.Dropout layer with a rate above 0, so all samples would agree: "
        "HeadDropout.from_model(model, split=...) brings dropout of its own"
    )


@validated
def _name_of(network: nn.Module, split: str) -> str:
    """The first name of the layer: one that is shared has several."""
    layers = {name: layer for name, layer in network.named_modules(remove_duplicate=False) if name}
    if split not in layers:
        raise unknown("layer", split, difflib.get_close_matches(split, layers, n=8, cutoff=0.3) or list(layers)[:8])
    return next(name for name, layer in network.named_modules() if layer is layers[split])
