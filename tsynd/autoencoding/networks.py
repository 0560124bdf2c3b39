"""The package's own autoencoders: a convolutional one with a cheap decoder, and its variational sibling."""

import math
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.autoencoding.standardised import Standardised
from tsynd.errors import TsyndError
from tsynd.utils.batching import as_float
from tsynd.utils.rng import normal, seeded
from tsynd.utils.rules import number, validated, whole
from tsynd.utils.validation import check_name

LATENT_CHANNELS = 16
LARGEST_SIDE = 16  # of a code, unless told otherwise
# A VAE's codes begin with this log-variance, a deviation of .14: with one of 1 its decoder would first learn from noise.
FIRST_LOG_VARIANCE = -4.0


@validated
def build_autoencoder(channels: int, size: int, seed: int, kind: str = "conv", **settings: Any) -> "ConvAutoencoder":
    """Build a freshly initialised autoencoder; the same seed gives the same weights, and torch's global state is untouched.

    `kind` is `conv` or `vae`; `settings` are those of `ConvAutoencoder`, such as `width` and `latent_channels`.

    >>> build_autoencoder(1, 28, seed=0).encode(torch.rand(2, 1, 28, 28)).shape
    torch.Size([2, 256])
    """
    check_name("kind of autoencoder", kind, KINDS)
    with seeded(seed):
        return KINDS[kind](channels, size, **settings)


