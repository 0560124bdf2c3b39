"""A run's folder: what is in it, when it may be written to, and how a finished stage is found again."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tsynd.arrays import open_npz
from tsynd.config import METHOD_VERSION
from tsynd.errors import TsyndError, differences
from tsynd.files import write_json, write_npz
from tsynd.plain import from_json
from tsynd.targeting import Synthesis
from tsynd.tensors import read_tensors, write_tensors

CONFIG, AUTOENCODER, CLASSIFIER = "config.json", "autoencoder.safetensors", "classifier.safetensors"
SYNTHETIC, METRICS, REPORT, CHECKPOINT = "synthetic.npz", "metrics.json", "report.html", "checkpoint.safetensors"
FILES = (METRICS, REPORT, CHECKPOINT, CLASSIFIER, SYNTHETIC, AUTOENCODER, CONFIG)

_PICTURES = {"images_BCHW": "train_images", "reconstructions_BCHW": "reconstructions"}
_COLUMNS = {
    "source_B": "source_index",
    "information_before_B": "mutual_information_before",
    "information_after_B": "mutual_information_after",
    "objective_before_B": "objective_before",
    "objective_after_B": "objective_after",
    "log_prob_fall_B": "log_prob_fall",
    "latent_displacement_B": "latent_displacement",
    "pixel_displacement_B": "pixel_displacement",
    "start_latents_BD": "start_latents",
    "latents_BD": "latents",
    "steps_B": "steps_taken",
    "stuck_B": "stuck",
}
_ORIGIN = ("data_name", "data_fingerprint")
_SETTINGS = {"radius": float, "steps": int, "objective": str, "space": str, "minimise": bool}


def open_folder(folder: Path, config: dict[str, Any], force: bool) -> None:
    """Make a run's folder ready: new, or left unfinished by a run of the same configuration.

    A finished run, or one of another configuration, is replaced with `force` only; files that are not a run's own
    are never touched.

    Raises:
        TsyndError: when the folder may not be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise TsyndError(f"--out {folder} is a file: name a folder")
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


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        TsyndError: when the file is missing or is not a JSON object.
    """
    try:
        value = from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TsyndError(f"{path} is missing: {path.parent} is not a run's folder, or the run did not get that far") from error
    except (OSError, ValueError) as error:
        raise TsyndError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise TsyndError(f"{path} must hold a JSON object, found {type(value).__name__}")
    return value


def save_network(path: Path, network: nn.Module, notes: dict[str, Any]) -> None:
    """Write a network's weights as safetensors, with what must be known of it as JSON in the file's header."""
    write_tensors(path, network.state_dict(), notes)


def load_notes(path: Path, *needed: str) -> dict[str, Any] | None:
    """The notes that `save_network` wrote, or None when there is no such file.

    Raises:
        TsyndError: when the file is damaged or lacks one of the notes that are needed.
    """
    if not path.exists():
        return None
    notes = read_tensors(path, "network")[1]
    if missing := [name for name in needed if name not in notes]:
        raise TsyndError(f"{path} is not the network of a run: its notes lack {', '.join(missing)}")
    return notes


def load_weights(path: Path, network: nn.Module) -> None:
    """Load the weights of `path` into a network of the same architecture.

    Raises:
        TsyndError: when the file is damaged or holds another network.
    """
    try:
        network.load_state_dict(read_tensors(path, "network")[0])
    except RuntimeError as error:
        raise TsyndError(f"{path} holds the weights of another network: {str(error).splitlines()[0]}") from error
    if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        raise TsyndError(f"{path} is damaged: it holds weights that are not finite numbers")
    network.eval()


def save_synthesis(path: Path, synthesis: Synthesis, origin: tuple[str, str] | None = None) -> None:
    """Write a synthesis as `.npz` in MedMNIST layout, with where each image comes from beside it.

    `train_images` is uint8 (N, H, W) or (N, H, W, 3) and `train_labels` int64 (N, 1), of several labels an
    image (N, L); `val_*` and `test_*` are there and
    empty, since nobody should validate on synthetic images. `reconstructions` is what the searches started from; the other
    arrays are the columns of `Synthesis`, (N,), then radius, steps, seed and method_version. `origin`, if known, is the name
    and the fingerprint of the data that the sources are from: `data_name` and `data_fingerprint`.
    """
    pictures = {key: _to_file(getattr(synthesis, name)) for name, key in _PICTURES.items()}
    labels = synthesis.labels_B.cpu().reshape(len(synthesis), -1).numpy()
    empty = {
        f"{split}_{kind}": array[:0]
        for split in ("val", "test")
        for kind, array in (("images", pictures["train_images"]), ("labels", labels))
    }
    columns = {key: getattr(synthesis, name).cpu().numpy() for name, key in _COLUMNS.items()}
    settings = {name: np.array(getattr(synthesis, name)) for name in _SETTINGS}
    settings["method_version"] = np.array(METHOD_VERSION)
    seed = {} if synthesis.seed is None else {"seed": np.uint64(synthesis.seed)}
    named = {} if origin is None else {key: np.array(value) for key, value in zip(_ORIGIN, origin, strict=True)}
    write_npz(path, **pictures, train_labels=labels, **empty, **columns, **settings, **seed, **named)


def load_synthesis(path: Path) -> Synthesis | None:
    """Read what `save_synthesis` wrote, or None when there is no such file.

    Raises:
        TsyndError: when the file is damaged, or its arrays do not fit each other.
    """
    if not path.exists():
        return None
    try:
        with open_npz(path) as arrays:
            pictures: dict[str, Any] = {name: _from_file(arrays[key]) for name, key in _PICTURES.items()}
            labels_B = torch.from_numpy(_whole_numbers("train_labels", arrays["train_labels"]))
            labels_B = labels_B.squeeze(1) if labels_B.ndim == 2 and labels_B.shape[1] == 1 else labels_B
            columns: dict[str, Any] = {name: torch.from_numpy(_column(key, arrays[key])) for name, key in _COLUMNS.items()}
            settings: dict[str, Any] = {name: _single(name, arrays[name], kind) for name, kind in _SETTINGS.items()}
            seed = _single("seed", arrays["seed"], int) if "seed" in arrays else None
    except Exception as error:  # numpy raises a different one for each kind of damage
        raise TsyndError(f"{path} is not a whole file of synthetic images: {error}") from error
    if lengths := {len(values) for values in (*pictures.values(), labels_B, *columns.values())} - {len(labels_B)}:
        raise TsyndError(f"{path}: its arrays must have one row for each of {len(labels_B)} images, found {sorted(lengths)}")
    for one, other in (("images_BCHW", "reconstructions_BCHW"), ("start_latents_BD", "latents_BD")):
        first, second = ((pictures | columns)[name].shape for name in (one, other))
        if first != second:
            raise TsyndError(f"{path}: {one} and {other} must have the same shape, found {tuple(first)} and {tuple(second)}")
    return Synthesis(**pictures, labels_B=labels_B, **columns, **settings, seed=seed)


def load_origin(path: Path) -> tuple[str, str] | None:
    """Name and fingerprint of the data that `save_synthesis` noted; None where it noted none.

    Raises:
        TsyndError: when the file is damaged.
    """
    try:
        with open_npz(path) as arrays:
            name, fingerprint = (_single(key, arrays[key], str) if key in arrays else None for key in _ORIGIN)
    except Exception as error:
        raise TsyndError(f"{path} is not a whole file of synthetic images: {error}") from error
    return None if name is None or fingerprint is None else (name, fingerprint)


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the names of files whose content it identifies: a moved file is the same configuration."""
    skipped = ("synthetic", "review") if "synthetic_identity" in config else ()
    return {name: value for name, value in config.items() if name not in skipped}


