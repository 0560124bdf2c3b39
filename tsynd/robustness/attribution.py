"""Where does a classifier look? Attribution by captum (extra `explain`), and how much of it lies inside a mask.

A map says how much each pixel counts for the logit of one class. It is the explainer's reading of the network, not the network's
reason: compare maps of networks with each other and with those of a network with random weights, never a map with a wish.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsynd.errors import TsyndError, unknown
from tsynd.modes import frozen
from tsynd.randomness import seeded
from tsynd.robustness.batches import batches

__all__ = ["METHODS", "attribute", "mass_inside", "randomised"]

METHODS = ("integrated_gradients", "grad_cam")
STEPS = 32  # of the path that integrated gradients sum over
BATCH = 64


def attribute(
    model: nn.Module,
    images_BCHW: Tensor,
    method: str = "integrated_gradients",
    *,
    classes_B: Tensor | None = None,
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
        classes_B: (B,) int64, the classes that are explained; those that the model predicts without any.
        baseline: the image without information, a number or (1, C, 1, 1); without one the mean of the training images where
            the model has it as `mean`, else .5. Black would give a dark lesion no weight at all.
        layer: the layer of grad_cam; the last residual block without one.

    Raises:
        TsyndError: when captum is missing; for an unknown method, images or classes out of range, or a network without a `layer`.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = network[1].weight.data.copy_(torch.tensor([[0.0, 0, 0, 0], [1, -2, 0, 3]]))
    >>> attribute(network, torch.ones(1, 1, 2, 2), classes_B=torch.tensor([1]), baseline=0.5)
    tensor([[[0.5000, 1.0000],
             [0.0000, 1.5000]]])
    """
    explainers = _captum()
    if method not in METHODS:
        raise unknown("method of attribution", method, METHODS)
    if images_BCHW.ndim != 4 or len(images_BCHW) == 0 or not images_BCHW.is_floating_point():
        shape = tuple(images_BCHW.shape)
        raise TsyndError(f"images must be float of shape (B, C, H, W) with B >= 1, got {images_BCHW.dtype} of shape {shape}")
    if not bool(((images_BCHW >= 0) & (images_BCHW <= 1)).all()):
        raise TsyndError(f"images must lie in [0, 1], got {float(images_BCHW.min()):.4g} to {float(images_BCHW.max()):.4g}")
    if method == "grad_cam" and layer is None:
        layer = _last_block(model)
    with frozen(model):
        with torch.no_grad():
            logits_BC = torch.cat([model(batch) for _, batch in batches(images_BCHW, BATCH, images_BCHW.device)])
        wanted_B = logits_BC.argmax(dim=1) if classes_B is None else classes_B.to(images_BCHW.device)
        if wanted_B.shape != logits_BC.shape[:1] or int(wanted_B.min()) < 0 or int(wanted_B.max()) >= logits_BC.shape[1]:
            raise TsyndError(
                f"classes must be {len(images_BCHW)} numbers in 0 .. {logits_BC.shape[1] - 1}, got {wanted_B.tolist()[:9]}"
            )
        if method == "integrated_gradients":
            explain = _integrated(explainers.IntegratedGradients(model), _baseline(model, baseline))
        else:
            explain = _cam(explainers.LayerGradCam(model, layer), images_BCHW.shape[-2:])
        maps = [explain(batch.clone(), wanted_B[where]) for where, batch in batches(images_BCHW, BATCH, images_BCHW.device)]
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
    if maps_BHW.ndim != 3 or maps_BHW.shape != masks_BHW.shape:
        raise TsyndError(f"maps and masks must both be (B, H, W), got {tuple(maps_BHW.shape)} and {tuple(masks_BHW.shape)}")
    if bool((maps_BHW < 0).any()) or not bool(((masks_BHW >= 0) & (masks_BHW <= 1)).all()):
        raise TsyndError("maps must be >= 0 and masks lie in [0, 1]")
    maps = maps_BHW.double()
    return (maps * masks_BHW).sum((1, 2)) / maps.sum((1, 2))


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of a network with weights drawn anew: the floor of every claim about maps (Adebayo et al., NeurIPS 2018).

    Maps that look alike for both say something of the images, not of what was learnt (arXiv 1810.03292). Buffers, such as
    the mean that the network normalises by, are kept; torch's global random state is as before.

    Raises:
        TsyndError: when a layer with weights cannot be drawn anew.
    """
    from copy import deepcopy

    copy = deepcopy(model)
    with seeded(seed):
        for module in copy.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            elif any(True for _ in module.parameters(recurse=False)):
                raise TsyndError(f"a {type(module).__name__} has weights but no reset_parameters(), so they cannot be drawn anew")
    return copy


def _integrated(explainer: Any, baseline: Tensor | float) -> Callable[[Tensor, Tensor], Tensor]:
    def explain(batch_BCHW: Tensor, classes_B: Tensor) -> Tensor:
        start = torch.as_tensor(baseline, dtype=batch_BCHW.dtype, device=batch_BCHW.device).expand_as(batch_BCHW)
        found = explainer.attribute(batch_BCHW, start, target=classes_B, n_steps=STEPS)
        magnitude: Tensor = found.sum(dim=1).abs()
        return magnitude

    return explain


def _cam(explainer: Any, size: torch.Size) -> Callable[[Tensor, Tensor], Tensor]:
    def explain(batch_BCHW: Tensor, classes_B: Tensor) -> Tensor:
        with torch.enable_grad():
            found = explainer.attribute(batch_BCHW.requires_grad_(True), target=classes_B, relu_attributions=True)
        return F.interpolate(found, size=tuple(size), mode="bilinear", align_corners=False).squeeze(1)

    return explain


def _baseline(model: nn.Module, given: Tensor | float | None) -> Tensor | float:
    if given is not None:
        return given
    mean = getattr(model, "mean", None)
    return mean if isinstance(mean, Tensor) and mean.ndim == 4 else 0.5


def _last_block(model: nn.Module) -> nn.Module:
    from tsynd.classification import Residual

    blocks = [module for module in model.modules() if isinstance(module, Residual)]
    if not blocks:
        raise TsyndError(f"grad_cam needs the layer whose maps it weights: layer=..., since {type(model).__name__} is not ours")
    return blocks[-1]


def _captum() -> Any:
    try:
        from captum import attr
    except ModuleNotFoundError as error:
        raise TsyndError("attribution needs captum, which is not installed: pip install 'tsynd[explain]'") from error
    return attr