class ConvAutoencoder(Standardised):
    """A small convolutional autoencoder with two verbs, `encode` and `decode`, on *standardised* codes.

    A code has zero mean and unit variance per dimension on the training images (with a floor on the variance), so a
    radius is measured in the same units everywhere. Encoder and decoder each add up two ways: a few convolutions, and one
    linear map of each patch of `stride` x `stride` px (as the residual autoencoders of Chen et al., ICLR 2025, whose second
    way has no weights). The linear way alone could learn the patches' principal components. It carries mean colour and
    brightness, which the normalisation between the convolutions removes.

    From `principal_from` px on, the linear way is the patches' principal components, each scaled to unit variance: `begin`
    computes them from the training images, and training leaves them as they are. The convolutions then start at 0, learn
    only what is missing, and need a quarter of the steps. The output is clamped to [0, 1], where that of small images is a
    sigmoid.

    Images are padded by replication to a multiple of the stride, and the code grows with them: 16 x 4 x 4 = 256 numbers at
    28 px, 32 x 8 x 8 at 64 px, 32 x 16 x 16 at 128 px (64 instead of 32 for RGB). From there on the stride doubles with the side.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: side of the square images, in px, at least 16.
        latent_channels: numbers at each place of the code, at least 1; None for the ones above.
        width: channels of the convolutions at the code's resolution, a multiple of 16. Training time grows with its square.
        depth: further residual blocks of encoder and decoder at the code's resolution, at least 0.
        stride: image pixels along a side for each place of the code, a power of two of at least 8; None for the one above.

    Raises:
        TsyndError: when an argument is out of range.
    """

    maps: ClassVar[int] = 1
    """How many numbers the encoder gives for each number of a code."""
    principal_from: ClassVar[float] = 64
    """Side in px from which the linear way is fixed to principal components."""

    @validated
    def __init__(
        self,
        channels: Annotated[int, whole(1)],
        size: Annotated[int, whole(16)],
        *,
        latent_channels: Annotated[int, whole(1)] | None = None,
        width: int = 64,
        depth: Annotated[int, whole(0)] = 0,
        stride: int | None = None,
    ) -> None:
        principal = size >= self.principal_from
        if latent_channels is None:
            latent_channels = LATENT_CHANNELS if not principal else 2 * LATENT_CHANNELS if channels == 1 else 4 * LATENT_CHANNELS
        if width < 16 or width % 16:
            raise TsyndError(f"width must be a multiple of 16, got {width}")
        stride = max(8, 2 ** math.ceil(math.log2(size / LARGEST_SIDE))) if stride is None else stride
        if stride < 8 or stride & (stride - 1):
            raise TsyndError(f"stride must be a power of two of at least 8, got {stride}")
        super().__init__()
        self.channels, self.size, self.principal = channels, size, principal
        self.padding = -size % stride
        side = (size + self.padding) // stride
        # A cheap first and last step: pixels become channels and back (Shi et al., CVPR 2016).
        fold = stride // 4 if side < 8 else stride // 2
        halvings = (stride // fold).bit_length() - 1
        narrow, folded, maps = width // 2, channels * fold**2, self.maps * latent_channels
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(fold),
            nn.Conv2d(folded, narrow, 3, padding=1),
            *[_block(narrow if i == 0 else width, width, stride=2) for i in range(halvings)],
            *[_Residual(width) for _ in range(depth)],
            nn.Conv2d(width, maps, 3, padding=1),
        )
        inner = [width] * halvings + [narrow]
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, width, 3, padding=1),
            *[_Residual(width) for _ in range(depth)],
            *[layer for inputs, outputs in pairwise(inner) for layer in (_block(inputs, 4 * outputs), nn.PixelShuffle(2))],
            _block(narrow, narrow),
            nn.Conv2d(narrow, folded, 3, padding=1),
            nn.PixelShuffle(fold),
        )
        self.linear_encoder = nn.Conv2d(channels, maps, stride, stride)
        self.linear_decoder = _Patches(latent_channels, channels, stride, stride)
        self.expect((channels, size, size), (latent_channels, side, side))
        self.centre: Tensor | float = 0.5
        if principal:
            del self.centre
            self.register_buffer("centre", torch.full((channels, 1, 1), 0.5))
            self.linear_encoder.requires_grad_(False)
            self.linear_decoder.requires_grad_(False)
            self.learning_rate, self.share_of_steps = 1e-3, 0.25

    @torch.no_grad()
    def begin(self, images_BCHW: Tensor) -> None:
        """Make the linear way the principal components of the images' patches, and the convolutions add nothing to it yet."""
        if not self.principal:
            return
        assert isinstance(self.centre, Tensor)
        stride, some_BCHW = self.linear_encoder.stride[0], images_BCHW[:: max(1, len(images_BCHW) // 1000)]
        batches = [as_float(batch_BCHW) for batch_BCHW in some_BCHW.split(16)]
        self.centre.copy_(torch.stack([batch_BCHW.mean((0, 2, 3), keepdim=True)[0] for batch_BCHW in batches]).mean(0))
        moments_DD = torch.zeros((self.channels * stride**2,) * 2, dtype=torch.float64)
        for batch_BCHW in batches:
            patches_BDP = F.unfold(self.pad(batch_BCHW) - self.centre, stride, stride=stride).double().cpu()
            moments_DD += (patches_BDP @ patches_BDP.mT).sum(0) / patches_BDP.shape[2] / len(some_BCHW)
        variances_D, vectors_DD = torch.linalg.eigh(moments_DD)  # ascending
        count = min(self.linear_encoder.out_channels, len(variances_D))
        # Below a quarter of a grey level of 8 bits, a component is only rounding: it must not be blown up.
        deviations_K1 = variances_D.flip(0)[:count].clamp_min(1e-6).sqrt().unsqueeze(1)
        vectors_KD = vectors_DD.mT.flip(0)[:count]
        largest_K1 = vectors_KD.gather(1, vectors_KD.abs().argmax(1, keepdim=True))
        vectors_KD = vectors_KD * largest_K1.sign()  # a component has no sign of its own
        encoder, decoder = self.linear_encoder, self.linear_decoder
        for layer in (encoder, decoder, self.encoder[-1], self.decoder[-2]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        encoder.weight[:count] = (vectors_KD / deviations_K1).view_as(encoder.weight[:count])
        decoder.weight[:count] = (vectors_KD * deviations_K1).view_as(decoder.weight[:count])

    def encode_raw(self, images_BCHW: Tensor) -> Tensor:
        padded_BCHW = self.pad(images_BCHW)
        maps: Tensor = self.encoder(padded_BCHW) + self.linear_encoder(padded_BCHW - self.centre)
        return maps

    def decode_raw(self, codes: Tensor) -> Tensor:
        made_BCHW = self.decoder(codes) + self.linear_decoder(codes)
        if not self.principal:
            return self.crop(made_BCHW.sigmoid())
        made_BCHW = self.crop(made_BCHW + self.centre)
        return made_BCHW if self.training else made_BCHW.clamp(0, 1)

    def pad(self, images_BCHW: Tensor) -> Tensor:
        """Replicate the border so that the side is a multiple of the total stride."""
        before, after = self.padding // 2, self.padding - self.padding // 2
        return F.pad(images_BCHW, (before, after, before, after), mode="replicate") if self.padding else images_BCHW

    def crop(self, images_BCHW: Tensor) -> Tensor:
        """Undo `pad`."""
        before = self.padding // 2
        return images_BCHW[..., before : before + self.size, before : before + self.size]


class VAE(ConvAutoencoder):
    """A variational autoencoder (Kingma and Welling, ICLR 2014): the same network, but a code is a normal distribution.

    The encoder gives mean m and log-variance v of each raw code. Training decodes a sample, and adds to its squared error

        beta / pixels * KL,   KL = sum (m^2 + exp v - v - 1) / 2   (in nats, to a standard normal distribution),

    where pixels = C H W. With beta = 2 s^2 the sum is the negative evidence bound for pixels with noise of standard
    deviation s, but for constants; beta is a dial between sharp images and a dense latent space (Higgins et al., ICLR 2017).
    `encode` gives the standardised mean.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: side of the square images, in px, at least 16.
        beta: weight of the divergence, at least 0. The default comes from a throw-away trial on BreastMNIST's validation
            split, with one seed: from 0.003 on images blurred, and dimensions fell idle.
        settings: `latent_channels`, `width`, `depth` and `stride`, as in `ConvAutoencoder`.

    Raises:
        TsyndError: when an argument is out of range.
    """

    maps: ClassVar[int] = 2  # mean and log-variance
    latent_noise: ClassVar[float] = 0.0  # its own sampling is the noise
    edge_weight: ClassVar[float] = 0.0  # the loss stays the evidence bound
    principal_from: ClassVar[float] = math.inf  # its codes are what training makes of them

    @validated
    def __init__(self, channels: int, size: int, beta: Annotated[float, number()] = 1e-3, **settings: Any) -> None:
        super().__init__(channels, size, **settings)
        self.beta = beta

    def encode_raw(self, images_BCHW: Tensor) -> Tensor:
        return self.distribution(images_BCHW)[0]

    def draw(self, images_BCHW: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """A sample of each image's raw code, and the divergence beta KL / pixels, averaged over the images."""
        mean, log_variance = self.distribution(images_BCHW)
        codes = mean + normal(tuple(mean.shape), generator, mean) * (log_variance / 2).exp()
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum() / 2
        return codes, self.beta * divergence / images_BCHW.numel()

    def distribution(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of raw codes, each (B, 16, h, w)."""
        mean, log_variance = super().encode_raw(images_BCHW).chunk(2, dim=1)
        return mean, (log_variance + FIRST_LOG_VARIANCE).clamp(-20, 10)


KINDS: dict[str, type[ConvAutoencoder]] = {"conv": ConvAutoencoder, "vae": VAE}


class _Patches(nn.ConvTranspose2d):
    """A transposed convolution whose patches do not overlap: one matrix product, which is 20 times faster on a CPU."""

    def forward(self, codes_BDhw: Tensor) -> Tensor:  # type: ignore[override]  # without output_size
        made: Tensor = _ManyPatches.apply(codes_BDhw, self.weight, self.bias)
        return made


class _ManyPatches(torch.autograd.Function):
    """The forward pass of `_Patches`. The backward pass is that of the transposed convolution, to the bit."""

    @staticmethod
    def forward(ctx: Any, codes_BDhw: Tensor, weight_DCss: Tensor, bias_C: Tensor) -> Tensor:
        ctx.save_for_backward(codes_BDhw, weight_DCss)
        channels, side = weight_DCss.shape[1:3]
        bias = bias_C.repeat_interleave(side**2)
        patches = torch.addmm(bias, codes_BDhw.movedim(1, 3).flatten(0, 2), weight_DCss.flatten(1))
        count, _, height, width = codes_BDhw.shape
        patches = patches.view(count, height, width, channels, side, side).permute(0, 3, 1, 4, 2, 5)
        return patches.reshape(count, channels, height * side, width * side)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        codes, weight = (each.to(gradient.dtype) for each in ctx.saved_tensors)  # under autocast they differ
        _, channels, side, _ = weight.shape
        return torch.ops.aten.convolution_backward(
            gradient, codes, weight, [channels], [side] * 2, [0] * 2, [1] * 2, True, [0] * 2, 1, list(ctx.needs_input_grad)
        )


class _Residual(nn.Module):
    """x + block(x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = _block(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        sum_: Tensor = x + self.block(x)
        return sum_


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.GroupNorm(8, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, stride, 1))
