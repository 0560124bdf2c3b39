"""Training an autoencoder: one loop for all kinds, so that they differ in what they decode and in what it costs."""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.autoencoding.standardised import Standardised, check_training_images, owners
from tsynd.errors import TsyndError
from tsynd.utils.batching import as_float
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_trial import refuse_inference_mode
from tsynd.utils.progress import Progress, Step
from tsynd.utils.rng import generator_for, normal
from tsynd.utils.rules import number, validated, whole
from tsynd.utils.shape_errors import check_precision
from tsynd.utils.validation import check_tensors

WINDOW = 11  # of SSIM, in px; its Gaussian weights have a standard deviation of 1.5 px (Wang et al., 2004)


@validated
def train_autoencoder(
    autoencoder: Standardised,
    images_BCHW: Tensor,
    *,
    steps: Annotated[int, whole(0)] = 800,
    batch_size: Annotated[int, whole(1)] = 16,
    learning_rate: Annotated[float, number(above=True)] | None = None,
    latent_noise: Annotated[float, number()] | None = None,
    edge_weight: Annotated[float, number()] | None = None,
    ssim_weight: Annotated[float, number()] = 0.0,
    feature_weight: Annotated[float, number()] = 0.0,
    features: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[float]:
    """Train on images in [0, 1], with light augmentation and noise on the codes, then standardise; left in eval mode.

    loss = MSE + edge_weight MSE(edges) + ssim_weight (1 - SSIM) + feature_weight MSE(features) + cost of the code (a VAE's)

    The noise makes the decoder smooth around each code: the ball that targeting searches must decode to plausible images.
    The squared error alone blurs, because most of an image's variance lies in its coarse structure. Edges are the
    differences between neighbouring pixels, down and across (Mathieu et al., ICLR 2016): their error counts fine structure
    as much as coarse. Structural similarity (Wang et al., 2004) and features of a network (Johnson et al., ECCV 2016) ask
    for more of the structure too, at a higher price.

    Args:
        autoencoder: ours, or an `AnyAutoencoder` of your networks; in single or double precision.
        images_BCHW: (N, C, H, W) training images in [0, 1], or of 8 bits, on the autoencoder's device; one is enough.
        steps, batch_size, learning_rate: AdamW with a one-cycle schedule that peaks at `learning_rate`. None takes the
            autoencoder's own: .004, or .001 for a `ConvAutoencoder` of 64 px and more.
        latent_noise: standard deviation of the noise, relative to the codes of the batch. None takes the autoencoder's
            own: .05, or 0 for a `VAE`, which samples its codes anyway.
        edge_weight: of the mean squared error of the edges. None takes the autoencoder's own: 1, or 0 for a `VAE`, whose
            loss is then an evidence bound.
        ssim_weight: of 1 - SSIM, which lies in [0, 2].
        feature_weight: of the mean squared error between features of an image and of its reconstruction.
        features: images to features, differentiable: say the trunk of a classifier. A module, or the one whose bound
            method it is, is frozen and in eval mode meanwhile, and comes back as it was.
        seed: of batches, augmentation, noise and samples.
        progress: called after each step.

    Returns:
        The loss of each step; without further terms the mean squared error in [0, 1] intensity.

    Raises:
        TsyndError: for images or numbers out of range, a feature weight without features or features without weight, or
            an autoencoder in half precision.
    """
    check_training_images(images_BCHW, autoencoder.image_shape)
    latent_noise = autoencoder.latent_noise if latent_noise is None else latent_noise
    edge_weight = autoencoder.edge_weight if edge_weight is None else edge_weight
    learning_rate = autoencoder.learning_rate if learning_rate is None else learning_rate
    if feature_weight > 0 and features is None:
        raise TsyndError(f"feature_weight={feature_weight:g} needs features: a callable from images to features, got None")
    if feature_weight == 0 and features is not None:
        raise TsyndError("features need a feature_weight > 0, got 0")
    parameters = [parameter for parameter in autoencoder.parameters() if parameter.requires_grad]
    if not parameters:
        raise TsyndError("this autoencoder has nothing to train: none of its parameters requires a gradient")
    if parameters[0].dtype not in (torch.float32, torch.float64):
        raise TsyndError(f"an autoencoder is trained in float32 or float64, got {parameters[0].dtype}: call .half() afterwards")
    check_precision(images_BCHW, autoencoder)
    refuse_inference_mode(autoencoder)
    autoencoder.begin(images_BCHW)
    generator = generator_for(seed, "autoencoder batches")
    optimiser = torch.optim.AdamW(parameters, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, max(steps, 2))
    losses = []
    autoencoder.train()
    # Channels last in memory, where a step takes a tenth less time.
    autoencoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a form that its annotations do not know
    with torch.enable_grad(), frozen(*owners(features)):
        for step in range(steps):
            index = torch.randint(len(images_BCHW), (batch_size,), generator=generator)
            batch_BCHW = augment(as_float(images_BCHW[index.to(images_BCHW.device)]), TRAIN_RANGE, generator)
            codes, loss = autoencoder.draw(batch_BCHW, generator)
            noise = normal(tuple(codes.shape), generator, codes) * codes.detach().std() * latent_noise
            made_BCHW = autoencoder.decode_raw(codes + noise)
            loss = loss + F.mse_loss(made_BCHW, batch_BCHW)
            if edge_weight:  # of differences between neighbouring pixels, down and across
                apart = made_BCHW - batch_BCHW
                loss = loss + edge_weight * (apart.diff(dim=-2).square().mean() + apart.diff(dim=-1).square().mean())
            if ssim_weight:
                loss = loss + ssim_weight * (1 - ssim(made_BCHW, batch_BCHW).mean())
            if features is not None:
                with torch.no_grad():
                    wanted = features(batch_BCHW)
                loss = loss + feature_weight * F.mse_loss(features(made_BCHW), wanted)
            optimiser.zero_grad()
            loss.backward(inputs=parameters)  # and nothing for networks that `features` may hide
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            if progress:
                progress(Step("autoencoder", step + 1, steps, f"loss {losses[-1]:.4f}"))
    autoencoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    autoencoder.eval()
    autoencoder.standardise(images_BCHW)
    return losses


def ssim(images_BCHW: Tensor, others_BCHW: Tensor) -> Tensor:
    """Structural similarity of each image to another (Wang et al., IEEE TIP 2004): (B,), 1 when they are equal, at least -1.

    Both (B, C, H, W) in [0, 1]; mean over channels and pixels, with an 11 px Gaussian window and reflected borders.
    Computed by kornia, which is imported where it is used: that takes a second.

    >>> images = torch.rand(2, 1, 28, 28)
    >>> ssim(images, images).allclose(torch.ones(2))
    True
    """
    from kornia.metrics import ssim as map_of

    check_tensors(images=images_BCHW, others=others_BCHW)
    for images in (images_BCHW, others_BCHW):
        if images.ndim != 4 or not len(images) or not images.is_floating_point() or images.shape != images_BCHW.shape:
            found = f"{tuple(images.shape)} of {images.dtype}"
            raise TsyndError(f"ssim needs two float (B, C, H, W) of one shape, B at least 1, got {found}")
    return map_of(images_BCHW, others_BCHW, WINDOW).mean(dim=(1, 2, 3))
