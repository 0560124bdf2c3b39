"""The networks of a run, from its configuration: ours, or those of factories."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.autoencoding.any_codec import adopt_autoencoder
from tsynd.autoencoding.standardised import Standardised
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.runs.config import RunConfig, recipe_of
from tsynd.training import parse_arm
from tsynd.utils.atomic_files import digest
from tsynd.utils.factories import find_factory, is_factory
from tsynd.utils.progress import Progress
from tsynd.utils.rng import generator_for, seed_for
from tsynd.utils.tensor_files import load_network, load_notes, save_network


def classifier_for(settings: Mapping[str, Any], data: Dataset, seed: int | None = None) -> Classifier:
    """Build the freshly initialised classifier of a run; `seed` replaces the one that follows from the run's."""
    return build_classifier(
        data.channels,
        data.size,
        len(data.classes),
        seed_for(settings["seed"], "initialise classifier") if seed is None else seed,
        architecture=settings.get("classifier") or parse_arm(settings["arm"]).classifier or "compact",
        multi_label=data.multi_label,
        head=settings.get("head"),
        weights=settings.get("classifier_weights"),
    )


def autoencoder_for(settings: Mapping[str, Any], images_BCHW: Tensor, *, loading: bool = False) -> tuple[Standardised, bool]:
    """The autoencoder of a run on its images' device, and whether it must still be trained; `loading`: its state is read next."""
    kind, seed = settings.get("autoencoder") or "conv", seed_for(settings["seed"], "initialise autoencoder")
    if is_factory(kind):
        weights = None if loading else settings.get("autoencoder_weights")
        return adopt_autoencoder(kind, images_BCHW, seed, weights=weights, loading=loading)
    numbers = recipe_of(settings).autoencoder_settings
    return build_autoencoder(images_BCHW.shape[1], images_BCHW.shape[-1], seed, kind, **numbers).to(images_BCHW.device), True


def evaluation_posterior(classifier: Classifier, samples: int, seed: int) -> HeadDropout:
    """Return the posterior that a run of this seed is evaluated with: its masks are the same each time."""
    return HeadDropout.of(classifier, samples, generator_for(seed, "evaluation masks"))


def check_sources(settings: Mapping[str, Any]) -> None:
    """Refuse a run whose factories have changed since it was made (TsyndError), or are gone (DataUnavailable)."""
    for name in ("classifier", "autoencoder"):
        known = settings.get(f"{name}_identity")
        if known is not None and find_factory(settings[name]).identity != known:
            raise TsyndError(f"the factory {settings[name]} has changed since the run: bring back its source, or run again")


def trained_autoencoder(
    config: RunConfig,
    settings: dict[str, Any],
    images_BCHW: Tensor,
    path: Path | None,
    seconds: dict[str, float],
    progress: Progress,
) -> tuple[Standardised, list[float]]:
    """Train the autoencoder, or take it from an unfinished run or another that shares it."""
    recipe = config.recipe
    notes = load_notes(path, "seconds", "loss") if path else None
    autoencoder, untrained = autoencoder_for(settings, images_BCHW, loading=notes is not None)
    if path and notes is not None:
        load_network(path, autoencoder)
        seconds["autoencoder"] = notes["seconds"]
        return autoencoder, list(notes["loss"])
    loss: list[float] = []
    with clock(seconds, "autoencoder"):
        if untrained:
            numbers: dict[str, Any] = {
                "steps": round(recipe.autoencoder_steps * autoencoder.share_of_steps),
                "latent_noise": recipe.latent_noise,
                "seed": config.seed,
            }
            loss = train_autoencoder(autoencoder, images_BCHW, progress=progress, **numbers)
    if path:
        save_network(path, autoencoder, {"seconds": seconds["autoencoder"], "loss": loss})
    return autoencoder, loss


def shared_path(folder: Path, settings: dict[str, Any]) -> Path:
    """Where the autoencoder lies that a run shares: named by all that it depends on."""
    recipe = {name: value for name, value in settings["recipe"].items() if name.startswith(("autoencoder_", "latent_"))}
    names = ("data_fingerprint", "size", "per_class", "seed", "method_version")
    if recipe["autoencoder_images"] == "unlabelled":
        recipe |= {"unlabelled_fingerprint": settings.get("unlabelled_fingerprint")}
    recipe |= {name: value for name, value in settings.items() if name.startswith("autoencoder")}
    return folder / f"{digest({name: settings[name] for name in names} | recipe)}.safetensors"


@contextmanager
def clock(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the wall-clock time of the block to a stage."""
    started = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - started
