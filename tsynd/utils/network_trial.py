"""The trial of a user's network, one for every door: whatever would make its numbers wrong without a word is refused here.

A network must give finite logits of the right shape, the same whenever it is asked and for each image on its own; where a
gradient is climbed, it must reach the images. The network, its buffers and the global random state are left as they were.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tsynd.errors import TsyndError
from tsynd.utils.eval_mode import owner_of, refuse_lazy, weights_type
from tsynd.utils.network_passes import Model, finite, given, name_of, network_of, pair_of, same, steady, trial, wide
from tsynd.utils.shape_errors import explained
from tsynd.utils.validation import check_labels

_TRIED: ContextVar[set[tuple[object, ...]]] = ContextVar("what the public function around this one has tried")
# What may stand between the operation that made the numbers and the output: changes of shape and type, factors, summands.
_PASSING = "View UnsafeView Reshape ReshapeAlias Squeeze Unsqueeze ToCopy Clone Cat Stack Slice Select Index T Alias Transpose "
_PASSING += "Permute Expand Unbind Split Mul Div Add Sub"
# Operations that end in [0, 1] by design; and those that do so by chance only.
_CLOSED = "Sigmoid Hardsigmoid Softmax Exp Reciprocal Clamp Hardtanh Div Pow"
_OPEN = (
    "Addmm Mm Bmm Baddbmm Addmv Mv Convolution Mean Relu Gelu LeakyRelu Elu Silu Hardswish Softplus Log LogSigmoid LogSoftmax "
)
_OPEN += "Logsumexp Sum Add Sub Max Maximum ClampMin NativeBatchNorm NativeLayerNorm AdaptiveAvgPool2D MkldnnConvolution"


def ask(model: Model, images: Tensor) -> Tensor:
    """Return what a network says of images: it gets a copy in its own precision, and what it raises becomes one line."""
    with explained(f"images of shape {tuple(images.shape)} do not pass through {name_of(model)}"):
        return model(given(images, model))


def logits_of(model: Model, images: Tensor) -> Tensor:
    """What a network says of images, if it is finite logits, a row for each image."""
    return check_logits(model, ask(model, images), len(images))


def is_multi_label(*functions: object) -> bool:
    """Whether a network, or the one that a wrapper (DataParallel, compile) holds, says that several labels may hold at once."""
    owners = [owner_of(function) for function in functions]
    inner = [getattr(owner, name, None) for owner in owners for name in ("module", "_orig_mod", "model")]
    return any(bool(getattr(each, "multi_label", False)) for each in owners + inner)


@contextmanager
def tried(
    model: Model,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    gradient: bool = False,
    lenient: bool = False,
    flat: bool = False,
) -> Iterator[None]:
    """Try a network with two of the images, unless a public function around this one has; inside the block it counts as tried.

    Args:
        model: images in [0, 1] to logits (B, C).
        images: (B, C, H, W) float in [0, 1].
        labels: (B,) int64, or of several labels (B, L); None where only the network is asked.
        gradient: whether the gradient of the logits must reach the images.
        lenient: let pass what `checks_before` reports: random networks, probabilities, gradients.
        flat: let pass what `checks_after` reports: a gradient that is 0 everywhere.

    Raises:
        TsyndError: for weights or logits that are not finite, logits of another shape, probabilities, a network that is random
            or depends on the batch, one that cuts the gradient, and inference mode where a gradient is needed.
    """
    before = _TRIED.get(set())
    new = (id(model), gradient) not in before
    if new:
        check_weights(*network_of(model))
    if gradient:
        refuse_inference_mode(*network_of(model))
    if new:
        with trial(*network_of(model)):
            pair = pair_of(wide(images[:1]))
            random = lenient or bool(getattr(model, "draws_anew", False))
            logits = ask(model, pair) if random else steady(model, pair)
            check_logits(model, logits, 2, labels)
            logits_of(model, wide(images))  # one of them may be black, and have no deviation to be divided by
            if not lenient:
                refuse_probabilities(model, wide(images[:8]), labels is not None and labels.ndim == 2)
            if gradient and not lenient:
                _check_gradient(model, pair, flat)
    token = _TRIED.set({*before, (id(model), gradient), (id(model), False)})
    try:
        yield
    finally:
        _TRIED.reset(token)


def untried(*what: object) -> bool:
    """Whether something is to be tried: always outside of a block of `tried`, and once inside of one."""
    before = _TRIED.get(set())
    new = what not in before
    before.add(what)
    return new


def refuse_inference_mode(*networks: nn.Module) -> None:
    """Refuse a gradient in inference mode, or of weights that were made in it: torch cannot compute any."""
    tensors = (each for network in networks for each in (*network.parameters(), *network.buffers()))
    made = any(each.is_inference() for each in tensors if not is_lazy(each))
    if made or torch.is_inference_mode_enabled():
        where = "of weights that were made in" if made else "inside"
        raise TsyndError(f"a gradient is needed, and {where} torch.inference_mode there is none: do this outside of it")


def check_weights(*networks: nn.Module) -> None:
    """Refuse weights that are NaN or infinite, with which whatever decides for the first class looks robust; or not there yet."""
    refuse_lazy(*networks)
    for network in networks:
        if wrong := [name for name, weight in network.named_parameters() if not weight.is_meta and not finite(weight)]:
            raise TsyndError(f"{type(network).__name__} has weights that are NaN or infinite: {', '.join(wrong[:3])}")


def check_logits(model: Model, logits: object, rows: int, labels: Tensor | None = None) -> Tensor:
    """The network's output, if it is one row of finite logits for each row that went in, as many as labels need."""
    name = name_of(model)
    if not isinstance(logits, Tensor):
        raise TsyndError(f"{name} must give a tensor of logits (B, classes), got {type(logits).__name__}")
    if logits.ndim != 2 or len(logits) != rows or not logits.is_floating_point():
        found = f"shape {tuple(logits.shape)}" + ("" if logits.is_floating_point() else f" of {logits.dtype}")
        raise TsyndError(f"{name} must give logits ({rows}, classes) for {rows} rows, got {found}")
    if not finite(logits):
        half = weights_type(model) == torch.float16
        narrow = "; in float16 numbers overflow, bfloat16 has the range of float32" if half else ""
        raise TsyndError(f"{name} gives logits that are NaN or infinite for images in [0, 1]{narrow}")
    if labels is None:
        return logits
    if labels.ndim == 1 and not logits.is_meta and (largest := float(logits.detach().abs().max())) > 1e4:
        spread = float((logits.detach().amax(dim=1) - logits.detach().amin(dim=1)).max())
        if largest * torch.finfo(torch.float32).eps > 0.01 * spread:
            raise TsyndError(f"{name} gives logits near {largest:.3g}, where their differences round away: subtract their mean")
    classes = logits.shape[1]
    if labels.ndim == 2 and labels.shape[1] != classes:
        raise TsyndError(f"several labels must be 0 or 1 of the logits' shape (B, {classes}), got {tuple(labels.shape)}")
    if labels.ndim == 1 and classes < 2:
        raise TsyndError(
            f"{name} gives one logit for each image, and classes (B,) need at least two: give two logits, or labels of shape "
            "(B, 1) for one yes-or-no decision"
        )
    if labels.ndim == 1:
        check_labels(labels, (len(labels),), classes)
    return logits


