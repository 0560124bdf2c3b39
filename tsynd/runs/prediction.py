"""Using a trained run: probabilities and uncertainty for images, in memory or as a table with one row an image."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsynd.classification import check_fitting
from tsynd.data import load
from tsynd.data.dataset import SPLITS
from tsynd.data.image_folder.image_file import ENDINGS, fit, quiet_pillow, read_picture
from tsynd.data.image_folder.listing import class_folder, split_folders, walk
from tsynd.data.labels import class_key, names_of, numbers_of, same_classes
from tsynd.data.loading import is_name
from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.runs.run import Run
from tsynd.uncertainty import mutual_information, predictive_entropy
from tsynd.utils.atomic_files import write_text
from tsynd.utils.batching import batches
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_trial import logits_of, tried
from tsynd.utils.rng import generator_for
from tsynd.utils.validation import check_kind


@dataclass(frozen=True)
class Predictions:
    """What a run says of images, one row an image, on the CPU.

    probabilities_BC: of the classifier itself, without dropout: those that `metrics.json` measures; of several labels an image
    one for each, and rows do not sum to one. information_B and
    entropy_B: mutual information and entropy of the mean prediction over posterior samples, in nats.
    """

    probabilities: Tensor
    mutual_information: Tensor
    entropy: Tensor


def predict(run: Run, images: Tensor, *, batch_size: int = 256) -> Predictions:
    """Classify images with a run's classifier, and say how unsure it is.

    The posterior's masks are drawn from the run's seed, anew at each call: the same images give the same numbers, alone or
    among others, and those of the run's own evaluation.

    Args:
        run: a finished run.
        images: (B, C, S, S), uint8, or float in [0, 1], of the run's channels and size.
        batch_size: images at a time; bounds the memory.

    Raises:
        TsyndError: for images of other channels, another size or values outside [0, 1].
    """
    check_kind(Run, run=run)
    classifier = run.classifier
    check_fitting("images", images, classifier)
    posterior = HeadDropout.of(classifier, run.recipe.samples, generator_for(run.config["seed"], "evaluation masks"))
    columns: list[tuple[Tensor, ...]] = []
    _, first_BCHW = next(batches(images, 8, run.device))
    with tried(classifier, first_BCHW), torch.no_grad(), frozen(classifier):
        for _, images_BCHW in batches(images, batch_size, run.device):
            log_probs_BKC = posterior(images_BCHW)
            logits_BC = logits_of(classifier, images_BCHW).double()
            probabilities_BC = logits_BC.sigmoid() if classifier.multi_label else logits_BC.softmax(dim=1)
            measured = (probabilities_BC, mutual_information(log_probs_BKC), predictive_entropy(log_probs_BKC))
            columns.append(tuple(column.cpu() for column in measured))
    return Predictions(*(torch.cat(column) for column in zip(*columns, strict=True)))


def write_predictions(path: Path, run: Run, data: str, *, batch_size: int = 256) -> int:
    """Predict a whole data set, folder or file, and write a CSV with one row an image; give back how many.

    Columns: `split` (empty where there is none), `image` (position in its split; for a folder the file's name in it),
    `label` and `label_name` (empty where unknown), `predicted` (class number) and `predicted_name`, `probability_0`, …,
    `mutual_information`, `entropy`. Of several labels an image the numbers of those that are present are joined by spaces and
    their names by semicolons; `none` where there are none; predicted are those whose probability is above .5.

    Args:
        path: the CSV; it appears whole or not at all.
        run: a finished run.
        data: as `tsynd.load` takes it; or any folder of images. There the class folder is the one
            that `load` would take. A data set's labels are known if its classes are among the run's; those of an `.npz`, which
            names no classes, are taken for the run's numbers. A name comes before a folder that is called the same. Images of
            another size are resized, as in training.
        batch_size: images at a time.

    Raises:
        TsyndError: when there are no images, one cannot be read, or they have other channels than the run's.
    """
    buffer, done = io.StringIO(), 0
    table = csv.writer(buffer, lineterminator="\n")
    classes = run.data.classes
    chances = [f"probability_{label}" for label in range(len(classes))]
    names = ["split", "image", "label", "label_name", "predicted", "predicted_name", *chances, "mutual_information", "entropy"]
    table.writerow(names)
    folder = Path(data).expanduser()
    for rows, images in (
        _from_folder(folder, run, batch_size) if folder.is_dir() and not is_name(data) else _from_data(data, run, batch_size)
    ):
        found = predict(run, images, batch_size=batch_size)
        for position, (split, image, label) in enumerate(rows):
            probabilities_C = found.probabilities[position]
            probabilities = probabilities_C.tolist()
            best = (probabilities_C > 0.5).long() if run.data.multi_label else probabilities_C.argmax()
            known = ["", ""] if label is None else [numbers_of(label), names_of(label, classes)]
            numbers = [*probabilities, float(found.mutual_information[position]), float(found.entropy[position])]
            table.writerow(
                [split, image, *known, numbers_of(best), names_of(best, classes), *(f"{number:.6f}" for number in numbers)]
            )
        done += len(rows)
    write_text(path, buffer.getvalue())
    return done


Row = tuple[str, int | str, Tensor | None]
"""Split, position or file name, label where it is known."""


def _from_data(name: str, run: Run, batch_size: int) -> Iterator[tuple[list[Row], Tensor]]:
    """Batches of a data set by name or file; labels count where its classes are the run's, or numbers."""
    data = load(name, size=run.data.size)
    if data.channels != run.data.channels:
        kinds = {1: "1 channel (grey)", 3: "3 (RGB)"}
        raise TsyndError(f"{name} has images of {kinds[data.channels]}, the run was trained on {kinds[run.data.channels]}")
    numbers = same_classes(data.classes, run.data.classes)
    if numbers is None and same_classes(data.classes, map(str, range(len(run.data.classes)))):
        numbers = list(range(len(data.classes)))  # of an .npz, which names no classes
    known = data.multi_label == run.data.multi_label and (not data.multi_label or numbers == list(range(len(run.data.classes))))
    for split in SPLITS:
        part = getattr(data, split)
        for start in range(0, len(part), batch_size):
            some = part[slice(start, start + batch_size)]
            labels: list[Any] = [None] * len(some)
            if known and numbers is not None:
                labels = list(some.labels if data.multi_label else torch.tensor(numbers)[some.labels])
            yield [(split, start + offset, label) for offset, label in enumerate(labels)], some.images


def _from_folder(folder: Path, run: Run, batch_size: int) -> Iterator[tuple[list[Row], Tensor]]:
    """Batches of whatever images lie in a folder, in the order of their names."""
    files = [file.relative_to(folder) for file in walk(folder) if file.suffix.lower() in ENDINGS]
    splits = {path.name: split for split, path in split_folders(folder).items()}
    numbers = {class_key(name): number for number, name in enumerate(run.data.classes)}
    folders = [class_folder(file.parts, file.parts[0] in splits) for file in files]
    sorted_by_class = any(name is not None and class_key(name) in numbers for name in folders)
    if not files:
        raise TsyndError(f"{folder} has no images (files that end in {', '.join(ENDINGS)})")
    for start in range(0, len(files), batch_size):
        rows: list[Row] = []
        pixels = []
        for file, above in zip(files[start : start + batch_size], folders[start : start + batch_size], strict=True):
            with quiet_pillow():
                image_CHW = fit(read_picture(folder / file), run.data.size)
            if len(image_CHW) > run.data.channels:
                raise TsyndError(f"{folder / file} is an RGB image with colour, the run was trained on grey ones (1 channel)")
            pixels.append(np.broadcast_to(image_CHW, (run.data.channels, *image_CHW.shape[1:])))
            # The class folder is where `load` has it; only where no such folder is a class, the set lies further down.
            names = [above or ""] if sorted_by_class else file.parts[:-1]
            found = [numbers[class_key(name)] for name in names if class_key(name) in numbers and not run.data.multi_label]
            split = splits.get(file.parts[0], "") if len(file.parts) > 1 else ""
            rows.append((split, file.as_posix(), torch.tensor(found[0]) if found else None))
        yield rows, torch.from_numpy(np.stack(pixels))
