"""The audit's judge, trained once for all runs that would train the same one: kept in the cache."""

from contextlib import suppress
from typing import Any

import torch

from tsynd.audit import train_judge
from tsynd.classification import Classifier
from tsynd.data import Dataset
from tsynd.errors import TsyndError
from tsynd.runs.networks import classifier_for
from tsynd.training import Recipe, parse_arm
from tsynd.utils.cache import cache_entry
from tsynd.utils.environment import device_name
from tsynd.utils.rng import seed_for
from tsynd.utils.tensor_files import load_network, save_network

# What a training by arm `none` reads of a recipe.
_READ = ("steps", "batch_size", "learning_rate", "weight_decay", "ema")


def judge_of(settings: dict[str, Any], data: Dataset, recipe: Recipe, device: torch.device) -> Classifier:
    """Return the judge of a run in eval mode: trained, or found in the cache where the same training was done before.

    The entry is named by all that the training depends on: images, labels, network, recipe and seed, and by torch, its threads
    and the device, whose rounding differs. A file that cannot be read is trained anew.
    """
    names = ("data_fingerprint", "size", "seed", "method_version")
    key = {name: settings[name] for name in names} | {name: getattr(recipe, name) for name in _READ}
    key |= {name: value for name, value in settings.items() if name.startswith(("classifier", "head", "initial"))}
    key |= {
        "network": parse_arm(settings["arm"]).classifier,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": device_name(device),
    }
    path = cache_entry("judges", key).with_suffix(".safetensors")
    if path.exists():
        judge = classifier_for(settings, data, seed_for(settings["seed"], "judge"))
        try:
            load_network(path, judge)
            return judge.to(device).eval()
        except TsyndError:
            path.unlink(missing_ok=True)
    judge = train_judge(
        data, seed=settings["seed"], recipe=recipe, device=device, build=lambda seed: classifier_for(settings, data, seed)
    )
    with suppress(OSError, TsyndError):  # a cache that cannot be written costs time, not the run
        path.parent.mkdir(parents=True, exist_ok=True)
        save_network(path, judge, {"key": key})
    return judge
