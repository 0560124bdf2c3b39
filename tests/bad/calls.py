"""Public functions with arguments that are right, one call each: what the tests then replace, argument by argument."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

import tsynd
from tsynd import posterior, robustness, targeting, uncertainty
from tsynd.augmentation import TRAIN_RANGE, Augmentation, augment, mixup, trivial_augment
from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.autoencoding.training import ssim
from tsynd.classification import Classifier, build_classifier, classification_loss
from tsynd.data import Dataset, Split, phantom
from tsynd.data.phantom.phantoms import draw_split
from tsynd.metrics import classification
from tsynd.posterior import HeadDropout
from tsynd.study import statistics
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.training.bank import soft_targets

IMAGES = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4) % 2
PROBS = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]])
QUICK = Recipe(steps=2, batch_size=4, refresh_every=1, refresh_count=2, capacity=2, samples=2, ascent_steps=1)


@cache
def classifier() -> Classifier:
    return build_classifier(1, 16, 2, seed=0).eval()


@cache
def autoencoder() -> Any:
    made = build_autoencoder(1, 16, seed=0).eval()
    made.standardise(IMAGES)
    return made


@cache
def data() -> Dataset:
    split = Split((IMAGES.repeat(5, 1, 1, 1) * 255).to(torch.uint8), LABELS.repeat(5))
    return Dataset("toy", split, split, split, ("a", "b"), "binary", "CC0")


def log_probs() -> torch.Tensor:
    return torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0)).log_softmax(-1)


def attacked(attack: Callable[..., Any], **more: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    given = {"images": IMAGES, "labels": LABELS, "eps": 0.1, **more}
    return lambda **now: attack(classifier(), now.pop("images"), now.pop("labels"), **now), given


def searched(**given: Any) -> Any:
    sampled = HeadDropout.of(classifier(), 3, generator=torch.Generator().manual_seed(0))
    return targeting.target(
        given.pop("images_BCHW"),
        given.pop("labels_B"),
        autoencoder(),
        sampled,
        generator=torch.Generator().manual_seed(0),
        **given,
    )


def trained(**given: Any) -> Any:
    return train_classifier(build_classifier(1, 16, 2, seed=0), arm=parse_arm("none"), recipe=QUICK, **given)


def coded(**given: Any) -> Any:
    return train_autoencoder(build_autoencoder(1, 16, seed=0), **given)


CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "targeting.target": (
        searched,
        {"images_BCHW": IMAGES, "labels_B": LABELS, "radius": 0.2, "steps": 1, "step_size": 0.1, "noise": 0.1,
         "max_chunk": 2},
    ),
    "targeting.Guard": (targeting.Guard, {"weight": 1.0, "bound": 0.5, "hard": False}),
    "autoencoding.train_autoencoder": (
        coded,
        {"images_BCHW": IMAGES, "steps": 1, "batch_size": 2, "learning_rate": 1e-3, "latent_noise": 0.1, "ssim_weight": 0.1,
         "seed": 0},
    ),
    "autoencoding.build_autoencoder": (build_autoencoder, {"channels": 1, "size": 16, "seed": 0}),
    "autoencoding.ssim": (ssim, {"images_BCHW": IMAGES, "others_BCHW": IMAGES}),
    "classification.build_classifier": (
        build_classifier, {"channels": 1, "size": 16, "classes": 2, "seed": 0, "trunk_dropout": 0.1},
    ),
    "classification.classification_loss": (
        classification_loss, {"logits_BC": PROBS.log(), "targets_BC": PROBS, "smoothing": 0.1},
    ),
    "uncertainty.mutual_information": (uncertainty.mutual_information, {"log_probs_BKC": log_probs()}),
    "uncertainty.predictive_entropy": (uncertainty.predictive_entropy, {"log_probs_BKC": log_probs()}),
    "uncertainty.expected_entropy": (uncertainty.expected_entropy, {"log_probs_BKC": log_probs()}),
    "posterior.HeadDropout.of": (
        lambda **now: HeadDropout.of(classifier(), **now)(IMAGES), {"samples": 3, "max_chunk": 2}
    ),
    "posterior.FullDropout": (
        lambda **now: posterior.FullDropout(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(256, 2)), **now)(IMAGES),
        {"samples": 3, "max_chunk": 2},
    ),
    "posterior of images": (
        lambda images_BCHW: HeadDropout.of(classifier(), 3, generator=torch.Generator())(images_BCHW), {"images_BCHW": IMAGES}
    ),
    "training.Recipe": (Recipe, {name: getattr(QUICK, name) for name in QUICK.__dict__}),
    "training.train_classifier": (
        trained, {"images_BCHW": IMAGES, "labels_B": LABELS, "seed": 0, "checkpoint_every": 1},
    ),
    "training.mixup": (
        lambda **now: mixup(generator=torch.Generator(), **now), {"images_BCHW": IMAGES, "targets_BC": PROBS, "alpha": 0.4}
    ),
    "training.soft_targets": (
        soft_targets, {"labels_B": LABELS, "information_B": torch.full((4,), 0.1), "classes": 2, "softness": 0.5}
    ),
    "training.trivial_augment": (trivial_augment, {"images_BCHW": IMAGES}),
    "Evaluation": (tsynd.Evaluation, {"draws": 1, "attack_steps": 1, "limit": 1, "strong": False}),
    "RunConfig": (tsynd.RunConfig, {"data": "phantom", "arm": "none", "per_class": 1, "size": 28, "seed": 0}),
    "data.load": (tsynd.load, {"name": "phantom", "size": 16, "seed": 0, "count": 2, "classes": 2}),
    "data.phantom.phantom": (phantom.phantom, {"seed": 0, "count": 2, "size": 16, "classes": 2}),
    "data.draw_split": (draw_split, {"per_class": 2, "size": 16, "classes": 2}),
    "data.phantom.sample_factors": (phantom.sample_factors, {"count": 2}),
    "Dataset.subset": (lambda **now: data().subset(**now), {"per_class": 2, "seed": 0}),
    "Dataset.subset of a fraction": (lambda **now: data().subset(**now), {"fraction": 0.5, "seed": 0}),
    "robustness.pgd": attacked(robustness.pgd, steps=1, step_size=0.1),
    "robustness.apgd": attacked(robustness.apgd, steps=2, step_size=0.1),
    "robustness.fgsm": attacked(robustness.fgsm),
    "robustness.random_squares": attacked(robustness.random_squares, queries=2),
    "robustness.augment": (lambda **now: augment(ranges=TRAIN_RANGE, **now), {"images_BCHW": IMAGES}),
    "Augmentation": (Augmentation, {"rotation": (0.0, 5.0), "flip": 0.5, "brightness": (0.0, 0.1)}),
    "robustness.corrupt": (robustness.corrupt, {"images_BCHW": IMAGES, "name": "gaussian_noise", "severity": 1}),
    "robustness.eot_model": (
        lambda images, **now: robustness.eot_model(classifier(), **now)(images), {"images": IMAGES, "draws": 2}
    ),
    "robustness.evaluate": (
        lambda **now: robustness.evaluate(classifier(), task="binary", corruptions=(), **now).to_json(),
        {"images": IMAGES, "labels": LABELS, "draws": 1, "attack_steps": 1, "limit": 4, "batch_size": 2, "eps": (0.0, 0.1),
         "seed": 0},
    ),
    "metrics.accuracy": (classification.accuracy, {"probs_BC": PROBS, "labels_B": LABELS}),
    "metrics.auroc": (classification.auroc, {"probs_BC": PROBS, "labels_B": LABELS}),
    "metrics.balanced_accuracy": (classification.balanced_accuracy, {"probs_BC": PROBS, "labels_B": LABELS}),
    "metrics.quadratic_kappa": (classification.quadratic_kappa, {"probs_BC": PROBS, "labels_B": LABELS}),
    "metrics.error_auroc": (classification.error_auroc, {"uncertainty_B": PROBS[:, 0], "wrong_B": LABELS.bool()}),
    "metrics.scores": (classification.scores, {"logits": PROBS.log(), "labels": LABELS}),
    "statistics.interval": (statistics.interval, {"mean": 0.1, "resampled_R": np.linspace(-0.5, 1, 20)}),
    "statistics.holm": (statistics.holm, {"p_values": [0.01, 0.5]}),
    "statistics.verdict": (statistics.verdict, {"low": 0.1, "high": 0.2}),
    "statistics.widening": (statistics.widening, {"seeds": 5}),
    "statistics.resampled_seeds": (
        lambda **now: statistics.resampled_seeds(generator=np.random.default_rng(0), **now), {"seeds": 5, "resamples": 10}
    ),
    "statistics.resampled_images": (
        lambda **now: statistics.resampled_images(generator=np.random.default_rng(0), **now),
        {"labels_N": np.arange(6) % 2, "resamples": 10},
    ),
}  # fmt: skip
