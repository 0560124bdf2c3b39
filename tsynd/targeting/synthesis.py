"""What a search gives: targeted images, one row each, with where they come from and what was measured on them."""

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.posterior import Posterior
from tsynd.posterior.protocol import check_posterior
from tsynd.targeting.objectives import Objective, bind, find_objective, log_prob
from tsynd.uncertainty import mutual_information
from tsynd.utils.rules import validated
from tsynd.utils.validation import check_kind, check_tensors


@dataclass(frozen=True)
class Synthesis:
    """Targeted images and where they come from, one row per image.

    images: float in [0, 1]. reconstructions: what the search started from: decode(z0), or the source itself with residual
    decoding and in pixel space. labels: int64, copied from the sources. sources: int64, index of the source image.
    start_latents, latents: z0 and z*, in standardised units (in pixel space: the flattened images). objective_before,
    objective_after: the objective of the reconstruction and of the image, on *fresh* posterior samples;
    mutual_information_before, mutual_information_after: their mutual information likewise, in nats. log_prob_fall: by how
    much log p(label) fell, in nats.
    latent_displacement: `|z* - z0|` / sqrt(D), in the space that was searched. pixel_displacement: root mean square
    difference to the reconstruction, in [0, 1] intensity. steps_taken: int64, the ascent steps that the image took.
    stuck: bool, it had no gradient at its start and stayed there.
    radius, steps, objective, space, minimise, decode, displacement: of the search. seed: of the generator that it drew from,
    None for the global one.
    """

    images: Tensor
    reconstructions: Tensor
    labels: Tensor
    sources: Tensor
    start_latents: Tensor
    latents: Tensor
    objective_before: Tensor
    objective_after: Tensor
    mutual_information_before: Tensor
    mutual_information_after: Tensor
    log_prob_fall: Tensor
    latent_displacement: Tensor
    pixel_displacement: Tensor
    steps_taken: Tensor
    stuck: Tensor
    radius: float
    steps: int
    objective: str
    space: str
    minimise: bool
    seed: int | None
    decode: str = "image"
    displacement: float | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor) -> "Synthesis":
        """Some of the images: an index (n,) or a mask (B,)."""
        if not isinstance(chosen, Tensor) or chosen.ndim != 1:
            raise TsyndError(f"choose images by an index or a mask, a tensor of one dimension, got {type(chosen).__name__}")
        return self._with({name: getattr(self, name)[chosen] for name in COLUMNS})

    def to(self, device: torch.device | str) -> "Synthesis":
        """Return the same synthesis with its columns on another device."""
        try:
            device = torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise TsyndError(f"device must be one such as 'cpu' or 'cuda', got {device!r}") from error
        return self._with({name: getattr(self, name).to(device) for name in COLUMNS})

    def with_sources(self, index: Tensor) -> "Synthesis":
        """Return the same synthesis with its sources counted anew: source i becomes index[i].

        index: (N,) int64, N above every source.
        """
        check_tensors(index=index)
        if index.ndim != 1 or index.dtype != torch.int64 or len(index) <= int(self.sources.max()):
            found = f"{index.dtype} of shape {tuple(index.shape)}"
            raise TsyndError(f"index must be int64 (N,), N above every source, {int(self.sources.max())}, got {found}")
        return replace(self, sources=index.to(self.sources.device)[self.sources])

    def _with(self, columns: dict[str, Any]) -> "Synthesis":
        return replace(self, **columns)


COLUMNS = tuple(column.name for column in fields(Synthesis) if column.type is Tensor)
"""The fields with a row for each image."""


def describe(
    before_BCHW: Tensor, after_BCHW: Tensor, labels_B: Tensor, posterior: Posterior, objective: Objective
) -> dict[str, Tensor]:
    """Measure what was found on the posterior's present (fresh) samples: columns of a `Synthesis`."""
    before_BKC, after_BKC = posterior(before_BCHW), posterior(after_BCHW)
    objective = bind(objective, before_BKC)
    return {
        "images": after_BCHW,
        "reconstructions": before_BCHW,
        "objective_before": objective(before_BKC, labels_B),
        "objective_after": objective(after_BKC, labels_B),
        "mutual_information_before": mutual_information(before_BKC),
        "mutual_information_after": mutual_information(after_BKC),
        "log_prob_fall": log_prob(before_BKC, labels_B) - log_prob(after_BKC, labels_B),
        "pixel_displacement": (after_BCHW - before_BCHW).square().mean(dim=(1, 2, 3)).sqrt(),
    }


@validated
def remeasure(synthesis: Synthesis, posterior: Posterior) -> Synthesis:
    """The same synthesis, measured anew on its images as they are now and on the posterior's present samples.

    The objective becomes mutual information.
    """
    check_posterior(posterior)
    before_BCHW, after_BCHW, score = synthesis.reconstructions, synthesis.images, find_objective("mutual_information")
    with torch.no_grad():
        return synthesis._with(describe(before_BCHW, after_BCHW, synthesis.labels, posterior, score))


def concatenate(parts: list[Synthesis]) -> Synthesis:
    """Several syntheses of one search's settings as one, in order; at least one."""
    check_kind(list, parts=parts)
    if not parts:
        raise TsyndError("parts must be a list of at least one Synthesis, got []")
    for part in parts:
        check_kind(Synthesis, part=part)
    return parts[0]._with({name: torch.cat([getattr(part, name) for part in parts]) for name in COLUMNS})


def identity(synthesis: Synthesis) -> str:
    """What tells this set of images from every other: a hash of its 8-bit images, labels and sources.

    It is the same before the set is written and after it is read.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update((synthesis.images * 255).round().to(torch.uint8).cpu().contiguous().numpy().tobytes())
    for column in (synthesis.labels, synthesis.sources):
        digest.update(column.long().cpu().numpy().tobytes())
    return f"tsynd-{digest.hexdigest()}"  # a word: a spreadsheet would turn digits into a number
