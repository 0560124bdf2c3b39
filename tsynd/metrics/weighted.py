"""The measures of a study from the answers of a run, for the images as they are and for resampled ones.

A resample says how often each image counts. Every measure here is a function of such weights, so that thousands of resamples
are one product of matrices. Answers are the arrays of `runs/<key>.npz`.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import numpy.typing as npt

from tsynd.utils.rules import choice, validated

Array = npt.NDArray[np.float64]
Answers = Mapping[str, npt.NDArray[np.generic]]

SHARES = ("augmented", "augmented_inside", "corrupted")
ATTACKS = ("pgd_2_255", "pgd_4_255", "apgd_4_255", "square_4_255")
BALANCED = {f"balanced_{name}": name for name in ATTACKS}
WEIGHTED = ("accuracy", "balanced_accuracy", "auroc", "nll", *SHARES, *ATTACKS, *BALANCED, "subgroup")
MANY_PAIRS = 10**7  # of a positive and a negative image, above which scores are sorted instead of compared
LOWER_IS_BETTER = ("nll", "ece")


def has(name: str, answers: Answers) -> bool:
    """Whether a run has what a measure is computed from: strong attacks and subgroups are only in some."""
    name = BALANCED.get(name, name)
    return name in answers if name in (*ATTACKS, "subgroup") else name in WEIGHTED


@validated
def measure(
    name: Annotated[str, choice("measure", WEIGHTED)], answers: Answers, weights_RN: npt.NDArray[np.generic] | None = None
) -> Array:
    """A measure under each of R weightings of the N images; without any, of the images as they are, shape (1,).

    accuracy, and accuracy under attack: weighted means. balanced_accuracy, augmented, corrupted: means over classes of weighted
    means, of the shares of draws in which an image is right; `balanced_` and an attack: balanced accuracy under it. subgroup:
    balanced accuracy in it. nll: in nats. auroc: the weighted share of pairs that the score orders rightly, ties one half; with
    more than two classes one-vs-rest, mean over classes.

    Args:
        name: one of `WEIGHTED`.
        answers: of one run.
        weights_RN: (R, N), at least 0; each class needs some weight.

    Raises:
        TsyndError: for an unknown measure.

    >>> answers = {"labels": np.array([0, 1, 1]), "probs": np.array([[0.8, 0.2], [0.3, 0.7], [0.9, 0.1]])}
    >>> measure("auroc", answers), measure("accuracy", answers, np.array([[1, 1, 1], [2, 1, 0]]))
    (array([0.5]), array([0.66666667, 1.        ]))
    """
    labels_N, probs_NC = answers["labels"].astype(np.int64), answers["probs"].astype(np.float64)
    weights = np.ones((1, len(labels_N))) if weights_RN is None else weights_RN.astype(np.float64)
    if name == "auroc":
        return _auroc(labels_N, probs_NC, weights)
    if name == "nll":
        tiny = np.finfo(np.float64).tiny
        return _mean(-np.log(probs_NC[np.arange(len(labels_N)), labels_N].clip(tiny)), weights)
    right_N = (probs_NC.argmax(axis=1) == labels_N).astype(np.float64)
    if name == "accuracy":
        return _mean(right_N, weights)
    if name in BALANCED:
        return _balanced(answers[BALANCED[name]].astype(np.float64), labels_N, weights)
    if name in ATTACKS:
        return _mean(answers[name].astype(np.float64), weights)
    if name == "subgroup":
        inside_N = answers["subgroup"].astype(bool)
        return _balanced(right_N[inside_N], labels_N[inside_N], weights[:, inside_N])
    return _balanced(answers[name].astype(np.float64) if name in SHARES else right_N, labels_N, weights)


def _mean(values_N: Array, weights_RN: Array) -> Array:
    found: Array = (weights_RN @ values_N) / weights_RN.sum(axis=1)
    return found


def _balanced(values_N: Array, labels_N: npt.NDArray[np.int64], weights_RN: Array) -> Array:
    """The mean over classes; a resample that has none of a class is averaged over the others."""
    classes = np.unique(labels_N)
    weight_RC = np.stack([weights_RN[:, labels_N == label].sum(axis=1) for label in classes], axis=1)
    value_RC = np.stack([weights_RN[:, labels_N == label] @ values_N[labels_N == label] for label in classes], axis=1)
    present_RC = weight_RC > 0
    found: Array = np.where(present_RC, value_RC / np.where(present_RC, weight_RC, 1), 0).sum(axis=1) / present_RC.sum(axis=1)
    return found


def _auroc(labels_N: npt.NDArray[np.int64], probs_NC: Array, weights_RN: Array) -> Array:
    classes = [1] if probs_NC.shape[1] == 2 else list(np.unique(labels_N))
    areas = []
    for label in classes:
        is_label = labels_N == label
        odds_N = _log_odds(probs_NC, int(label))
        if is_label.sum() * (~is_label).sum() > MANY_PAIRS:
            areas.append(_auroc_by_sorting(odds_N, is_label, weights_RN))
            continue
        scores_P, scores_Q = odds_N[is_label], odds_N[~is_label]
        order_PQ = (scores_P[:, None] > scores_Q).astype(np.float32) + 0.5 * (scores_P[:, None] == scores_Q).astype(np.float32)
        pairs_R = ((weights_RN[:, is_label].astype(np.float32) @ order_PQ) * weights_RN[:, ~is_label]).sum(axis=1)
        areas.append(pairs_R / (weights_RN[:, is_label].sum(axis=1) * weights_RN[:, ~is_label].sum(axis=1)))
    found: Array = np.mean(areas, axis=0)
    return found


def _auroc_by_sorting(odds_N: Array, is_label: npt.NDArray[np.bool_], weights_RN: Array) -> Array:
    """The same area in time N log N, and without a matrix of all pairs."""
    order_N = odds_N.argsort()
    starts = np.flatnonzero(np.r_[True, np.diff(odds_N[order_N]) > 0])  # of equal scores
    inside, outside = (
        np.add.reduceat(np.where(which[order_N], weights_RN[:, order_N], 0), starts, axis=1) for which in (is_label, ~is_label)
    )
    below = outside.cumsum(axis=1) - outside / 2
    found: Array = (inside * below).sum(axis=1) / (inside.sum(axis=1) * outside.sum(axis=1))
    return found


def _log_odds(probs_NC: Array, label: int) -> Array:
    """The order of the probabilities of a class, also of those so near to 1 that single precision has rounded them to it."""
    tiny = np.finfo(np.float64).tiny
    others_N = np.delete(probs_NC, label, axis=1).sum(axis=1)
    found: Array = np.log(probs_NC[:, label].clip(tiny)) - np.log(others_N.clip(tiny))
    return found
