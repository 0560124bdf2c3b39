"""Public functions that are given networks, runs or whole sets: one right call each, as in `tests.bad.calls`."""

import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import tsynd
from tests.bad.calls import IMAGES, LABELS, PROBS, QUICK, attacked, autoencoder, classifier, data
from tsynd import audit, pretrained, robustness, study, targeting, teaching
from tsynd.autoencoding import VAE, AnyAutoencoder, ConvAutoencoder, build_autoencoder
from tsynd.classification import as_targets, build_classifier, classification_losses, normalise_to
from tsynd.data import phantom, quality
from tsynd.data.phantom.phantoms import withheld_in
from tsynd.data.phantom.rule import malignancy
from tsynd.metrics import classification
from tsynd.posterior import Ensemble, FullDropout, HeadDropout
from tsynd.robustness import attribution
from tsynd.robustness.attacks.autoattack import autoattack_name
from tsynd.runs.card import describe
from tsynd.runs.run import Run
from tsynd.runs.synthesize import synthesize
from tsynd.study import statistics
from tsynd.study.plan import Tier
from tsynd.study.runner import seconds_left
from tsynd.synthetic import decisions, sets
from tsynd.synthetic.review_widget import review
from tsynd.targeting import Synthesis, remeasure, target
from tsynd.training import parse_arm
from tsynd.training.arms import steps_of
from tsynd.training.checkpoint import save_checkpoint
from tsynd.training.source_sampling import choose_sources
from tsynd.training.state import History
from tsynd.uncertainty import log_probabilities

MAPS = torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(0))
FACTORS = phantom.sample_factors(2, torch.Generator().manual_seed(0))
ACCEPTED = {0: decisions.Decision("accept")}
STUDY = study.Study("toy", (Tier("one", (("phantom", 2),), (0,), {"none": ("none", {})}),))


@cache
def members() -> tuple[nn.Module, ...]:
    return tuple(build_classifier(1, 16, 2, seed=seed).eval() for seed in range(3))


@cache
def synthesis() -> Synthesis:
    sampled = HeadDropout.of(classifier(), 3, generator=torch.Generator().manual_seed(0))
    return target(IMAGES, LABELS, autoencoder(), sampled, steps=1, generator=torch.Generator().manual_seed(0))


@cache
def finished() -> Run:
    settings = {"data": "toy", "data_fingerprint": "0", "arm": "guarded", "seed": 0, "recipe": dict(QUICK.__dict__)}
    return Run(settings, data(), torch.arange(20), classifier(), autoencoder(), synthesis(), History(), [], {})


def audited(**given: Any) -> Any:
    made = {"synthesis": synthesis(), "classifier": classifier(), "autoencoder": autoencoder(), "data": data(), **given}
    judge = made.pop("judge", classifier())
    return audit.audit(
        made.pop("synthesis"), made.pop("classifier"), made.pop("autoencoder"), made.pop("data"), judge=judge, **made
    )


def any_autoencoder(**given: Any) -> Any:
    ours = autoencoder()
    return AnyAutoencoder(ours.encode, ours.decode, **given)


def standardised(**given: Any) -> None:
    build_autoencoder(1, 16, seed=0).standardise(**given)


def explored(**given: Any) -> Any:
    made = {"draw": lambda value: Figure(figsize=(1, 1)), "alt": lambda value: "twenty characters, and a few more", **given}
    return teaching.explore(**made)


def chosen(**given: Any) -> Tensor:
    return choose_sources(classifier=classifier(), generator=torch.Generator(), **given)


