"""The networks of a run, from its configuration: ours, or those of factories."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tsynd.autoencoding import build_autoencoder
from tsynd.autoencoding.any_codec import adopt_autoencoder
from tsynd.autoencoding.standardised import Standardised
from tsynd.classification import Classifier, build_classifier
from tsynd.data import Dataset
from tsynd.errors import TsyndError
from tsynd.runs.config import recipe_of
from tsynd.training import parse_arm
from tsynd.utils.factories import find_factory, is_factory
from tsynd.utils.rng import seed_for


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
    """Build the autoencoder of a run on the device of its images, and say whether it is still to be trained.

    loading: its state is read from a file next.
    """
    kind, seed = settings.get("autoencoder") or "conv", seed_for(settings["seed"], "initialise autoencoder")
    if is_factory(kind):
        weights = None if loading else settings.get("autoencoder_weights")
        return adopt_autoencoder(kind, images_BCHW, seed, weights=weights, loading=loading)
    numbers = recipe_of(settings).autoencoder_settings
    return build_autoencoder(images_BCHW.shape[1], images_BCHW.shape[-1], seed, kind, **numbers).to(images_BCHW.device), True


def check_sources(settings: Mapping[str, Any]) -> None:
    """Refuse a run whose factories are not as they were when it was made.

    Raises:
        TsyndError: when a factory's source has changed.
        DataUnavailable: when its file is gone.
    """
    for name in ("classifier", "autoencoder"):
        known = settings.get(f"{name}_identity")
        if known is not None and find_factory(settings[name]).identity != known:
            raise TsyndError(f"the factory {settings[name]} has changed since the run: bring back its source, or run again")