def _to_file(images_BCHW: torch.Tensor) -> np.ndarray:
    images = (images_BCHW * 255).round().to(torch.uint8).cpu().permute(0, 2, 3, 1).numpy()
    return images[..., 0] if images.shape[-1] == 1 else images


def _from_file(images: np.ndarray) -> torch.Tensor:
    if images.dtype != np.uint8:
        raise TsyndError(f"images must be 8-bit (uint8, 0 to 255), got {images.dtype}")
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))) or 0 in images.shape[1:]:
        raise TsyndError(f"images must be (N, H, W), grey, or (N, H, W, 3), RGB, got {images.shape}")
    tensor = torch.from_numpy(images).float() / 255
    return tensor.unsqueeze(1) if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)


def _column(name: str, array: np.ndarray) -> np.ndarray:
    """A column of a synthesis as it is in memory: latents (N, D), all others (N,); counts, truth values or finite numbers."""
    dimensions, kind = (2 if "latents" in name else 1), {"source_index": "iu", "steps_taken": "iu", "stuck": "b"}.get(name, "f")
    if array.ndim != dimensions or array.dtype.kind not in kind:
        wanted = {"iu": "whole numbers", "b": "true or false", "f": "numbers"}[kind]
        raise TsyndError(f"{name} must be {wanted} in {dimensions} dimension(s), got {array.dtype} of {array.shape}")
    if kind == "f" and not np.isfinite(array).all():
        raise TsyndError(f"{name} must be finite, found NaN or infinities")
    return _whole_numbers(name, array) if kind == "iu" else array


def _whole_numbers(name: str, array: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 on that 64 bits hold, (N,) or (N, L)."""
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise TsyndError(f"{name} must be whole numbers, (N,) or (N, L), got {array.dtype} of {array.shape}")
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < 2**63:
        raise TsyndError(f"{name} must be at least 0, found {array.min()} to {array.max()}")
    return array.astype(np.int64)


def _single(name: str, array: np.ndarray, kind: type) -> Any:
    """One value of a type: a text, a truth value, a whole number from 0 on, or a finite number from 0 on."""
    kinds = {str: "U", bool: "b", int: "iu", float: "fiu"}[kind]
    if array.ndim or array.dtype.kind not in kinds:
        raise TsyndError(f"{name} must be one value of type {kind.__name__}, got {array.dtype} of {array.shape}")
    if kind in (int, float) and not (np.isfinite(array) and array >= 0):
        raise TsyndError(f"{name} must be >= 0, got {array}")
    return kind(array)
