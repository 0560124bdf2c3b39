"""Two verbs, `encode` and `decode`, on standardised codes: for the package's own autoencoders and for anybody else's."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from tsynd.errors import TsyndError
from tsynd.utils.batching import as_float
from tsynd.utils.eval_mode import frozen, owner_of
from tsynd.utils.network_passes import wide
from tsynd.utils.rng import seeded
from tsynd.utils.shape_errors import explained
from tsynd.utils.validation import check_count, check_images, check_range, check_tensors

# A dimension that hardly varies on a small training set would otherwise blow up when it is divided by its deviation.
FLOOR = 0.5
# How far a decoder may leave [0, 1], on average over pixels, before it must be one with another range. It is clamped.
OVERSHOOT = 0.02


class Standardised(nn.Module):
    """An autoencoder whose codes have zero mean and unit variance in each dimension on its training images.

    A radius is then measured in the same units everywhere. With fewer images than dimensions, the normal case here, many
    dimensions hardly vary on them: the variance has a floor (`FLOOR`).

    A subclass brings the network, as `encode_raw` and `decode_raw`, and calls `expect`. A network in half precision gets
    its input in its own precision; codes and images come out in single precision or wider.
    """

    mean: Tensor
    std: Tensor
    latent_noise: ClassVar[float] = 0.05
    """Noise that training adds to the codes if not told otherwise, relative to their overall standard deviation."""
    edge_weight: ClassVar[float] = 1.0
    """Weight of the edges in the loss of training if not told otherwise."""
    learning_rate: float = 4e-3
    """The peak of the learning rate in training if not told otherwise."""
    share_of_steps: float = 1.0
    """How much of the steps of a run's recipe it needs."""

    def expect(self, image_shape: Sequence[int], code_shape: Sequence[int]) -> None:
        """Say what images (C, H, W) and codes (any shape) look like, each without the batch; codes are not yet standardised."""
        self.image_shape, self.shape = tuple(image_shape), tuple(code_shape)
        dimensions = torch.Size(code_shape).numel()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("std", torch.ones(dimensions))

    def encode_raw(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to codes (B, …) of the network's own shape and scale."""
        raise NotImplementedError

    def decode_raw(self, codes: Tensor) -> Tensor:
        """Codes (B, …) of the network's own shape and scale to images (B, C, H, W) in [0, 1]."""
        raise NotImplementedError

    def begin(self, images_BCHW: Tensor) -> None:
        """What training does first, once, with its images: nothing here."""

    def draw(self, images_BCHW: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """What training decodes: raw codes, and what they cost beside the error of reconstruction (here 0)."""
        return self.encode_raw(images_BCHW), images_BCHW.new_zeros(())

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to standardised codes (B, D)."""
        check_batch(images_BCHW, self.image_shape)
        codes: Tensor = (wide(self.encode_raw(self._narrow(images_BCHW)).flatten(1)) - self.mean) / self.std
        return codes

    def decode(self, latents_BD: Tensor) -> Tensor:
        """Standardised codes (B, D) to images (B, C, H, W) in [0, 1]."""
        check_tensors(latents=latents_BD)
        if latents_BD.ndim != 2 or latents_BD.shape[1] != len(self.mean):
            raise TsyndError(f"latents must have shape (B, {len(self.mean)}), got {tuple(latents_BD.shape)}")
        return wide(self.decode_raw(self._narrow(latents_BD * self.std + self.mean).unflatten(1, self.shape)))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """The reconstruction: decode(encode(images))."""
        return self.decode(self.encode(images_BCHW))

    @torch.no_grad()
    def standardise(self, images_BCHW: Tensor, batch_size: int = 256) -> None:
        """Set mean and deviation per dimension from training images; deviations below FLOOR x their RMS are raised to it."""
        check_training_images(images_BCHW, self.image_shape)
        check_count(1, batch_size=batch_size)
        with frozen(self):
            batches = images_BCHW.split(batch_size)
            codes_ND = torch.cat([wide(self.encode_raw(self._narrow(as_float(batch))).flatten(1)) for batch in batches])
        if not codes_ND.isfinite().all():
            raise TsyndError("the autoencoder gives codes that are not finite: was it trained, and in this precision?")
        self.mean.copy_(codes_ND.mean(dim=0))
        variance_D = codes_ND.var(dim=0, correction=0)
        self.std.copy_(variance_D.clamp_min(FLOOR**2 * variance_D.mean().clamp_min(1e-8)).sqrt())

    def _narrow(self, x: Tensor) -> Tensor:
        """What the network is given, in the precision of its weights."""
        return x.to(next((parameter.dtype for parameter in self.parameters()), x.dtype))


class AnyAutoencoder(Standardised):
    """Any autoencoder, from two callables: its codes, of any shape, flattened and standardised on training images.

    Images that it decodes are clamped to [0, 1], so a pixel beyond a border has no gradient. Networks are frozen and in
    eval mode while they are used here, and come back as they were: weights get no gradients through this class, unless it is
    itself in training mode, as `train_autoencoder` puts it.

    Args:
        encode: images (B, C, H, W) in [0, 1] to codes (B, …). It may not be random: the mean rather than a sample.
        decode: such codes to images of the same shape, in [0, 1].
        images_BCHW: (N, C, H, W) training images in [0, 1], on the networks' device.
        networks: the networks behind the callables. A callable that is a module, or a bound method of one, speaks for itself;
            what is behind a lambda must be named, or it stays in its mode.
        batch_size: images at a time here; bounds the memory.
        trained: False for networks that are still to be trained, or whose weights are still to be loaded: their codes are not
            standardised and the range of their images is not looked at.

    Raises:
        TsyndError: when a callable does not return what it should, on these images.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(256, 8))
    >>> back = nn.Sequential(nn.Linear(8, 256), nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16)))
    >>> images = torch.rand(20, 1, 16, 16)
    >>> autoencoder = AnyAutoencoder(net, back, images)
    >>> autoencoder.encode(images[:2]).shape, autoencoder(images[:2]).shape
    (torch.Size([2, 8]), torch.Size([2, 1, 16, 16]))

    A network of MONAI gives a mean and a deviation; the mean is the code:
    `AnyAutoencoder(lambda images: kl.encode(images)[0], kl.decode, images, networks=[kl])`.
    """

    def __init__(
        self,
        encode: Callable[[Tensor], Tensor],
        decode: Callable[[Tensor], Tensor],
        images_BCHW: Tensor,
        *,
        networks: Sequence[nn.Module] = (),
        batch_size: int = 256,
        trained: bool = True,
    ) -> None:
        super().__init__()
        self.training = False  # of this module alone: the networks stay in their mode
        self.networks = nn.ModuleList(dict.fromkeys([*owners(encode, decode), *networks]))
        self._callables = (encode, decode)  # in a tuple, so that a module is not registered twice
        check_images(images_BCHW)
        check_count(1, batch_size=batch_size)
        first_BCHW = images_BCHW[: min(batch_size, 16)]  # enough to see what the callables return
        with torch.no_grad():
            # A random encoder draws from torch's global state.
            with seeded(0), explained(f"images of shape {tuple(first_BCHW.shape)} do not pass through encode"):
                codes, again = (self.encode_raw(self._narrow(first_BCHW)) for _ in range(2))
            _check_codes(codes, again, len(first_BCHW))
            self.expect(images_BCHW.shape[1:], codes.shape[1:])
            self.to(images_BCHW.device)
            _check_decoded(self._decode(codes), first_BCHW, in_range=trained)
            if trained:
                self.standardise(images_BCHW, batch_size)

    def encode_raw(self, images_BCHW: Tensor) -> Tensor:
        with self._used():
            return self._callables[0](images_BCHW.clone())  # a copy: it may work in place

    def decode_raw(self, codes: Tensor) -> Tensor:
        return self._decode(codes) if self.training else self._decode(codes).clamp(0, 1)

    def _used(self) -> AbstractContextManager[None]:
        return nullcontext() if self.training else frozen(self.networks)

    def _decode(self, codes: Tensor) -> Tensor:
        told = f"decode does not take what encode gives, codes of shape {tuple(codes.shape)}"
        with self._used(), explained(told):
            return self._callables[1](codes.clone())


def owners(*callables: Callable[..., object] | None) -> list[nn.Module]:
    """The modules among callables, and those whose bound methods they are.

    >>> layer = nn.Flatten()
    >>> owners(layer, layer.forward, torch.relu, None)
    [Flatten(start_dim=1, end_dim=-1)]
    """
    behind = [owner_of(one) for one in callables]
    return list(dict.fromkeys(module for module in behind if isinstance(module, nn.Module)))


def check_batch(images_BCHW: Tensor, shape: Sequence[int]) -> None:
    """Refuse an empty batch, and images of another shape than (B, *shape) or that are not floats."""
    check_tensors(images=images_BCHW)
    if images_BCHW.ndim != 4 or tuple(images_BCHW.shape[1:]) != tuple(shape) or len(images_BCHW) == 0:
        wanted = f"(B, {', '.join(map(str, shape))})" if len(shape) == 3 else "(B, C, H, W)"
        many = ", B at least 1" if images_BCHW.ndim == 4 and len(images_BCHW) == 0 else ""
        raise TsyndError(f"images must have shape {wanted}{many}, got {tuple(images_BCHW.shape)}")
    if not images_BCHW.is_floating_point():
        raise TsyndError(f"images must be float in [0, 1], got {images_BCHW.dtype}")


def check_training_images(images_BCHW: Tensor, shape: Sequence[int]) -> None:
    """The same for training images, which may also be of 8 bits; they lie in [0, 1]."""
    check_tensors(images=images_BCHW)
    check_batch(images_BCHW[:1].float() if images_BCHW.dtype == torch.uint8 else images_BCHW, shape)
    if images_BCHW.dtype != torch.uint8:
        check_range(images=images_BCHW)


def _check_codes(codes: object, again: object, count: int) -> None:
    """Refuse what is not a tensor of one code for each image, the same each time."""
    if not isinstance(codes, Tensor) or not isinstance(again, Tensor):
        hint = ": keep one of them, say the mean" if isinstance(codes, tuple | list) else ""
        raise TsyndError(f"encode must return a tensor of codes (B, …), got a {type(codes).__name__}{hint}")
    if codes.ndim < 2 or len(codes) != count or not codes.is_floating_point():
        found = f"{codes.dtype} of shape {tuple(codes.shape)}"
        raise TsyndError(f"encode must return float codes of shape ({count}, …), one for each image, got {found}")
    if not bool(codes.isfinite().all()):
        raise TsyndError("encode gives codes that are not finite for images in [0, 1]")
    if not torch.allclose(codes, again, rtol=1e-2, atol=1e-3 * float(codes.abs().max()), equal_nan=True):
        hint = "it must return the mean rather than a sample, and `networks` must name those behind a lambda"
        raise TsyndError(f"encode gives another code each time: {hint}")


def _check_decoded(decoded: object, images_BCHW: Tensor, *, in_range: bool) -> None:
    """Refuse what is not images of the right shape, or those of a decoder with another range than [0, 1]."""
    if not isinstance(decoded, Tensor) or decoded.shape != images_BCHW.shape:
        given = tuple(decoded.shape) if isinstance(decoded, Tensor) else f"a {type(decoded).__name__}"
        raise TsyndError(f"decode must return images of shape {tuple(images_BCHW.shape)}, got {given}")
    if in_range and not float((decoded - decoded.clamp(0, 1)).abs().mean()) <= OVERSHOOT:
        found = f"values from {float(decoded.min()):.3g} to {float(decoded.max()):.3g}"
        raise TsyndError(f"decode must return images in [0, 1], got {found}: scale them inside the callable")
