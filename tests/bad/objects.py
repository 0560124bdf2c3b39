"""Public functions that are given networks, runs or whole sets: one right call each, as in `tests.bad.calls`."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import tsynd
from tests.bad.calls import IMAGES, LABELS, QUICK, attacked, autoencoder, classifier, data
from tsynd import audit, robustness, sets, study, targeting, viz
from tsynd.autoencoding import VAE, AnyAutoencoder, ConvAutoencoder, build_autoencoder
from tsynd.classification import as_targets, build_classifier, normalise_to
from tsynd.posterior import Ensemble, FullDropout, HeadDropout
from tsynd.robustness import attribution
from tsynd.runs import Run
from tsynd.targeting import Synthesis, measured, target
from tsynd.training import History, choose_sources

MAPS = torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(0))
STUDY = study.Study("toy", (study.Tier("one", (("phantom", 2),), (0,), {"none": ("none", {})}),))


@cache
def members() -> tuple[nn.Module, ...]:
    return tuple(build_classifier(1, 16, 2, seed=seed).eval() for seed in range(3))


@cache
def synthesis() -> Synthesis:
    sampled = HeadDropout.of(classifier(), 3, generator=torch.Generator().manual_seed(0))
    return target(IMAGES, LABELS, autoencoder(), sampled, steps=1, generator=torch.Generator().manual_seed(0))


@cache
def finished() -> Run:
    settings = {"arm": "guarded", "seed": 0, "recipe": dict(QUICK.__dict__)}
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
    return viz.explore(**made)


def chosen(**given: Any) -> Tensor:
    return choose_sources(classifier=classifier(), generator=torch.Generator(), **given)


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
         "guard": targeting.Guard(), "source_B": torch.arange(4)},
    ),
    "audit.train_judge": (lambda **now: audit.train_judge(recipe=QUICK, **now), {"data": data(), "seed": 0}),
    "sets.synthesize": (sets.synthesize, {"run": finished(), "count": 3, "seed": 0}),
    "predict": (tsynd.predict, {"run": finished(), "images": IMAGES, "batch_size": 2}),
    "targeting.measured": (
        measured, {"synthesis": synthesis(), "posterior": HeadDropout.of(classifier(), 3, generator=torch.Generator())}
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
    "posterior.HeadDropout of objects": (HeadDropout.from_model, {"model": classifier(), "split": "head", "samples": 3}),
    "posterior.FullDropout of objects": (FullDropout, {"model": classifier(), "samples": 3}),
    "posterior.Ensemble": (lambda **now: Ensemble(**now)(IMAGES), {"members": members(), "max_chunk": 2}),
    "posterior.Ensemble of images": (lambda images: Ensemble(members())(images), {"images": IMAGES}),
    "training.choose_sources": (
        chosen, {"sources": "hard", "images_BCHW": IMAGES, "labels_B": LABELS, "count": 2, "samples": 3, "batch_size": 2},
    ),
    "robustness.averaged": (
        lambda images: robustness.averaged(HeadDropout.of(classifier(), 3, generator=torch.Generator()))(images),
        {"images": IMAGES},
    ),
    "robustness.aa_name": (robustness.aa_name, {"classes": 2}),
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
    "viz.review": (viz.review, {"synthesis": synthesis(), "classes": ("a", "b"), "sources_BCHW": IMAGES, "reviewer": "A"}),
    "study.seconds_left": (lambda jobs: study.seconds_left((), (), jobs), {"jobs": 1}),
}  # fmt: skip
if find_spec("captum"):
    OBJECTS["attribution.attribute"] = (
        lambda **now: attribution.attribute(classifier(), **now),
        {"images_BCHW": IMAGES, "method": "grad_cam", "classes_B": LABELS},
    )
    OBJECTS["attribution.attribute with a baseline"] = (
        lambda **now: attribution.attribute(classifier(), IMAGES, **now), {"baseline": 0.5}
    )  # fmt: skip
AUTOATTACK = attacked(robustness.aa, batch_size=2)