def in_scratch(write: Callable[..., Any], **given: Any) -> None:
    """Write a file that nobody keeps."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "set.npz", **given)


OBJECTS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "audit.audit": (audited, {"chosen": torch.arange(20), "split": "test", "samples": 3, "k": 2, "seed": 0}),
    "audit.audit of objects": (
        audited,
        {"synthesis": synthesis(), "classifier": classifier(), "autoencoder": autoencoder(), "data": data(),
         "judge": classifier(), "recipe": QUICK, "guard": targeting.Guard()},
    ),
    "targeting.target of objects": (
        lambda **now: target(IMAGES, LABELS, steps=1, generator=torch.Generator(), **now),
        {"autoencoder": autoencoder(), "posterior": HeadDropout.of(classifier(), 3, generator=torch.Generator()),
         "guard": targeting.Guard(), "sources": torch.arange(4)},
    ),
    "audit.train_judge": (lambda **now: audit.train_judge(recipe=QUICK, **now), {"data": data(), "seed": 0}),
    "synthesize": (synthesize, {"run": finished(), "count": 3, "seed": 0}),
    "predict": (tsynd.predict, {"run": finished(), "images": IMAGES, "batch_size": 2}),
    "targeting.measured": (
        remeasure, {"synthesis": synthesis(), "posterior": HeadDropout.of(classifier(), 3, generator=torch.Generator())}
    ),
    "autoencoding.ConvAutoencoder": (ConvAutoencoder, {"channels": 1, "size": 16}),
    "autoencoding.VAE": (VAE, {"channels": 1, "size": 16, "beta": 1e-3}),
    "autoencoding.AnyAutoencoder": (any_autoencoder, {"images_BCHW": IMAGES, "batch_size": 2}),
    "autoencoding.build_autoencoder of a kind": (
        build_autoencoder, {"channels": 1, "size": 16, "seed": 0, "kind": "conv"}
    ),
    "Standardised.standardise": (standardised, {"images_BCHW": IMAGES, "batch_size": 2}),
    "Standardised.encode": (lambda **now: autoencoder().encode(**now), {"images_BCHW": IMAGES}),
    "Standardised.decode": (lambda **now: autoencoder().decode(**now), {"latents_BD": torch.zeros(2, 64)}),
    "classification.as_targets": (lambda **now: as_targets(classifier=classifier(), **now), {"labels": LABELS}),
    "classification.normalise_to": (
        lambda **now: normalise_to(build_classifier(1, 16, 2, seed=0), **now), {"images_BCHW": IMAGES}
    ),
    "pretrained.breastmnist": (pretrained.breastmnist, {"arm": "none"}),
    "posterior.HeadDropout of objects": (HeadDropout.from_model, {"model": classifier(), "split": "head", "samples": 3}),
    "posterior.FullDropout of objects": (FullDropout, {"model": classifier(), "samples": 3}),
    "posterior.Ensemble": (lambda **now: Ensemble(**now)(IMAGES), {"members": members(), "max_chunk": 2}),
    "posterior.Ensemble of images": (lambda images: Ensemble(members())(images), {"images": IMAGES}),
    "training.choose_sources": (
        chosen, {"sources": "hard", "images_BCHW": IMAGES, "labels_B": LABELS, "count": 2, "samples": 3, "batch_size": 2},
    ),
    "robustness.averaged_model": (
        lambda images: robustness.averaged_model(HeadDropout.of(classifier(), 3, generator=torch.Generator()))(images),
        {"images": IMAGES},
    ),
    "robustness.autoattack_name": (autoattack_name, {"classes": 2}),
    "robustness.checks_before": (
        lambda **now: robustness.checks_before(classifier(), **now), {"images": IMAGES, "labels": LABELS}
    ),
    "robustness.checks_after": (
        lambda **now: robustness.checks_after(classifier(), **now),
        {"images": IMAGES, "labels": LABELS, "eps": 0.1, "steps": 1, "queries": 2, "seed": 0},
    ),
    "attribution.mass_inside": (attribution.mass_inside, {"maps_BHW": MAPS, "masks_BHW": MAPS}),
    "attribution.randomised": (attribution.randomised, {"model": classifier(), "seed": 0}),
    "viz.explore": (explored, {"label": "radius", "values": (0.1, 0.2), "start": 0.1}),
    "viz.review": (review, {"synthesis": synthesis(), "classes": ("a", "b"), "sources": IMAGES, "reviewer": "A"}),
    "seconds_left": (lambda jobs: seconds_left((), (), jobs), {"jobs": 1}),
    "study.statistics.crossed": (
        statistics.crossed, {"differences_SR": np.zeros((3, 5)), "counts_RS": np.ones((5, 3))}
    ),
    "data.checking.check": (quality.check, {"data": "phantom:count=4"}),
    "data.phantom.render": (phantom.render, {"factors": FACTORS, "size": 16}),
    "data.phantom.lesion_masks": (phantom.lesion_masks, {"factors": FACTORS, "size": 16}),
    "data.phantom.classify": (phantom.classify, {"factors": FACTORS, "classes": 2}),
    "data.malignancy": (malignancy, {"factors": FACTORS}),
    "data.phantom.subgroup": (phantom.subgroup, {"factors": FACTORS, "name": "small-irregular"}),
    "data.withheld_in": (lambda data: withheld_in(data), {"data": "phantom:count=4"}),
    "robustness.corruptions_for": (robustness.corruptions_for, {"modality": "ultrasound", "channels": 1}),
    "metrics.clean_metrics": (
        classification.clean_metrics, {"probs": PROBS, "labels": LABELS, "task": "multi-class", "seed": 0}
    ),
    "metrics.sensitivity_at_90_specificity": (
        classification.sensitivity_at_90_specificity, {"probs_BC": PROBS, "labels_B": LABELS}
    ),
    "training.parse_arm": (parse_arm, {"name": "guarded"}),
    "training.steps_of": (steps_of, {"arm": parse_arm("guarded"), "recipe": QUICK}),
    "uncertainty.log_probabilities": (log_probabilities, {"logits": PROBS}),
    "classification.classification_losses": (
        classification_losses, {"logits_BC": PROBS.log(), "targets_BC": PROBS, "smoothing": 0.1}
    ),
    "targeting.concatenate": (targeting.concatenate, {"parts": [synthesis(), synthesis()]}),
    "Synthesis.with_sources": (lambda **now: synthesis().with_sources(**now), {"index": torch.arange(4)}),
    "Synthesis.to": (lambda **now: synthesis().to(**now), {"device": "cpu"}),
    "decisions.counts": (decisions.counts, {"synthesis": synthesis(), "decisions": ACCEPTED}),
    "decisions.reviewed": (decisions.reviewed, {"synthesis": synthesis(), "decisions": ACCEPTED}),
    "decisions.write_review": (
        lambda **now: in_scratch(decisions.write_review, **now), {"synthesis": synthesis(), "decisions": ACCEPTED}
    ),
    "sets.write_set": (
        lambda **now: in_scratch(sets.write_set, **now),
        {"synthesis": synthesis(), "card": {"classes": {}, "data": {"name": "a", "fingerprint": "b"}}},
    ),
    "card.describe": (lambda **now: describe(command="tsynd synthesize", **now), {"run": finished(), "synthesis": synthesis()}),
    "training.save_checkpoint": (
        lambda **now: in_scratch(save_checkpoint, **now), {"state": {"weights": PROBS}, "belongs": {"seed": 0}}
    ),
    "run": (tsynd.run, {"config": tsynd.RunConfig("phantom:count=8", "none", 2, 16, budget="smoke", changes={"steps": 2})}),
}  # fmt: skip
if find_spec("captum"):
    OBJECTS["attribution.attribute"] = (
        lambda **now: attribution.attribute(classifier(), **now),
        {"images_BCHW": IMAGES, "method": "grad_cam", "classes": LABELS},
    )
    OBJECTS["attribution.attribute with a baseline"] = (
        lambda **now: attribution.attribute(classifier(), IMAGES, **now), {"baseline": 0.5}
    )  # fmt: skip
AUTOATTACK = attacked(robustness.autoattack, batch_size=2)
