"""AutoAttack through pyautoattack, an extra: `pip install "tsynd[attacks]"`.

AutoAttack (Croce and Hein, ICML 2020, arXiv 2003.01690) is four attacks, each on what the ones before it have left. The targeted
DLR loss of APGD-T compares the first logit with the third and the fourth, so the standard set is not defined below 4 classes: a
figure of the smaller set, as `autoattack_name` calls it, is not one of AutoAttack.
"""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.robustness.attacks.gradient import attacking
from tsynd.utils.network_passes import Model, wide
from tsynd.utils.network_trial import ask
from tsynd.utils.rng import seeded
from tsynd.utils.rules import validated, whole

if TYPE_CHECKING:
    from pyautoattack import AutoAttack

STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
FEW_CLASSES = ("apgd-ce", "fab-t", "square")


@validated
def aa_attacks(classes: Annotated[int, whole(2)]) -> tuple[str, ...]:
    """Which attacks `autoattack` runs, in order.

    >>> aa_attacks(2)
    ('apgd-ce', 'fab-t', 'square')
    """
    return STANDARD if classes >= 4 else FEW_CLASSES


def autoattack_name(classes: int) -> str:
    """Return what to call the numbers of `autoattack`.

    >>> autoattack_name(7), autoattack_name(3)
    ('AutoAttack, standard', 'APGD-CE + FAB-T + Square')
    """
    return "AutoAttack, standard" if aa_attacks(classes) == STANDARD else "APGD-CE + FAB-T + Square"


@validated
def autoattack(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: torch.Generator | None = None,
    batch_size: Annotated[int, whole(1)] = 250,
) -> Tensor:
    """Several strong attacks in turn, each on the images that still hold; call its figures `autoattack_name(classes)`.

    pyautoattack does the work, as published: 100 steps, 5000 queries of Square, one restart, and for the targeted attacks 9
    targets, or all where there are fewer. It seeds torch's global state, which is as before afterwards. It takes minutes
    where `pgd` takes seconds.

    Args:
        model: images in [0, 1] to logits (B, classes), deterministic (see `averaged_model`), in eval mode.
        images: (B, C, H, W) float in [0, 1].
        labels: (B,) int64.
        eps: largest change of a pixel, in [0, 1]; 0 returns the images unchanged.
        generator: where its seed comes from; torch's global state without one.
        batch_size: bounds the memory.

    Returns:
        (B, C, H, W) attacked images in [0, 1], within eps of the given ones; those that hold, or were wrong before, unchanged.

    Raises:
        TsyndError: when pyautoattack is not installed, for several labels an image, and as in `pgd`.
    """
    if labels.ndim != 1:
        raise TsyndError(f"aa attacks one label an image, (B,), got labels of shape {tuple(labels.shape)}")
    with attacking(model, images, labels, eps) as images:
        with torch.no_grad():
            classes = ask(model, images[:1]).shape[1]
        if find_spec("pyautoattack") is None:
            raise TsyndError("aa needs the package pyautoattack, which is not installed: pip install 'tsynd[attacks]'")
        if eps == 0:
            return images
        seed = int(torch.randint(2**31, (), generator=generator))
        trace = sys.gettrace()  # pyautoattack switches tracing off, on which debuggers and measurements of coverage live
        try:
            with seeded(seed):
                attack = _prepared(model, classes, eps, seed, images.device)
                attacked, _ = attack.run_standard_evaluation(images.float(), labels, batch_size=batch_size)
        finally:
            sys.settrace(trace)
        return attacked.to(images.dtype).clamp(images - eps, images + eps).clamp(0, 1)


def _prepared(model: Model, classes: int, eps: float, seed: int, device: torch.device) -> "AutoAttack":
    """pyautoattack's object, with settings for so many classes: its own are for ten or more."""
    from pyautoattack import AutoAttack

    def answer(images: Tensor) -> Tensor:
        return wide(ask(model, images))

    attack = AutoAttack(answer, attacks=list(aa_attacks(classes)), version="custom", eps=eps, seed=seed, device=device)
    attack.apgd.n_restarts = attack.fab.n_restarts = 1
    attack.fab.n_target_classes = attack.apgd_targeted.n_target_classes = min(9, classes - 1)
    return attack
