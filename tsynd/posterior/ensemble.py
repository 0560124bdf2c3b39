"""An ensemble as a posterior: K networks, or K heads on one trunk, that were trained apart."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from tsynd.errors import TsyndError
from tsynd.posterior.protocol import checked_images, in_chunks, refuse_unclimbable
from tsynd.uncertainty import log_probabilities
from tsynd.utils.eval_mode import frozen, owner_of
from tsynd.utils.network_passes import given, pair_of, steady, trial
from tsynd.utils.network_trial import check_logits, check_weights, is_multi_label, refuse_probabilities
from tsynd.utils.rules import validated, whole
from tsynd.utils.shape_errors import explained

Function = Callable[[Tensor], Tensor]


class Ensemble:
    """Networks trained from different initialisations, each one posterior sample (Lakshminarayanan et al., NeurIPS 2017).

    Args:
        members: two or more networks, images (B, C, H, W) in [0, 1] to logits of the same classes. They run in eval mode.
        max_chunk: the most images that pass through a network at a time, which bounds memory, in the backward pass too
            (activations are computed again); None for all at once. The result is the same.

    Raises:
        TsyndError: for fewer than two members; at the first call when members give other outputs than their fellows, or
            draw random numbers even in eval mode.

    >>> posterior = Ensemble([nn.Sequential(nn.Flatten(), nn.Linear(16, 3)) for _ in range(5)])
    >>> posterior(torch.rand(2, 1, 4, 4)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, members: Sequence[nn.Module], *, max_chunk: int | None = None) -> None:
        self._prepare(None, members, max_chunk)

    @classmethod
    def of_heads(cls, trunk: Function, heads: Sequence[Function], *, max_chunk: int | None = None) -> "Ensemble":
        """The ensemble of several heads on one trunk, which is passed once for each image.

        Args:
            trunk: a module, or a module's method, from images to features.
            heads: two or more modules from features to logits of the same classes.
            max_chunk: as for `Ensemble`.

        >>> heads = [nn.Linear(16, 3) for _ in range(5)]
        >>> Ensemble.of_heads(nn.Flatten(), heads)(torch.rand(2, 1, 4, 4)).shape
        torch.Size([2, 5, 3])
        """
        ensemble = cls.__new__(cls)
        ensemble._prepare(trunk, heads, max_chunk)
        return ensemble

    @validated
    def _prepare(self, trunk: Function | None, members: Sequence[Function], max_chunk: Annotated[int, whole(1)] | None) -> None:
        if not isinstance(members, Iterable):
            raise TsyndError(f"an ensemble needs a list of networks, got {type(members).__name__}")
        members = tuple(members)
        parts: dict[str, object] = {} if trunk is None else {"the trunk": trunk}
        for name, each in (parts | {f"member {number}": member for number, member in enumerate(members)}).items():
            if not callable(each):
                raise TsyndError(f"{name} of an ensemble must be a network, got {type(each).__name__}")
        if len(members) < 2:
            raise TsyndError(f"an ensemble needs at least 2 members, so that they can disagree, got {len(members)}")
        if len({id(owner_of(member)) for member in members}) < len(members):
            raise TsyndError(f"the {len(members)} members of an ensemble must be different networks, got one of them twice")
        owners = [owner_of(function) for function in (trunk, *members)]
        self.networks = tuple(owner for owner in owners if isinstance(owner, nn.Module))
        self.samples, self.max_chunk = len(members), max_chunk
        self.trunk, self.members, self._examined, self._climbed = trunk, members, False, False

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, chosen: slice) -> "Ensemble":
        """The ensemble of some of the members: `posterior[:5]` of the first five.

        >>> len(Ensemble([nn.Linear(2, 2) for _ in range(5)])[:3])
        3
        """
        if not isinstance(chosen, slice):
            raise TsyndError(f"an ensemble gives ensembles: take a slice such as posterior[:5], got {chosen!r}")
        part = Ensemble.__new__(Ensemble)
        part._prepare(self.trunk, self.members[chosen], self.max_chunk)
        return part

    def resample(self, generator: torch.Generator | None = None) -> None:
        """Do nothing, and draw nothing: the members are the only samples there are."""

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Log-probabilities of images under each member, in fp32 or wider, differentiable in the images.

        Args:
            images_BCHW: (B, C, H, W) float in [0, 1], B >= 1, on the members' device; cast to each one's type.

        Returns:
            (B, K, classes); (B, K, L, 2) if the members (or the trunk) have an attribute `multi_label` that is true.

        Raises:
            TsyndError: when the images do not fit the members, or the members do not fit each other.
        """
        shape = tuple(checked_images(images_BCHW).shape)
        if not self._examined:
            self._examine(images_BCHW)
        if not self._climbed and torch.is_grad_enabled() and images_BCHW.requires_grad:
            for network in self.networks if self.trunk is None else ():
                refuse_unclimbable(network, images_BCHW)
            self._climbed = True

        def run(images_bCHW: Tensor, _: range) -> Tensor:
            with frozen(*self.networks), explained(f"images of shape {shape} do not pass through the ensemble"):
                features = self._features(images_bCHW)
                return torch.stack([self._log_probs(member, features) for member in self.members], dim=1)

        return in_chunks(run, images_BCHW, 1, self.max_chunk)

    def _features(self, images_bCHW: Tensor) -> Tensor:
        return images_bCHW if self.trunk is None else self.trunk(given(images_bCHW, self.trunk))

    def _log_probs(self, member: Function, features: Tensor) -> Tensor:
        logits_bC = check_logits(member, member(given(features, member)), len(features))
        return log_probabilities(logits_bC, is_multi_label(member, self.trunk))

    def _examine(self, images_BCHW: Tensor) -> None:
        """Once, with two images: do all members give the same kind of output, and the same whenever they are asked?"""
        check_weights(*self.networks)
        with trial(*self.networks):
            pair, first = pair_of(images_BCHW), images_BCHW[:8].detach()
            if self.trunk is not None:
                pair, first = steady(self.trunk, pair), self._features(first)
            shapes = []
            for member in self.members:
                check_logits(member, steady(member, pair), 2)
                refuse_probabilities(member, first, is_multi_label(member, self.trunk))
                shapes.append(tuple(self._log_probs(member, pair).shape[1:]))
        for number, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise TsyndError(f"member {number} gives log-probabilities of shape {shape} for an image, member 0 {shapes[0]}")
        _refuse_copies(self.members)
        self._examined = True


def _refuse_copies(members: tuple[Function, ...]) -> None:
    """Refuse members that have the same weights, as two copies of one file: they agree whatever is asked."""
    weights = [[*owner.parameters()] if isinstance(owner := owner_of(each), nn.Module) else [] for each in members]
    for number, own in enumerate(weights):
        for other, theirs in enumerate(weights[:number]):
            pairs = zip(own, theirs, strict=False)
            same = (a is b or ((a.dtype, a.device) == (b.dtype, b.device) and a.equal(b)) for a, b in pairs)
            if own and len(own) == len(theirs) and not own[0].is_meta and all(same):
                raise TsyndError(f"members {other} and {number} of an ensemble have the same weights, so they cannot disagree")
