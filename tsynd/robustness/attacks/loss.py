"""The loss that attacks climb: cross-entropy up to a monotone function, which a confident classifier does not round to 0."""

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.utils.network_passes import Model, wide
from tsynd.utils.network_trial import ask


def margin_loss(model: Model, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How far each image is from its label, in fp32 or wider, and how many of its decisions are wrong.

    The margin m = log sum_{j != y} exp(z_j) - z_y. Cross-entropy is softplus(m), so both rise in the same direction; but
    cross-entropy and its gradient round to 0 for a confident classifier, and an attack that follows them stands still.
    Several labels: the logarithm of the sum of their cross-entropies, softplus(m) with m = z where the label is absent and -z
    where it is present; ln softplus(m) is m where softplus would round to 0. Model and labels are known to be right (see
    `tsynd.utils.network_trial.tried`), so a GPU need not wait to see whether they are.
    """
    logits = wide(ask(model, x))
    if labels.ndim == 2:
        return _of_several(logits, labels)
    others = logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
    return others - logits.gather(1, labels[:, None]).squeeze(1), (logits.detach().argmax(dim=1) != labels).long()


def _of_several(logits_BL: Tensor, labels_BL: Tensor) -> tuple[Tensor, Tensor]:
    margin_BL = (1 - 2 * labels_BL) * logits_BL
    log_loss_BL = torch.where(margin_BL < -15, margin_BL, F.softplus(margin_BL.clamp_min(-15)).log())
    return log_loss_BL.logsumexp(dim=1), ((logits_BL.detach() > 0).long() != labels_BL).sum(dim=1)
