"""How long a run will take, from its first steps, which are taken on copies and thrown away."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.classification import Classifier
from tsynd.robustness.evaluation import EPS
from tsynd.runs.config import RunConfig
from tsynd.training import parse_arm, train_classifier
from tsynd.training.arms import steps_of
from tsynd.utils.batching import as_float
from tsynd.utils.eval_mode import frozen

FIRST = 3  # steps that are timed; one more before them, since the first is slower
IMAGES = 16  # images whose evaluation is timed
PASSES = 41  # clean, and eight corruptions in five severities


def estimate_seconds(config: RunConfig, classifier: Classifier, images_BCHW: Tensor, labels_B: Tensor, evaluated: int) -> float:
    """Estimate the seconds that a run takes from here on, within a factor of about two.

    Steps of the classifier, of our autoencoder, and one search are timed, and passes of the evaluation of `evaluated` images; the
    report and small things are left out. Nothing that is given changes, and no stream of random numbers is touched. The
    classifier is freshly initialised, on the device of its training images.
    """
    arm, recipe, evaluation = parse_arm(config.arm), config.recipe, config.evaluation
    plain, short = parse_arm("none"), replace(recipe, steps=1, warmup=0.0, ema=0.0, posterior="head")

    def train(steps: int) -> Callable[[], object]:
        fresh = copy.deepcopy(classifier)
        return lambda: train_classifier(fresh, images_BCHW, labels_B, plain, replace(short, steps=steps))

    step = 0.0 if arm.ridge else _slope(train(1), train(FIRST + 1))
    total = step * steps_of(arm, recipe) * (recipe.members if arm.objective and recipe.posterior == "ensemble" else 1)
    if arm.objective:
        autoencoder = build_autoencoder(images_BCHW.shape[1], images_BCHW.shape[-1], 0, "conv", **recipe.autoencoder_settings)
        autoencoder.to(images_BCHW.device)
        learn = partial(train_autoencoder, autoencoder, images_BCHW[:64])
        one = _slope(partial(learn, steps=1), partial(learn, steps=FIRST + 1))
        total += one * recipe.autoencoder_steps * autoencoder.share_of_steps
        search = parse_arm("guarded" if arm.guard else "tsynd")
        fresh = copy.deepcopy(classifier)
        searched = _seconds(lambda: train_classifier(fresh, images_BCHW, labels_B, search, short, autoencoder=autoencoder))
        searches = (1 - recipe.warmup) * recipe.steps / recipe.refresh_every
        controls = 3 * recipe.capacity / recipe.refresh_count  # of the audit, whose judge takes as many steps again
        total += max(0.0, searched - step) * (searches + controls) + step * recipe.steps
    few_BCHW = as_float(images_BCHW[:IMAGES])
    with frozen(classifier):
        forward = _seconds(lambda: classifier(few_BCHW)) / len(few_BCHW)
        both = _seconds(lambda: torch.autograd.grad(classifier(x := few_BCHW.clone().requires_grad_()).sum(), x)) / len(few_BCHW)
    limited = min(evaluated, evaluation.limit or evaluated)
    attacked = evaluation.attack_steps * (len(EPS) - 1) * (3 if evaluation.strong else 1)
    return total + limited * (forward * (PASSES + 2 * evaluation.draws) + both * attacked) + evaluated * forward


def duration(seconds: float) -> str:
    """Seconds in words, as coarse as such an estimate is.

    >>> duration(50), duration(200), duration(9000), duration(400_000)
    ('under 1 min', '3 min', '2.5 h', '4.6 days')
    """
    if seconds < 60:
        return "under 1 min"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _seconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def _slope(one: Callable[[], object], more: Callable[[], object]) -> float:
    """Seconds of one step, from one and from `FIRST` more, so that what is done once does not count."""
    one()
    base = _seconds(one)
    return max(0.0, _seconds(more) - base) / FIRST
