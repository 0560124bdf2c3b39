"""What a search gives: targeted images, one row each, with where they come from and what was measured on them."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from tsynd.arguments import check_kind, check_tensors
from tsynd.errors import TsyndError
from tsynd.posterior import Posterior
from tsynd.posterior.passes import check_posterior
from tsynd.targeting.objectives import Objective, find_objective, log_prob
from tsynd.uncertainty import mutual_information


@dataclass(frozen=True)
class Synthesis:
    """Targeted images and where they come from, one row per image.

    images_BCHW: float in [0, 1]. reconstructions_BCHW: what the search started from, decode(z0). labels_B: int64, copied
    from the sources. source_B: int64, index of the source image. start_latents_BD, latents_BD: z0 and z*, in standardised
    units (in pixel space: the flattened images). objective_before_B, objective_after_B: the objective of
    the reconstruction and of the image, on *fresh* posterior samples; information_before_B, information_after_B: their
    mutual information likewise, in nats. log_prob_fall_B: by how much log p(label) fell, in nats.
    latent_displacement_B: `|z* - z0|` / sqrt(D), in the space that was searched. pixel_displacement_B: root mean square
    difference to the reconstruction, in [0, 1] intensity. steps_B: int64, the ascent steps that the image took.
    stuck_B: bool, it had no gradient at its start and stayed there.
    radius, steps, objective, space, minimise: of the search. seed: of the generator that it drew from, None for the global one.
    """

    images_BCHW: Tensor
    reconstructions_BCHW: Tensor
    labels_B: Tensor
    source_B: Tensor
    start_latents_BD: Tensor
    latents_BD: Tensor
    objective_before_B: Tensor
    objective_after_B: Tensor
    information_before_B: Tensor
    information_after_B: Tensor
    log_prob_fall_B: Tensor
    latent_displacement_B: Tensor
    pixel_displacement_B: Tensor
    steps_B: Tensor
    stuck_B: Tensor
    radius: float
    steps: int
    objective: str
    space: str
    minimise: bool
    seed: int | None

    def __len__(self) -> int:
        return len(self.labels_B)

    def __getitem__(self, chosen: Tensor) -> "Synthesis":
        """Some of the images: an index (n,) or a mask (B,)."""
        if not isinstance(chosen, Tensor) or chosen.ndim != 1:
            raise TsyndError(f"choose images by an index or a mask, a tensor of one dimension, got {type(chosen).__name__}")
        return self._with({name: getattr(self, name)[chosen] for name in COLUMNS})

    def _with(self, columns: dict[str, Any]) -> "Synthesis":
        return replace(self, **columns)


COLUMNS = tuple(column.name for column in fields(Synthesis) if column.name.endswith(("_B", "_BD", "_BCHW")))
"""The fields with a row for each image."""


def describe(
    before_BCHW: Tensor, after_BCHW: Tensor, labels_B: Tensor, posterior: Posterior, objective: Objective
) -> dict[str, Tensor]:
    """Measure what was found on the posterior's present (fresh) samples: columns of a `Synthesis`."""
    before_BKC, after_BKC = posterior(before_BCHW), posterior(after_BCHW)
    return {
        "images_BCHW": after_BCHW,
        "reconstructions_BCHW": before_BCHW,
        "objective_before_B": objective(before_BKC, labels_B),
        "objective_after_B": objective(after_BKC, labels_B),
        "information_before_B": mutual_information(before_BKC),
        "information_after_B": mutual_information(after_BKC),
        "log_prob_fall_B": log_prob(before_BKC, labels_B) - log_prob(after_BKC, labels_B),
        "pixel_displacement_B": (after_BCHW - before_BCHW).square().mean(dim=(1, 2, 3)).sqrt(),
    }


def measured(synthesis: Synthesis, posterior: Posterior) -> Synthesis:
    """The same synthesis, measured anew on its images as they are now and on the posterior's present samples.

    The objective becomes mutual information.
    """
    check_kind(Synthesis, synthesis=synthesis)
    check_posterior(posterior)
    before_BCHW, after_BCHW, score = synthesis.reconstructions_BCHW, synthesis.images_BCHW, find_objective("mutual_information")
    with torch.no_grad():
        return synthesis._with(describe(before_BCHW, after_BCHW, synthesis.labels_B, posterior, score))


def concatenate(parts: list[Synthesis]) -> Synthesis:
    """Several syntheses of one search's settings as one, in order; at least one."""
    check_kind(list, parts=parts)
    if not parts:
        raise TsyndError("parts must be a list of at least one Synthesis, got []")
    for part in parts:
        check_kind(Synthesis, part=part)
    return parts[0]._with({name: torch.cat([getattr(part, name) for part in parts]) for name in COLUMNS})


def on_device(synthesis: Synthesis, device: torch.device | str) -> Synthesis:
    """The same synthesis with its columns on another device."""
    check_kind(Synthesis, synthesis=synthesis)
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise TsyndError(f"device must be one such as 'cpu' or 'cuda', got {device!r}") from error
    return synthesis._with({name: getattr(synthesis, name).to(device) for name in COLUMNS})


def on_cpu(synthesis: Synthesis, source_B: Tensor) -> Synthesis:
    """The same synthesis on the CPU, with its sources counted anew: row i comes from image source_B[i] of what was given."""
    moved = on_device(synthesis, "cpu")
    check_tensors(source_B=source_B)
    if source_B.ndim != 1 or source_B.dtype != torch.int64 or len(source_B) <= int(moved.source_B.max()):
        found = f"{source_B.dtype} of shape {tuple(source_B.shape)}"
        raise TsyndError(f"source_B must be int64 (N,), N above every source, {int(moved.source_B.max())}, got {found}")
    return moved._with({"source_B": source_B[moved.source_B]})
