"""The whole of TSynD, from images to a report: load, autoencode, train with targeted images, evaluate, write."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tsynd.audit import audit
from tsynd.autoencoding.standardised import Standardised
from tsynd.data import Dataset, load
from tsynd.data.dataset import fingerprint
from tsynd.data.image_folder.unlabelled import UnlabelledImages, unlabelled_images
from tsynd.data.loading import reading_of
from tsynd.errors import TsyndError
from tsynd.runs import run as run_folder
from tsynd.runs.config import RunConfig, find_device
from tsynd.runs.estimate import duration, estimate_seconds
from tsynd.runs.evaluation import judge_of, measure
from tsynd.runs.networks import classifier_for, clock, shared_path, trained_autoencoder
from tsynd.runs.prediction import write_evaluated, write_splits
from tsynd.runs.run import Run, history_of
from tsynd.runs.verdicts import by_class, intervals, verdicts
from tsynd.synthetic.npz import load_synthesis, save_synthesis
from tsynd.synthetic.sets import given_images, origin
from tsynd.targeting import Guard
from tsynd.targeting.synthesis import identity
from tsynd.training import parse_arm, train_classifier
from tsynd.training.loop import CHECKPOINT_EVERY
from tsynd.utils.atomic_files import write_json
from tsynd.utils.batching import for_training
from tsynd.utils.environment import METHOD_VERSION, device_name, versions
from tsynd.utils.progress import Progress, Step, silent
from tsynd.utils.rules import validated
from tsynd.utils.tensor_files import load_network, load_notes, save_network, weights_hash

STAGES = ("load", "autoencoder", "warmup", "targeting", "training", "evaluation", "audit", "report")


@validated
def run(
    config: RunConfig,
    out: str | Path | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
    shared: str | Path | None = None,
    audited: bool = True,
    data: Dataset | None = None,
) -> Run:
    """Run TSynD once: a pure function of the configuration, with its files in `out` when a folder is given.

    An unfinished run of the same configuration in `out` goes on where it stopped: after its last finished stage, or within
    the training of the classifier at its last checkpoint.

    Args:
        config: what to run.
        out: folder for config.json, autoencoder.safetensors, classifier.safetensors, synthetic.npz, metrics.json, splits.csv,
            predictions.csv and report.html; nothing is written without one.
        force: replace another run's files in `out`.
        progress: called with a `tsynd.utils.progress.Step` (stage, done, total, text) as stages advance; `print` shows each.
        shared: folder of autoencoders that runs of one set, subset, seed and recipe have in common: found there, or put there.
        audited: audit the synthetic images, which trains a judge on the whole training set.
        data: a data set in memory (see `tsynd.data.from_arrays`), instead of loading `config.data`, which then only names it.

    With images without labels, the sources of the synthetic images are among these: positions in the training split for
    `rest`, in the folder otherwise, and then the synthetic images are not audited.

    Raises:
        TsyndError: for bad input, before anything is computed or replaced.
    """
    folder, shared = None if out is None else Path(out), None if shared is None else Path(shared)
    say = progress or silent
    seconds = dict.fromkeys(STAGES, 0.0)
    device, arm = find_device(config.device), parse_arm(config.arm)
    with clock(seconds, "load"):
        say(Step("load", text=config.data))
        data = data or load(config.data, size=config.size, progress=progress, **reading_of(vars(config)))
        if config.size not in (None, data.size):
            raise TsyndError(f"size must be that of the data in memory, {data.size} px, got {config.size}: leave it out")
        for note in data.notes:
            say(Step("note", text=note))
        chosen = data.subset_index(config.per_class, config.seed)
    settings = config.resolved() | {"size": data.size, "data_fingerprint": fingerprint(data)}
    classifier = classifier_for(settings, data)
    if "classifier_identity" in settings:  # also where a factory reads weights that nobody named
        settings |= {"initial_classifier": weights_hash(classifier)}
    given, review, known_sources = None, {}, False
    if config.synthetic:
        given, decided = given_images(Path(config.synthetic), Path(config.review) if config.review else None, data)
        known_sources = origin(Path(config.synthetic)) is not None  # else they are not audited
        settings |= {"synthetic_identity": identity(given)}  # of what is trained on: the names of files say nothing
        review = {"review": decided} if decided else {}
    pool: UnlabelledImages | None = None
    if config.unlabelled:
        pool = unlabelled_images(config.unlabelled, data, chosen, count=config.recipe.unlabelled_count, seed=config.seed)
        settings |= {"unlabelled_fingerprint": pool.fingerprint}
    with run_folder.only_writer(folder) if folder else nullcontext():
        if folder:
            run_folder.open_folder(folder, settings, force)
        some = data.train if len(chosen) == len(data.train) else data.train[chosen]  # all of a mapped set stay on disk
        images_BCHW, labels_B = for_training(some.images, device), some.labels.to(device)

        if progress and audited and config.budget != "smoke":
            classifier.to(device)
            left = estimate_seconds(config, classifier, images_BCHW, labels_B, len(getattr(data, config.evaluate)))
            say(Step("note", text=f"this will take about {duration(left)}, by its first steps"))
        autoencoder: Standardised | None = None
        autoencoder_loss: list[float] = []
        if arm.objective:
            path = shared_path(shared, settings) if shared else folder / run_folder.AUTOENCODER if folder else None
            seen_by = config.recipe.autoencoder_images
            learnt_BCHW = for_training(data.train.images, device) if seen_by == "all" else images_BCHW
            if seen_by == "unlabelled" and pool is not None:
                learnt_BCHW = for_training(torch.cat([some.images, pool.images]), device)
            autoencoder, autoencoder_loss = trained_autoencoder(config, settings, learnt_BCHW, path, seconds, say)

        # The classifier and its images, trained by the arm or taken from an unfinished run.
        path = folder / run_folder.CLASSIFIER if folder else None
        synthesis = load_synthesis(folder / run_folder.SYNTHETIC) if folder else None
        complete = synthesis is not None or not (arm.objective or given)
        if folder and path and complete and (notes := load_notes(path, "history")):
            load_network(path, classifier)
            history = history_of(path, notes)
        else:
            history, synthesis = train_classifier(
                classifier.to(images_BCHW.device),
                images_BCHW,
                labels_B,
                arm,
                config.recipe,
                autoencoder=autoencoder,
                synthetic=given,
                unlabelled=None if pool is None else for_training(pool.images, images_BCHW.device),
                seed=config.seed,
                progress=say,
                checkpoint=folder / run_folder.CHECKPOINT if folder else None,
                checkpoint_every=CHECKPOINT_EVERY,
            )
            if synthesis:
                sources = chosen if pool is None else torch.arange(len(pool)) if pool.index is None else pool.index
                synthesis = given or synthesis.to("cpu").with_sources(sources)
            if folder and path:
                if synthesis:
                    save_synthesis(folder / run_folder.SYNTHETIC, synthesis, (data.name, fingerprint(data)))
                save_network(path, classifier, {"history": asdict(history)})
        if folder:
            (folder / run_folder.CHECKPOINT).unlink(missing_ok=True)
        seconds |= history.seconds
        classifier.to(images_BCHW.device)

        with clock(seconds, "evaluation"):
            metrics, report = measure(config, data, classifier, synthesis, progress=progress)
        seen = None
        elsewhere = pool is not None and pool.index is None  # sources of a folder have no labels to be judged by
        if audited and synthesis and (autoencoder or known_sources) and not elsewhere:
            with clock(seconds, "audit"):
                say(Step("audit", text="judge"))
                recipe, judge = config.recipe, judge_of(settings, data, config.recipe, device)
                guard = Guard(recipe.guard_weight, recipe.guard_bound, recipe.guard_hard) if arm.guard else None
                about: dict[str, Any] = {
                    "chosen": chosen,
                    "split": config.evaluate,
                    "samples": recipe.samples,
                    "seed": config.seed,
                }
                seen = audit(synthesis, classifier, autoencoder, data, judge=judge, guard=guard, progress=progress, **about)
        metrics["audit"] = seen.to_json() if seen else None
        if audited and report.answers:
            split = getattr(data, config.evaluate)
            metrics["intervals"] = intervals(report.answers, split, config.seed)
            metrics["by_class"] = by_class(report.answers, split, data.classes)
            metrics["verdicts"] = verdicts(metrics)
        metrics |= {"seconds": seconds, "versions": versions(), "device": device_name(device), "method_version": METHOD_VERSION}
        metrics |= {"weights_hash": weights_hash(classifier)} | review | ({"notes": list(data.notes)} if data.notes else {})
        finished = Run(settings, data, chosen, classifier, autoencoder, synthesis, history, autoencoder_loss, metrics, seen)
        finished.answers = report.answers
        if folder:
            with clock(seconds, "report"):
                say(Step("report", text="drawing"))
                from tsynd.runs.report.page import write_report  # matplotlib takes a second to import

                write_report(folder / run_folder.REPORT, finished)
                write_splits(folder / run_folder.SPLITS, finished)
                write_evaluated(folder / run_folder.PREDICTIONS, finished)
            write_json(folder / run_folder.METRICS, {"schema": 1, "config": settings} | metrics)
        return finished
