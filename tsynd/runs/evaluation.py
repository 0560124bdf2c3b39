"""What a run measures when its classifier is trained: on a whole split, in each subgroup, and of its synthetic images."""

from contextlib import suppress
from functools import partial
from typing import Any

import torch

from tsynd.audit import train_judge
from tsynd.classification import Classifier
from tsynd.data import Dataset
from tsynd.errors import TsyndError
from tsynd.metrics.classification import balanced_accuracy, scores
from tsynd.robustness import RobustnessReport, evaluate
from tsynd.runs.config import RunConfig
from tsynd.runs.networks import classifier_for, evaluation_posterior
from tsynd.synthetic.npz import MEASURES
from tsynd.targeting import Synthesis
from tsynd.training import Recipe, parse_arm
from tsynd.utils.batching import fitting, predict
from tsynd.utils.cache import cache_entry
from tsynd.utils.environment import device_name
from tsynd.utils.eval_mode import frozen
from tsynd.utils.progress import Progress
from tsynd.utils.rng import seed_for
from tsynd.utils.tensor_files import load_network, save_network

# What a training by arm `none` reads of a recipe.
_READ = ("steps", "batch_size", "learning_rate", "weight_decay", "ema")


def measure(
    config: RunConfig,
    data: Dataset,
    classifier: Classifier,
    synthesis: Synthesis | None,
    *,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], RobustnessReport]:
    """The sections of `metrics.json` that describe the trained classifier and the bank, and the report they come from."""
    split = getattr(data, config.evaluate)
    posterior = evaluation_posterior(classifier, config.recipe.samples, config.seed)
    with posterior.folded() as network:
        given: dict[str, Any] = {"posterior": posterior, "seed": config.seed, "progress": progress} | vars(config.evaluation)
        measured = evaluate(network, split.images, split.labels, data.task, batch_size=fitting(data.size), **given)
    positive = {"positive_class": data.classes[1]} if data.task == "binary" else {}
    inside: dict[str, float | None] = dict.fromkeys(split.subgroups)  # None without images, as of a withheld one in `val`
    for name, part in ((name, split[members]) for name, members in split.subgroups.items() if members.any()):
        with frozen(classifier):
            logits_BC = predict(classifier, part.images, 256, next(classifier.parameters()).device)
        inside[name] = balanced_accuracy(scores(logits_BC, part.labels), part.labels)
    bank: dict[str, Any] = {"count": 0} | dict.fromkeys(MEASURES)
    if synthesis is not None:
        bank = {"count": len(synthesis)} | {name: getattr(synthesis, name).double().mean().item() for name in MEASURES}
    searched = {"synthesis": bank, "subgroups": inside}
    return {"split": config.evaluate, "n": len(split)} | positive | measured.to_json() | searched, measured


def judge_of(settings: dict[str, Any], data: Dataset, recipe: Recipe, device: torch.device) -> Classifier:
    """Return the judge of a run in eval mode: trained, or found in the cache where the same training was done before.

    The entry is named by all that the training depends on: images, labels, network, recipe and seed, and by torch, its threads
    and the device, whose rounding differs. A file that cannot be read is trained anew.
    """
    names = ("data_fingerprint", "size", "seed", "method_version")
    key = {name: settings[name] for name in names} | {name: getattr(recipe, name) for name in _READ}
    key |= {name: value for name, value in settings.items() if name.startswith(("classifier", "head", "initial"))}
    key |= {"network": parse_arm(settings["arm"]).classifier, "torch": torch.__version__}
    key |= {"threads": torch.get_num_threads(), "device": device_name(device)}
    path = cache_entry("judges", key).with_suffix(".safetensors")
    if path.exists():
        judge = classifier_for(settings, data, seed_for(settings["seed"], "judge"))
        try:
            load_network(path, judge)
            return judge.to(device).eval()
        except TsyndError:
            path.unlink(missing_ok=True)
    build = partial(classifier_for, settings, data)
    judge = train_judge(data, seed=settings["seed"], recipe=recipe, device=device, build=build)
    with suppress(OSError, TsyndError):  # a cache that cannot be written costs time, not the run
        path.parent.mkdir(parents=True, exist_ok=True)
        save_network(path, judge, {"key": key})
    return judge