def refuse_probabilities(model: Model, inputs: Tensor, several: bool) -> None:
    """Refuse a network that ends in a softmax or a sigmoid: a second one flattens its predictions and hides its gradient."""
    both = torch.cat([inputs, 1 - inputs]).detach().nan_to_num()
    try:
        with torch.enable_grad():
            outputs = ask(model, both.clone().requires_grad_())
    except TsyndError:  # no graph: a network of NumPy, say
        outputs = ask(model, both)
    if found := probabilities_in(outputs, several):
        raise TsyndError(f"{name_of(model)} gives {found} where logits are needed: leave out its softmax or sigmoid")


def probabilities_in(outputs_BC: Tensor, several: bool) -> str | None:
    """What outputs are instead of logits, in words: by their values, and by the operation that made them; None for logits.

    Rows that sum to one are probabilities. Other values in [0, 1] may be logits by chance: there the last operation decides.
    Logarithms of probabilities are logits of a softmax, but not of several labels.
    """
    if outputs_BC.is_meta:
        return None
    values, last = outputs_BC.detach().double(), _last_operation(outputs_BC)
    inside = bool(((values >= -1e-5) & (values <= 1 + 1e-5)).all())
    close = 1e-4 if outputs_BC.dtype.itemsize >= 4 else 2e-2
    if inside and values.shape[1] > 1 and bool(((values.sum(dim=1) - 1).abs() < close).all()):
        return "probabilities (rows that sum to one)"
    if inside and (last in _CLOSED.split() or (several and last not in _OPEN.split())):
        return "probabilities (between 0 and 1)"
    if last in ("Softmax", "Sigmoid") and bool((values >= 0).all()):
        return "probabilities times a factor (percent?)"
    return "logarithms of probabilities" if several and last in ("LogSigmoid", "LogSoftmax") else None


def _last_operation(x: Tensor) -> str:
    """The operation that made the numbers of a tensor, by autograd's name for it; empty where there is no graph."""
    node: Any = x.grad_fn
    while node is not None:
        name = str(node.name()).partition("Backward")[0]
        above = [each for each, _ in node.next_functions if each is not None]
        if name not in _PASSING.split() or not above or (len(above) > 1 and name not in ("Cat", "Stack")):
            return name
        node = above[0]
    return ""


def _check_gradient(model: Model, pair: Tensor, flat: bool) -> None:
    """Refuse a network whose gradient does not reach the images, is not finite, or cannot be computed twice over."""
    name = name_of(model)
    with torch.enable_grad():
        x = pair.clone().requires_grad_(True)
        logits = ask(model, x)
        found: Tensor | None = None
        if logits.requires_grad:
            with explained(f"the gradient of {name} cannot be computed (checkpoint needs use_reentrant=False)"):
                weights = torch.arange(1, logits.shape[1] + 1, device=logits.device, dtype=logits.dtype)
                (found,) = torch.autograd.grad((logits * weights).sum(), x, allow_unused=True)
    if found is None:
        raise TsyndError(
            f"the gradient of {name} does not reach the images: something in its forward cuts it (torch.no_grad, inference_mode, "
            "detach, NumPy); random_squares needs none"
        )
    if not finite(found):
        raise TsyndError(f"the gradient of {name} is NaN or infinite, so an attack or a search would stand still and look held")
    if not flat:
        refuse_flat(model, logits, found)


def refuse_flat(model: Model, logits_BC: Tensor, gradient_BCHW: Tensor) -> None:
    """Refuse a gradient that is 0 for images of which the network says different things: it is lost on the way, not absent."""
    if not gradient_BCHW.is_meta and not bool(gradient_BCHW.any()) and not same(logits_BC[:1], logits_BC[1:]):
        raise TsyndError(
            f"the gradient of {name_of(model)} is 0 everywhere, although it tells images apart (its forward rounds, or takes a "
            "sign or a threshold), so an attack or a search would stand still and look held; random_squares needs no gradient"
        )
