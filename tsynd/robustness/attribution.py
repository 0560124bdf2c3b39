"""Where does a classifier look? Attribution by captum (extra `explain`), and how much of it lies inside a mask.

A map says how much each pixel counts for the logit of one class. It is the explainer's reading of the network, not the network's
reason: compare maps of networks with each other and with those of a network with random weights, never a map with a wish.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.classification.networks import Residual
from tsynd.errors import TsyndError
from tsynd.utils.batching import batches, predict
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_passes import wide
from tsynd.utils.network_trial import ask, tried
from tsynd.utils.rng import seeded
from tsynd.utils.validation import check_images, check_kind, check_labels, check_name, check_number, check_range, check_tensors

__all__ = ["attribute", "mass_inside", "randomised"]

METHODS = ("integrated_gradients", "grad_cam")
STEPS = 32  # of the path that integrated gradients sum over
BATCH = 64


def attribute(
    model: nn.Module,
    images_BCHW: Tensor,
    method: str = "integrated_gradients",
    *,
    classes: Tensor | None = None,
    baseline: Tensor | float | None = None,
    layer: nn.Module | None = None,
) -> Tensor:
    """How much each pixel counts for the logit of a class: (B, H, W), at least 0, on the device of the images.

    *integrated_gradients* (Sundararajan et al., ICML 2017, arXiv 1703.01365): (x - x') times the mean gradient on the straight
    path from a baseline x' to x, here by 32 Gauss-Legendre points; its sum is the difference of the logits. We take the
    magnitude of its sum over channels, so evidence against a class counts as well. *grad_cam* (Selvaraju et al., ICCV 2017, arXiv
    1610.02391): the feature maps of a layer, weighted by their mean gradients, positive part, resized to the image.

    Args:
        model: images in [0, 1] to logits (B, C); a `tsynd.classification.Classifier`, or any network with `layer` given.
        images_BCHW: (B, C, H, W) float in [0, 1].
        method: one of `METHODS`.
        classes: (B,) int64, the classes that are explained; those that the model predicts without any.
        baseline: the image without information, a number or (1, C, 1, 1); without one the mean of the training images where
            the model has it as `mean`, else .5. Black would give a dark lesion no weight at all.
        layer: the layer of grad_cam; the last residual block without one.

    Raises:
        TsyndError: when captum is missing; for an unknown method, images or classes out of range, or a network without a `layer`.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = network[1].weight.data.copy_(torch.tensor([[0.0, 0, 0, 0], [1, -2, 0, 3]]))
    >>> attribute(network, torch.ones(1, 1, 2, 2), classes=torch.tensor([1]), baseline=0.5)
    tensor([[[0.5000, 1.0000],
             [0.0000, 1.5000]]])
    """
    try:
        from captum import attr as explainers
    except ModuleNotFoundError as error:
        raise TsyndError("attribution needs captum, which is not installed: pip install 'tsynd[explain]'") from error
    check_name("method of attribution", method, METHODS)
    check_kind(nn.Module, model=model)
    check_kind(nn.Module, optional=True, layer=layer)
    check_images(images_BCHW)
    start = _baseline(model, baseline, images_BCHW)
    if method == "grad_cam" and layer is None:
        blocks = [module for module in model.modules() if isinstance(module, Residual)]
        if not blocks:
            raise TsyndError(
                f"grad_cam needs the layer whose maps it weights: layer=..., since {type(model).__name__} is not ours"
            )
        layer = blocks[-1]
    with tried(model, images_BCHW, gradient=True), frozen(model):
        logits_BC = predict(model, images_BCHW, BATCH)
        wanted_B = logits_BC.argmax(dim=1) if classes is None else classes
        check_labels(wanted_B, (len(logits_BC),), logits_BC.shape[1], name="classes")
        wanted_B = wanted_B.to(images_BCHW.device)

        def answer(batch_BCHW: Tensor) -> Tensor:  # in single precision or wider, from a copy in the network's own
            return wide(ask(model, batch_BCHW))

        maps = []
        for where, part in batches(images_BCHW, BATCH, images_BCHW.device):
            batch_BCHW, of_class = part.clone(), {"target": wanted_B[where]}
            if method == "integrated_gradients":
                explainer = explainers.IntegratedGradients(answer)
                found = explainer.attribute(batch_BCHW, start.expand_as(batch_BCHW), n_steps=STEPS, **of_class).sum(dim=1).abs()
            else:
                explainer = explainers.LayerGradCam(answer, layer)
                with torch.enable_grad():
                    found = explainer.attribute(batch_BCHW.requires_grad_(True), relu_attributions=True, **of_class)
                size = tuple(images_BCHW.shape[-2:])
                found = F.interpolate(found, size=size, mode="bilinear", align_corners=False).squeeze(1)
            maps.append(found)
    return torch.cat(maps).detach()


def mass_inside(maps_BHW: Tensor, masks_BHW: Tensor) -> Tensor:
    """The share of each map that lies inside a mask, (B,) in [0, 1]; NaN where the map is 0 everywhere.

    A map that is the same everywhere has the mask's share of the area: compare with `masks_BHW.mean((1, 2))`.

    Args:
        maps_BHW: (B, H, W), at least 0.
        masks_BHW: (B, H, W) in [0, 1].

    Raises:
        TsyndError: when the shapes differ, or values are out of range.

    >>> float(mass_inside(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[0.0, 1.0]]])))
    0.75
    """
    check_tensors(maps=maps_BHW, masks=masks_BHW)
    if maps_BHW.ndim != 3 or maps_BHW.shape != masks_BHW.shape:
        raise TsyndError(f"maps and masks must both be (B, H, W), got {tuple(maps_BHW.shape)} and {tuple(masks_BHW.shape)}")
    maps, masks = maps_BHW.double(), masks_BHW.double()
    if not bool(((maps >= 0) & maps.isfinite()).all()):
        raise TsyndError(f"maps must be finite and >= 0, got {float(maps.min()):.4g} to {float(maps.max()):.4g}")
    check_range(masks=masks)
    return (maps * masks).sum((1, 2)) / maps.sum((1, 2))


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of a network with weights drawn anew: the floor of every claim about maps (Adebayo et al., NeurIPS 2018).

    Maps that look alike for both say something of the images, not of what was learnt (arXiv 1810.03292). Buffers, such as
    the mean that the network normalises by, are kept; torch's global random state is as before.

    Raises:
        TsyndError: when a layer with weights cannot be drawn anew.
    """
    check_kind(nn.Module, model=model)
    copy = deepcopy(model)
    with seeded(seed):
        for module in copy.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            elif any(True for _ in module.parameters(recurse=False)):
                raise TsyndError(f"a {type(module).__name__} has weights but no reset_parameters(), so they cannot be drawn anew")
    return copy


def _baseline(model: nn.Module, given: Tensor | float | None, images_BCHW: Tensor) -> Tensor:
    """The baseline that was given, or the model's own, if it is an image in [0, 1] or a number: (1, C or 1, H or 1, W or 1)."""
    if given is None:
        mean = getattr(model, "mean", None)
        given = mean if isinstance(mean, Tensor) and mean.ndim == 4 else 0.5
    if not isinstance(given, Tensor):
        check_number(baseline=given)
    start = torch.as_tensor(given, dtype=wide(images_BCHW[:0]).dtype, device=images_BCHW.device)
    check_range(baseline=start)
    wanted = (1, *images_BCHW.shape[1:])
    if start.ndim and (start.ndim != 4 or any(side not in (1, most) for side, most in zip(start.shape, wanted, strict=True))):
        raise TsyndError(f"baseline must be a number, or of shape {wanted} or 1 where it is the same, got {tuple(start.shape)}")
    return start
