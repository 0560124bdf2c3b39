"""Using a trained run: probabilities and uncertainty for images, in memory or as a table with one row an image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tsynd.classification import check_fitting
from tsynd.data import Dataset, load
from tsynd.data.dataset import SPLITS
from tsynd.data.image_folder.decode_cache import decode_for
from tsynd.data.image_folder.image_file import NO_IMAGES, is_image
from tsynd.data.image_folder.listing import find_unsorted
from tsynd.data.labels import class_key, names_of, numbers_of, same_classes
from tsynd.data.loading import is_images
from tsynd.data.remarks import passed_over
from tsynd.errors import TsyndError
from tsynd.runs.run import Run
from tsynd.uncertainty import mutual_information, predictive_entropy
from tsynd.utils.atomic_files import write_csv
from tsynd.utils.batching import batches
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_trial import logits_of, tried
from tsynd.utils.progress import Progress, Step, silent
from tsynd.utils.rules import validated


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


@validated
def predict(run: Run, images: Tensor, *, batch_size: int = 256) -> Predictions:
    """Classify images with a run's classifier, and say how unsure it is.

    The posterior is `run.posterior()`: the same images give the same numbers, alone or among others, and those of the run's
    own evaluation.

    Args:
        run: a finished run.
        images: (B, C, S, S), uint8, or float in [0, 1], of the run's channels and size.
        batch_size: images at a time; bounds the memory.

    Raises:
        TsyndError: for images of other channels, another size or values outside [0, 1].
    """
    classifier, posterior, columns = run.classifier, run.posterior(), list[tuple[Tensor, ...]]()
    check_fitting("images", images, classifier)
    _, first_BCHW = next(batches(images, 8, run.device))
    with tried(classifier, first_BCHW), torch.no_grad(), frozen(classifier):
        for _, images_BCHW in batches(images, batch_size, run.device):
            log_probs_BKC = posterior(images_BCHW)
            logits_BC = logits_of(classifier, images_BCHW).double()
            probabilities_BC = logits_BC.sigmoid() if classifier.multi_label else logits_BC.softmax(dim=1)
            measured = (probabilities_BC, mutual_information(log_probs_BKC), predictive_entropy(log_probs_BKC))
            columns.append(tuple(column.cpu() for column in measured))
    return Predictions(*(torch.cat(column) for column in zip(*columns, strict=True)))


def write_predictions(path: Path, run: Run, data: str, *, batch_size: int = 256, progress: Progress | None = None) -> int:
    """Predict a whole data set, a folder or one image file, and write a CSV with one row an image; give back how many.

    Columns: `image` (the file's name in its folder; for data without files the position in the split), `split` and `group`
    (empty where there is none), `label` and `label_name` (empty where unknown), `predicted` (class number) and
    `predicted_name`, `probability_CLASS` for each class by its name, `mutual_information` and `entropy` in nats. Of several
    labels an image the numbers of those that are present are joined by spaces and their names by semicolons; `none` where
    there are none; predicted are those whose probability is above 0.5.

    Args:
        path: the CSV; it appears whole or not at all.
        run: a finished run.
        data: as `tsynd.load` takes it, or any folder of images, or one image file. In a folder the label is the name of the
            first folder below the splits, if that is one of the run's classes. A data set's labels are known if its classes
            are among the run's; those of an `.npz`, which names no classes, are taken for the run's numbers. Images of another
            size are resized, as in training. For the run's own data, splits are those of the run.
        batch_size: images at a time.
        progress: called at the start, and with notes, such as how many files are passed over.

    Raises:
        TsyndError: when there are no images, one cannot be read, or they have other channels than the run's.
    """
    place, say = Path(data).expanduser(), progress or silent
    say(Step("predict", text=data))
    if data == run.config["data"]:
        parts: Iterator[tuple[list[Row], Tensor]] = _from_data(run.data, run, batch_size)
    elif is_images(data) or (place.is_file() and is_image(place)):
        parts = _from_files(place, run, batch_size, say)
    else:
        dataset = load(data, size=run.data.size)
        for text in dataset.notes:
            say(Step("note", text=text))
        parts = _from_data(dataset, run, batch_size)
    return _write(path, run, parts, batch_size)


def write_evaluated(path: Path, run: Run, *, batch_size: int = 256) -> int:
    """Write the predictions for each image of the split that a run was evaluated on, as `write_predictions` does."""
    return _write(path, run, _from_data(run.data, run, batch_size, (run.metrics["split"],)), batch_size)


def write_splits(path: Path, run: Run) -> None:
    """Write which image went where: `image`, `split`, `group`, `label_name`, and `trained` (1 for those trained on)."""
    trained = set(run.chosen.tolist())
    rows: list[list[Any]] = [["image", "split", "group", "label_name", "trained"]]
    for split in SPLITS:
        for position, label in enumerate(getattr(run.data, split).labels):
            name, group = run.data.place_of(split, position)
            rows.append([name, split, group, names_of(label, run.data.classes), int(split == "train" and position in trained)])
    write_csv(path, rows)


Row = tuple[str, str, str, Tensor | None]
"""File name or position, split, group, label where it is known."""


def _write(path: Path, run: Run, parts: Iterator[tuple[list[Row], Tensor]], batch_size: int) -> int:
    classes = run.data.classes
    chances = [f"probability_{name}" for name in classes]
    names = ["image", "split", "group", "label", "label_name", "predicted", "predicted_name"]
    table: list[list[Any]] = [[*names, *chances, "mutual_information", "entropy"]]
    for rows, images in parts:
        found = predict(run, images, batch_size=batch_size)
        for position, (*place, label) in enumerate(rows):
            probabilities_C = found.probabilities[position]
            best = (probabilities_C > 0.5).long() if run.data.multi_label else probabilities_C.argmax()
            known = ["", ""] if label is None else [numbers_of(label), names_of(label, classes)]
            numbers = [*probabilities_C.tolist(), float(found.mutual_information[position]), float(found.entropy[position])]
            table.append([*place, *known, numbers_of(best), names_of(best, classes), *(f"{number:.7g}" for number in numbers)])
    write_csv(path, table)
    return len(table) - 1


def _from_data(data: Dataset, run: Run, batch_size: int, splits: tuple[str, ...] = SPLITS) -> Iterator[tuple[list[Row], Tensor]]:
    """Batches of a data set; labels count where its classes are the run's, or numbers."""
    if data.channels != run.data.channels:
        kinds = {1: "1 channel (grey)", 3: "3 (RGB)"}
        raise TsyndError(f"{data.name} has images of {kinds[data.channels]}, the run was trained on {kinds[run.data.channels]}")
    numbers = same_classes(data.classes, run.data.classes)
    if numbers is None and same_classes(data.classes, map(str, range(len(run.data.classes)))):
        numbers = list(range(len(data.classes)))  # of an .npz, which names no classes
    known = data.multi_label == run.data.multi_label and (not data.multi_label or numbers == list(range(len(run.data.classes))))
    for split in splits:
        part = getattr(data, split)
        for start in range(0, len(part), batch_size):
            some = part[slice(start, start + batch_size)]
            places = [data.place_of(split, start + offset) for offset in range(len(some))]
            labels: list[Any] = [None] * len(some)
            if known and numbers is not None:
                labels = list(some.labels if data.multi_label else torch.tensor(numbers)[some.labels])
            yield [(name, split, group, label) for (name, group), label in zip(places, labels, strict=True)], some.images


def _from_files(place: Path, run: Run, batch_size: int, say: Progress) -> Iterator[tuple[list[Row], Tensor]]:
    """Batches of one image file, of those that a CSV names, or of whatever lies in a folder, in the order of their names."""
    listing = find_unsorted(place, tuple(run.config.get("ignore", ())))
    for remark in passed_over(listing):
        say(Step("note", text=remark.text))
    classes = {class_key(name): number for number, name in enumerate(run.data.classes)}
    sorted_by_class = any(class_key(item.label) in classes for item in listing.items)
    if not listing.items:
        raise TsyndError(f"{place} has {NO_IMAGES}")
    files, others, crop = [item.file for item in listing.items], "the run was trained on grey ones", run.config.get("crop", False)
    images = decode_for(files, run.data.channels, run.data.size, others, crop=crop)
    for start in range(0, len(listing.items), batch_size):
        rows = list[Row]()
        for item in listing.items[start : start + batch_size]:
            # The class folder is where `load` has it; only where no such folder is a class, the set lies further down.
            names = [item.label] if sorted_by_class else Path(item.name).parts[:-1]
            found = [classes[class_key(name)] for name in names if class_key(name) in classes and not run.data.multi_label]
            label = torch.tensor(found[0]) if found else None
            rows.append((item.name, item.split or "", item.group or "", label))
        yield rows, torch.from_numpy(images[start : start + batch_size].copy())
