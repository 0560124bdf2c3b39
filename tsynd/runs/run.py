"""A run as an object and as a folder: what is in it, when it may be written to, and how a finished one is read back."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from tsynd.audit import Audit
from tsynd.autoencoding.standardised import Standardised
from tsynd.classification import Classifier
from tsynd.data import Dataset, load
from tsynd.data.dataset import fingerprint
from tsynd.data.loading import reading_of
from tsynd.errors import TsyndError, differences
from tsynd.posterior import HeadDropout
from tsynd.runs.config import NETWORKS, RunConfig, recipe_of
from tsynd.runs.networks import autoencoder_for, check_sources, classifier_for, evaluation_posterior
from tsynd.synthetic.npz import load_synthesis
from tsynd.targeting import Synthesis
from tsynd.training import Recipe, parse_arm
from tsynd.training.state import History
from tsynd.utils.atomic_files import write_json
from tsynd.utils.batching import for_training
from tsynd.utils.environment import METHOD_VERSION
from tsynd.utils.locks import at_once
from tsynd.utils.rules import validated
from tsynd.utils.safe_parsing import read_json
from tsynd.utils.tensor_files import load_network, load_notes, weights_hash

CONFIG, AUTOENCODER, CLASSIFIER = "config.json", "autoencoder.safetensors", "classifier.safetensors"
SYNTHETIC, METRICS, REPORT, CHECKPOINT = "synthetic.npz", "metrics.json", "report.html", "checkpoint.safetensors"
LOCK, SPLITS, PREDICTIONS = ".lock", "splits.csv", "predictions.csv"
FILES = (METRICS, REPORT, PREDICTIONS, SPLITS, CHECKPOINT, CLASSIFIER, SYNTHETIC, AUTOENCODER, CONFIG)


@dataclass
class Run:
    """One run: its configuration, the networks, what they were trained on, and what was measured.

    config: as in `config.json`. data: the whole data set. chosen: which images of `data.train` were trained on;
    `synthesis.sources` counts in `data.train` too. autoencoder and synthesis are None for arms without synthetic images.
    metrics: as in `metrics.json`. audit: of the synthetic images, one by one; answers: of the evaluation, image by image (see
    `RobustnessReport`). `load_run` gives None for both: the summaries in `metrics` are all that is kept.
    """

    config: dict[str, Any]
    data: Dataset
    chosen: Tensor
    classifier: Classifier
    autoencoder: Standardised | None
    synthesis: Synthesis | None
    history: History
    autoencoder_loss: list[float]
    metrics: dict[str, Any]
    audit: Audit | None = None
    answers: Mapping[str, Tensor] | None = None

    @property
    def recipe(self) -> Recipe:
        """Every number of its training."""
        return recipe_of(self.config)

    @property
    def device(self) -> torch.device:
        """Where its networks are; the data stay on the CPU."""
        return next(self.classifier.parameters()).device

    def to(self, device: torch.device) -> Self:
        """Move the networks to a device, in place."""
        for network in (self.classifier, self.autoencoder):
            if network is not None:
                network.to(device)
        return self

    def posterior(self) -> HeadDropout:
        """Posterior samples of its classifier, drawn from its seed: the same at each call, and those of its own evaluation."""
        return evaluation_posterior(self.classifier, self.recipe.samples, self.config["seed"])

    def training_images(self) -> tuple[Tensor, Tensor]:
        """The real images (N, C, H, W) that it was trained on and their labels, on the networks' device.

        In [0, 1]; very many are of 8 bits (`tsynd.utils.batching.for_training`).
        """
        train = self.data.train
        chosen = train if len(self.chosen) == len(train) else train[self.chosen]
        return for_training(chosen.images, self.device), chosen.labels.to(self.device)


@validated
def load_run(folder: str | Path, *, data: Dataset | None = None) -> Run:
    """Give back a finished run: its configuration, data, networks, synthetic images and metrics.

    A run with a factory of yours runs that factory's file. A run of data in memory needs them again, as `data`.

    Raises:
        TsyndError: when the folder holds no finished run, it is of another method version, one of its files is damaged,
            or its data have changed since.
        DataUnavailable: when its data are no longer to be found.
    """
    folder = Path(folder)
    settings = read_json(folder / CONFIG)
    needed = {"data", "size", "per_class", "seed", "arm", "recipe", "data_fingerprint", "method_version"}
    if missing := needed - settings.keys():
        raise TsyndError(f"{folder / CONFIG} is not the configuration of a run: {', '.join(sorted(missing))} missing")
    try:
        size = settings["size"] if isinstance(settings["size"], int) else None
        named = {name: settings[name] for name in NETWORKS if name in settings}
        RunConfig(settings["data"], settings["arm"], settings["per_class"], min(size or 28, 1024), settings["seed"], **named)
        recipe_of(settings)
    except TsyndError as error:
        raise TsyndError(f"{folder / CONFIG} is damaged: {error}") from error
    if settings["method_version"] != METHOD_VERSION:
        made = f"made with method version {settings['method_version']}, this tsynd has version {METHOD_VERSION}"
        raise TsyndError(f"the run in {folder} was {made}: run it again")
    check_sources(settings)
    metrics = read_json(folder / METRICS)
    data = data or load(settings["data"], size=settings["size"], **reading_of(settings))
    if fingerprint(data) != settings["data_fingerprint"]:
        raise TsyndError(f"{settings['data']} has changed since the run in {folder}: its fingerprint is {fingerprint(data)} now")
    chosen = data.subset_index(settings["per_class"], settings["seed"])
    classifier = classifier_for(settings, data)
    load_network(folder / CLASSIFIER, classifier)
    if metrics.get("weights_hash") != weights_hash(classifier):
        where = folder / CLASSIFIER
        raise TsyndError(f"{where} is not the classifier that {METRICS} is about: run it again")
    notes = load_notes(folder / CLASSIFIER, "history") or {}
    autoencoder: Standardised | None = None
    loss: list[float] = []
    if parse_arm(settings["arm"]).objective:
        autoencoder, _ = autoencoder_for(settings, data.train.images[chosen[:16]], loading=True)
        load_network(folder / AUTOENCODER, autoencoder)
        loss = list((load_notes(folder / AUTOENCODER, "loss") or {})["loss"])
    synthesis = load_synthesis(folder / SYNTHETIC)
    history = history_of(folder / CLASSIFIER, notes)
    return Run(settings, data, chosen, classifier, autoencoder, synthesis, history, loss, metrics)


def history_of(path: Path, notes: Mapping[str, Any]) -> History:
    """What a training recorded, from the notes of its classifier."""
    found = notes.get("history")
    if not isinstance(found, dict) or found.keys() != History().__dict__.keys():
        raise TsyndError(f"{path} is damaged: its history must have {', '.join(History().__dict__)}")
    return History(**found)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Let no other process or thread write a run into the folder inside the block; TsyndError when another does."""
    if folder.exists() and not folder.is_dir():
        raise TsyndError(f"--out {folder} is a file: name a folder")
    with ExitStack() as stack:
        try:
            held = stack.enter_context(at_once(folder / LOCK))
        except OSError as error:
            raise TsyndError(f"--out {folder} cannot be written: {error.strerror}") from error
        if not held:
            raise TsyndError(f"--out {folder}: a run is being written there now: wait for its end, or name another folder")
        try:
            yield
        finally:
            if not (folder / CONFIG).exists():  # no run's folder: it is left as it was found
                (folder / LOCK).unlink(missing_ok=True)


def open_folder(folder: Path, config: dict[str, Any], force: bool) -> None:
    """Make a run's folder ready: new, or left unfinished by a run of the same configuration; else a TsyndError.

    A finished run, or one of another configuration, is replaced with `force` only; files that are not a run's own
    are never touched.
    """
    present = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []
    if present and not force:
        if CONFIG not in present:
            raise TsyndError(f"--out {folder} is not empty and holds no run: name a new folder, or add --force")
        if differing := differences(_comparable(read_json(folder / CONFIG)), _comparable(config)):
            raise TsyndError(f"--out {folder} holds a run of another configuration ({differing}): use --force to replace it")
        if METRICS in present:
            raise TsyndError(f"--out {folder} holds this run, finished: use --force to run it again")
        return
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        write_json(folder / CONFIG, config)
    except OSError as error:
        raise TsyndError(f"--out {folder} cannot be written: {error.strerror}") from error


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the names of files whose content it identifies: a moved file is the same configuration."""
    skipped = {"synthetic", "review"} if "synthetic_identity" in config else set[str]()
    skipped |= {name for name in config if f"{name}_identity" in config and name.endswith("weights")}
    return {name: value for name, value in config.items() if name not in skipped}
