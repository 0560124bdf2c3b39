"""What a run measures when its classifier is trained: on a whole split, in each subgroup, and of its synthetic images."""

from typing import Any

from torch import Tensor

from tsynd.audit import Audit, audit
from tsynd.autoencoding.standardised import Standardised
from tsynd.classification import Classifier
from tsynd.data import Dataset, Split
from tsynd.metrics.classification import balanced_accuracy, scores
from tsynd.robustness import RobustnessReport, evaluate
from tsynd.runs.config import RunConfig
from tsynd.runs.networks import evaluation_posterior
from tsynd.synthetic.npz import MEASURES
from tsynd.targeting import Guard, Synthesis
from tsynd.training import parse_arm
from tsynd.utils.batching import fitting, predict
from tsynd.utils.eval_mode import frozen
from tsynd.utils.progress import Progress


def measure(
    config: RunConfig,
    data: Dataset,
    classifier: Classifier,
    synthesis: Synthesis | None,
    *,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], RobustnessReport]:
    """The sections of `metrics.json` that describe the trained classifier and the bank, and the report they come from."""
    evaluation, split = config.evaluation, getattr(data, config.evaluate)
    posterior = evaluation_posterior(classifier, config.recipe.samples, config.seed)
    with posterior.folded() as network:
        measured = evaluate(
            network,
            split.images,
            split.labels,
            data.task,
            posterior=posterior,
            seed=config.seed,
            draws=evaluation.draws,
            attack_steps=evaluation.attack_steps,
            limit=evaluation.limit,
            strong=evaluation.strong,
            batch_size=fitting(data.size),
            progress=progress,
        )
    positive = {"positive_class": data.classes[1]} if data.task == "binary" else {}
    inside = {name: _inside(classifier, split[members]) for name, members in split.subgroups.items()}
    searched = {"synthesis": _summary(synthesis), "subgroups": inside}
    return {"split": config.evaluate, "n": len(split)} | positive | measured.to_json() | searched, measured


def audit_run(
    config: RunConfig,
    data: Dataset,
    chosen: Tensor,
    classifier: Classifier,
    autoencoder: Standardised | None,
    synthesis: Synthesis,
    judge: Classifier,
    *,
    progress: Progress | None = None,
) -> Audit:
    """Audit the synthetic images of a run, with a judge of its classifier's kind (see `tsynd.runs.judge`)."""
    recipe, arm = config.recipe, parse_arm(config.arm)
    return audit(
        synthesis,
        classifier,
        autoencoder,
        data,
        chosen=chosen,
        judge=judge,
        split=config.evaluate,
        guard=Guard(recipe.guard_weight, recipe.guard_bound, recipe.guard_hard) if arm.guard else None,
        samples=recipe.samples,
        seed=config.seed,
        progress=progress,
    )


def _inside(classifier: Classifier, split: Split) -> float | None:
    """Balanced accuracy on one subgroup; None where it has no image, as a withheld one in `val`."""
    if not len(split):
        return None
    with frozen(classifier):
        logits_BC = predict(classifier, split.images, 256, next(classifier.parameters()).device)
    return balanced_accuracy(scores(logits_BC, split.labels), split.labels)


def _summary(synthesis: Synthesis | None) -> dict[str, float | int | None]:
    """What the search did, averaged over the bank at the end of training; None where there are no synthetic images."""
    if synthesis is None:
        return {"count": 0} | dict.fromkeys(MEASURES)
    return {"count": len(synthesis)} | {name: getattr(synthesis, name).double().mean().item() for name in MEASURES}
