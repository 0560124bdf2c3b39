"""Ridge regression in closed form: what a linear readout of fixed features can do, with nothing that was tuned by hand."""

import torch
from torch import Tensor, nn

from tsynd.classification import Classifier, as_targets, classification_loss
from tsynd.errors import TsyndError
from tsynd.utils.batching import as_float
from tsynd.utils.eval_mode import frozen

PENALTIES = [10.0**power for power in range(-4, 7)]
"""What is tried, relative to the mean eigenvalue of the features' Gram matrix."""
SCALES = [2.0**power for power in range(-4, 8)]
"""Factors from regression scores to logits that are tried."""
BATCH = 64  # images whose features are computed at a time


def fit_ridge(classifier: Classifier, images_BCHW: Tensor, labels_B: Tensor) -> float:
    """Set the last linear layer of a classifier by ridge regression on its inputs, in place; the rest stays as it is.

    Targets are +1 for a class and -1 for the others. Features are centred and divided by their standard deviation, and the
    penalty is the one of `PENALTIES` whose leave-one-out predictions have the least squared error; for ridge regression they
    have a closed form (Allen 1974). Scores become logits by the factor of `SCALES` with the least leave-one-out loss, on labels
    that are smoothed as Platt (1999) does, since few images may be told apart without a mistake.

    The images are in [0, 1] or of 8 bits, on the classifier's device; it is in eval mode afterwards.

    Returns:
        The leave-one-out loss, in nats.

    Raises:
        TsyndError: when the logits do not come from a linear layer.
    """
    named = classifier.get_submodule(classifier.readout) if classifier.readout else classifier
    layer: nn.Module | None = named if isinstance(named, nn.Linear) else next(reversed(list(named.children())), None)
    if not isinstance(layer, nn.Linear) or layer.bias is None:
        raise TsyndError("ridge regression needs a classifier whose last layer is linear, with a bias, as in efficientnet-lite0")
    features_ND = _features(classifier, layer, images_BCHW)
    weights_CD, bias_C, loss = ridge(features_ND, as_targets(labels_B, classifier), multi_label=classifier.multi_label)
    with torch.no_grad():
        layer.weight.copy_(weights_CD)
        layer.bias.copy_(bias_C)
    classifier.eval()
    return loss


def ridge(features_ND: Tensor, labels_NC: Tensor, *, multi_label: bool = False) -> tuple[Tensor, Tensor, float]:
    """Fit logits to features, as `fit_ridge` says.

    `labels_NC` is 1 for what an image is, 0 for what it is not.

    Returns:
        Weights (C, D) and bias (C,) in double precision, and the leave-one-out loss in nats.
    """
    features_ND, targets_NC = features_ND.double(), labels_NC.double() * 2 - 1
    mean_D, std_D = features_ND.mean(0), features_ND.std(0, correction=0)
    std_D = std_D.clamp_min(float(std_D.square().mean().sqrt()) * 0.05 + 1e-12)  # a pixel that hardly varies stays small
    x_ND, offset_C = (features_ND - mean_D) / std_D, targets_NC.mean(0)
    y_NC = targets_NC - offset_C
    left, values, right = torch.linalg.svd(x_ND, full_matrices=False)
    projected = left.T @ y_NC
    scale = values.square().mean().clamp_min(1e-12)
    best: tuple[float, Tensor, Tensor] | None = None
    for penalty in (scale * each for each in PENALTIES):
        shrink = values.square() / (values.square() + penalty)
        fitted_NC = left @ (shrink[:, None] * projected)
        leverage_N = (left.square() @ shrink + 1 / len(x_ND)).clamp_max(1 - 1e-6)  # the mean is fitted too
        left_out_NC = targets_NC - (y_NC - fitted_NC) / (1 - leverage_N)[:, None]
        error = float((targets_NC - left_out_NC).square().mean())
        if best is None or error < best[0]:
            best = error, left_out_NC, right.T @ ((values / (values.square() + penalty))[:, None] * projected)
    assert best is not None  # PENALTIES is not empty
    _, left_out_NC, weights_DC = best
    ways, wanted_NC = 2 if multi_label else labels_NC.shape[1], labels_NC.double()
    softness = ways**2 / (len(x_ND) + ways**2)  # for two classes (n + 1) / (n + 2)
    losses = [
        float(classification_loss(left_out_NC * each, wanted_NC, multi_label=multi_label, smoothing=softness)) for each in SCALES
    ]
    factor = SCALES[losses.index(min(losses))]
    weights_DC = weights_DC / std_D[:, None]
    return factor * weights_DC.T, factor * (offset_C - mean_D @ weights_DC), min(losses)


def _features(classifier: Classifier, layer: nn.Linear, images_BCHW: Tensor) -> Tensor:
    """What a layer is given for each image, (N, D), in eval mode."""
    given: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].detach()))
    try:
        with torch.no_grad(), frozen(classifier):
            for batch in images_BCHW.split(BATCH):
                classifier(as_float(batch).to(layer.weight))
    finally:
        hook.remove()
    return torch.cat(given)
