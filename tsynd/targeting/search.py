"""`target`: from real images to targeted ones, on fixed posterior samples, and what was found measured on fresh ones."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Protocol

import torch
from torch import Tensor, nn

from tsynd.errors import TsyndError
from tsynd.posterior import Posterior
from tsynd.posterior.protocol import check_posterior, checked_images
from tsynd.targeting.ascent import Ascent, unit
from tsynd.targeting.objectives import Guard, Objective, find_objective
from tsynd.targeting.synthesis import Synthesis, describe
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_passes import drawing_nothing, network_of, trial
from tsynd.utils.network_trial import refuse_inference_mode, untried
from tsynd.utils.rng import normal
from tsynd.utils.rules import choice, instance, number, validated, whole
from tsynd.utils.shape_errors import explained
from tsynd.utils.validation import check_range

SPACES = {"latent": 0.25, "pixel": 0.02}
"""Where a search can move, with the radius that it has by default."""

DECODINGS = ("image", "residual")
"""What a code stands for: the decoded image, or its change on the source: source + decode(z) - decode(z0), clipped."""


class Autoencoder(Protocol):
    """What targeting needs of an autoencoder: two verbs on standardised codes (B, D)."""

    def encode(self, images_BCHW: Tensor) -> Tensor: ...
    def decode(self, latents_BD: Tensor) -> Tensor: ...


@validated
def target(
    images_BCHW: Tensor,
    labels_B: Tensor,
    autoencoder: Autoencoder | None,
    posterior: Posterior,
    *,
    objective: str | Objective = "mutual_information",
    space: Annotated[str, choice("space", SPACES)] = "latent",
    decode: Annotated[str, choice("decoding", DECODINGS)] = "image",
    displacement: Annotated[float, number(0, 1, above=True)] | None = None,
    minimise: bool = False,
    radius: Annotated[float, number()] | None = None,
    steps: Annotated[int, whole(0)] = 5,
    step_size: Annotated[float, number()] | None = None,
    noise: Annotated[float, number()] = 0.1,
    guard: Annotated[Guard, instance(Guard)] | None = None,
    sources: Tensor | None = None,
    generator: torch.Generator | None = None,
    max_chunk: Annotated[int, whole(1)] | None = None,
) -> Synthesis:
    """Move each image's code, by gradient ascent, to where the objective on the decoded image is highest.

    One set of posterior samples is drawn and held during the ascent; the values that are reported come from another.

    Args:
        images_BCHW: (B, C, H, W) real images in [0, 1], and labels_B, their int64 classes; multi-label: (B, L) of 0 and 1.
        autoencoder: `encode` and `decode` between images and standardised codes. Pixel space needs none.
        posterior: images to log_probs_BKC; its networks are frozen meanwhile, in eval mode, and come back as they were.
        objective: `mutual_information` (the paper), `entropy`, `cross_entropy`, the controls `random` (equal latent
            displacement) and `reconstruction` (none), or a differentiable callable (log_probs_BKC, labels_B) -> (B,).
        space: `latent`, or `pixel`: the image itself is moved, from the real image and inside [0, 1].
        decode: `image`, or `residual`: the image is source + decode(z) - decode(z0), clipped to [0, 1], so that it keeps the
            detail that the autoencoder loses, and the search climbs the objective of that image. In pixel space both are one.
        displacement: scale the change of each image, after the search, to this root mean square in [0, 1] intensity, and clip it:
            so that searches in different spaces can be compared. It needs decode="residual" or space="pixel". None: as found.
        minimise: descend instead: the negative control.
        radius: of the ball around z0, as `|z - z0|` / sqrt(D), at least 0; by default .25 in latent space, in units of the
            codes' standard deviation, and .02 in pixel space, in intensity. With radius 0 or 0 steps the result is the
            reconstruction.
        steps: gradient steps, at least 0, of length step_size, in units of radius (default: .4 * radius).
        noise: length of a random displacement added to the first step, as a fraction of the radius; it makes two
            searches from one image differ.
        guard: the label guard; none by default, as in the paper.
        sources: what to record as source indices; by default 0 .. B - 1.
        max_chunk: the most images that are searched at a time, which bounds memory; the result is the same. The
            posterior's own max_chunk bounds images x samples.

    Returns:
        A `Synthesis` on the images' device. Images without a gradient at their start stay there: `stuck`.

    Raises:
        TsyndError: for a negative radius or number of steps, an unknown objective or space, labels that do not fit the
            images or the classes, networks that do not fit the images, and an objective that gives another shape, NaN or
            infinity (the image and the step are named). When memory runs out, it suggests a max_chunk.
    """
    score = find_objective(objective)
    if displacement is not None and decode == "image" and space == "latent":
        raise TsyndError("displacement is measured from the source: it needs decode='residual' or space='pixel'")
    radius = SPACES[space] if radius is None else radius
    step_size = 0.4 * radius if step_size is None else step_size
    checked_images(images_BCHW)
    if images_BCHW.dtype not in (torch.float32, torch.float64):
        raise TsyndError(f"images must be float32 or float64, got {images_BCHW.dtype}")
    if sources is not None and sources.shape != images_BCHW.shape[:1]:
        raise TsyndError(f"sources must have shape ({len(images_BCHW)},), one for each image, got {tuple(sources.shape)}")
    if labels_B.shape[:1] != images_BCHW.shape[:1]:
        raise TsyndError(f"labels must have shape ({len(images_BCHW)},), one for each image, got {tuple(labels_B.shape)}")
    if labels_B.dtype != torch.int64:
        raise TsyndError(f"labels must be int64 class numbers, got {labels_B.dtype}")
    check_range(images=images_BCHW)
    check_posterior(posterior)
    if space == "latent" and autoencoder is None:
        raise TsyndError("a search in latent space needs an autoencoder, got None: give one, or search with space='pixel'")
    codec = _Pixels(images_BCHW.shape[1:]) if autoencoder is None or space == "pixel" else autoencoder
    check_verbs(codec)
    networks = [network for network in (codec, *posterior.networks) if isinstance(network, nn.Module)]
    refuse_inference_mode(*networks)
    count = len(images_BCHW) if max_chunk is None else max_chunk

    def decode_copy(latents_BD: Tensor) -> Tensor:
        return codec.decode(latents_BD.clone())  # a copy: a decoder may work in place

    with torch.enable_grad(), frozen(*networks), _memory_hint(len(images_BCHW), count):
        start_BD = _encode(codec, images_BCHW, count)
        length = start_BD.shape[1] ** 0.5  # of a vector whose displacement counts as 1
        direction_BD = unit(normal(tuple(start_BD.shape), generator, start_BD))
        jitter_BD = direction_BD * noise * radius * length
        posterior.resample(generator)
        ascent = Ascent(
            decode_copy,
            posterior,
            score,
            guard,
            sign=-1 if minimise else 1,
            limit=radius * length,
            step=step_size * length,
            steps=0 if radius == 0 or objective == "reconstruction" else steps,
            box=space == "pixel",
        )
        rows = torch.arange(len(labels_B), device=labels_B.device)
        columns = [start_BD, labels_B, jitter_BD, rows]
        if decode == "residual" and space == "latent":
            with torch.no_grad():
                columns.append(images_BCHW - torch.cat([decode_copy(part) for part in start_BD.split(count)]))
        chunked = zip(*(column.split(count) for column in columns), strict=True)
        found = [ascent(*chunk) for chunk in chunked]
        found_BD = torch.cat([part.codes for part in found])
        before_BCHW, after_BCHW = torch.cat([part.start_images for part in found]), torch.cat([part.images for part in found])
        with torch.no_grad():
            if objective == "random":
                found_BD = start_BD + (found_BD - start_BD).norm(dim=1, keepdim=True) * direction_BD
                found_BD = found_BD.clamp(0, 1) if ascent.box else found_BD
                after_BCHW = torch.cat([decode_copy(part) for part in found_BD.split(count)])
                if len(columns) > 4:
                    before_BCHW, after_BCHW = images_BCHW, (after_BCHW + columns[4]).clamp(0, 1)
            if displacement is not None:
                after_BCHW = _scaled(before_BCHW, after_BCHW, displacement)
            posterior.resample(generator)
            parts = zip(before_BCHW.split(count), after_BCHW.split(count), labels_B.split(count), strict=True)
            described = [describe(*part, posterior, score) for part in parts]
        moved_B = (found_BD - start_BD).norm(dim=1) / length
        stuck_B = torch.cat([part.stuck for part in found])
    return Synthesis(
        **{name: torch.cat([part[name] for part in described]) for name in described[0]},
        labels=labels_B,
        sources=rows if sources is None else sources,
        start_latents=start_BD,
        latents=found_BD,
        latent_displacement=moved_B,
        steps_taken=(~stuck_B).long() * ascent.steps,
        stuck=stuck_B,
        radius=radius,
        steps=steps,
        objective=objective if isinstance(objective, str) else getattr(objective, "__name__", type(objective).__name__),
        space=space,
        minimise=minimise,
        seed=generator.initial_seed() if generator is not None else None,
        decode=decode,
        displacement=displacement,
    )


def _scaled(before_BCHW: Tensor, after_BCHW: Tensor, displacement: float) -> Tensor:
    """Images whose change has this root mean square, before they are clipped to [0, 1]; what did not change stays."""
    change_BCHW = after_BCHW - before_BCHW
    size_B111 = change_BCHW.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    factor_B111 = torch.where(size_B111 > 0, displacement / size_B111.clamp_min(1e-12), 1.0)
    return (before_BCHW + factor_B111 * change_BCHW).clamp(0, 1)


def check_verbs(autoencoder: object) -> None:
    """Refuse what does not encode and decode."""
    if not all(callable(getattr(autoencoder, verb, None)) for verb in ("encode", "decode")):
        raise TsyndError(f"autoencoder must have encode and decode, got {type(autoencoder).__name__}: AnyAutoencoder makes one")


class _Pixels:
    """An image as its own code."""

    def __init__(self, shape: torch.Size) -> None:
        self.shape = shape

    def encode(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.flatten(1)

    def decode(self, latents_BD: Tensor) -> Tensor:
        return latents_BD.unflatten(1, self.shape)


def _encode(codec: Autoencoder, images_BCHW: Tensor, count: int) -> Tensor:
    """The codes; the first time, the autoencoder is tried: does it draw nothing, and decode to the images' shape?"""
    shape, name = tuple(images_BCHW.shape), type(codec).__name__
    with torch.no_grad(), explained(f"images of shape {shape} do not pass through {name}"):
        start_BD = torch.cat([codec.encode(part.clone()).to(part.dtype) for part in images_BCHW.split(count)])
        if start_BD.ndim != 2:
            raise TsyndError(f"{name}.encode must give codes (B, D), got shape {tuple(start_BD.shape)}")
        if untried(id(codec), shape[1:]):  # a training searches again and again
            with trial(*network_of(codec)):
                drawing_nothing(codec.encode, images_BCHW[:count].clone())
                decoded = drawing_nothing(codec.decode, start_BD[:1].clone())
            if decoded.shape[1:] != images_BCHW.shape[1:]:
                found = tuple(decoded.shape[1:])
                raise TsyndError(f"{name} decodes images of shape {found}, but was given {shape[1:]}: both must agree")
    return start_BD


@contextlib.contextmanager
def _memory_hint(images: int, count: int) -> Iterator[None]:
    """When memory runs out, say what helps."""
    try:
        yield
    except (RuntimeError, TsyndError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            fewer = max(1, min(images, count) // 2)
            raise TsyndError(
                f"out of memory with {min(images, count)} of {images} images at a time: try max_chunk={fewer}, "
                "or a smaller max_chunk of the posterior"
            ) from error
        raise
