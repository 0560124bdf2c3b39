"""The loss that attacks climb: cross-entropy up to a monotone function, which a confident classifier does not round to 0."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.errors import TsyndError
from tsynd.utils.shape_errors import passing


def margin_loss(
    model: Callable[[Tensor], Tensor], x: Tensor, labels: Tensor, *, checked: bool = False, lenient: bool = False
) -> tuple[Tensor, Tensor]:
    """How far each image is from its label, in fp32 or wider, and how many of its decisions are wrong.

    The margin m = log sum_{j != y} exp(z_j) - z_y. Cross-entropy is softplus(m), so both rise in the same direction; but
    cross-entropy and its gradient round to 0 for a confident classifier, and an attack that follows them stands still.
    Several labels: the logarithm of the sum of their cross-entropies, softplus(m) with m = z where the label is absent and -z
    where it is present; ln softplus(m) is m where softplus would round to 0. `checked`: labels and outputs are known to be
    right, so that a GPU need not wait to see whether they are. `lenient`: outputs that are probabilities are no error.
    """
    with passing(x, model):
        logits = model(x)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise TsyndError(f"the model must return logits of shape ({len(x)}, classes), got {found}")
    checked = checked or logits.is_meta  # where values cannot be looked at
    if labels.ndim == 2:
        return _of_several(logits, labels, checked)
    if not checked and int(labels.max()) >= logits.shape[1]:
        raise TsyndError(f"labels must be below the model's {logits.shape[1]} classes, got {int(labels.max())}")
    if not (checked or lenient):
        refuse_probabilities(logits)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    others = logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
    return others - logits.gather(1, labels[:, None]).squeeze(1), (logits.detach().argmax(dim=1) != labels).long()


def are_probabilities(outputs_BC: Tensor) -> bool:
    """Whether each row lies in [0, 1] and sums to one, as no logits do."""
    inside = bool(((outputs_BC >= -1e-5) & (outputs_BC <= 1 + 1e-5)).all())
    return inside and bool(((outputs_BC.sum(dim=1) - 1).abs() < 1e-4).all())


def refuse_probabilities(outputs_BC: Tensor) -> None:
    """Raise a TsyndError for a model whose outputs are probabilities: a second softmax flattens the loss."""
    if are_probabilities(outputs_BC.detach()):
        raise TsyndError("the model must return logits, got probabilities (rows that sum to 1): return their logarithms instead")


def _of_several(logits_BL: Tensor, labels_BL: Tensor, checked: bool) -> tuple[Tensor, Tensor]:
    if logits_BL.shape != labels_BL.shape or (not checked and int(labels_BL.max()) > 1):
        found = f"{tuple(labels_BL.shape)} with values up to {int(labels_BL.max())}"
        raise TsyndError(f"several labels must be 0 or 1 of the logits' shape {tuple(logits_BL.shape)}, got {found}")
    wide_BL = logits_BL.to(torch.promote_types(logits_BL.dtype, torch.float32))
    margin_BL = (1 - 2 * labels_BL) * wide_BL
    log_loss_BL = torch.where(margin_BL < -15, margin_BL, F.softplus(margin_BL.clamp_min(-15)).log())
    return log_loss_BL.logsumexp(dim=1), ((logits_BL.detach() > 0).long() != labels_BL).sum(dim=1)
