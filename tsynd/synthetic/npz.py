"""A set of synthetic images as one `.npz` file in MedMNIST layout."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tsynd.errors import TsyndError
from tsynd.targeting.synthesis import COLUMNS, Synthesis
from tsynd.utils.atomic_files import write_npz
from tsynd.utils.environment import METHOD_VERSION
from tsynd.utils.safe_parsing import open_npz

MEASURES = ("mutual_information_before", "mutual_information_after", "log_prob_fall", "latent_displacement", "pixel_displacement")
"""The columns of a synthesis that are measures of its images."""
_PICTURES = {"images": "train_images", "reconstructions": "reconstructions"}
# The columns of a synthesis, each under its own name; only the sources are `source_index` in the file, as everywhere on disk.
_COLUMNS = {name: {"sources": "source_index"}.get(name, name) for name in COLUMNS if name not in (*_PICTURES, "labels")}
_ORIGIN = ("data_name", "data_fingerprint")
_SETTINGS = {"radius": float, "steps": int, "objective": str, "space": str, "minimise": bool}


def save_synthesis(path: Path, synthesis: Synthesis, origin: tuple[str, str] | None = None) -> None:
    """Write a synthesis as `.npz` in MedMNIST layout, with where each image comes from beside it.

    `train_images` is uint8 (N, H, W) or (N, H, W, 3) and `train_labels` int64 (N, 1), of several labels an image (N, L); `val_*`
    and `test_*` are there and empty, since nobody should validate on synthetic images. `reconstructions` is what the searches
    started from; the other arrays are the columns of `Synthesis`, (N,), then radius, steps, seed and method_version. `origin`,
    if known, is the name and the fingerprint of the data that the sources are from: `data_name` and `data_fingerprint`.
    """
    pictures = {key: to_pixels(getattr(synthesis, name)) for name, key in _PICTURES.items()}
    labels = synthesis.labels.cpu().reshape(len(synthesis), -1).numpy()
    empty = {
        f"{split}_{kind}": array[:0]
        for split in ("val", "test")
        for kind, array in (("images", pictures["train_images"]), ("labels", labels))
    }
    columns = {key: getattr(synthesis, name).cpu().numpy() for name, key in _COLUMNS.items()}
    settings = {name: np.array(getattr(synthesis, name)) for name in _SETTINGS}
    settings["decode"] = np.array(synthesis.decode)
    if synthesis.displacement is not None:
        settings["displacement"] = np.array(synthesis.displacement)
    settings["method_version"] = np.array(METHOD_VERSION)
    seed = {} if synthesis.seed is None else {"seed": np.uint64(synthesis.seed)}
    named = {} if origin is None else {key: np.array(value) for key, value in zip(_ORIGIN, origin, strict=True)}
    write_npz(path, **pictures, train_labels=labels, **empty, **columns, **settings, **seed, **named)


def load_synthesis(path: Path) -> Synthesis | None:
    """Read what `save_synthesis` wrote, or None when there is no such file; TsyndError when it is damaged."""
    if not path.exists():
        return None
    try:
        with open_npz(path) as arrays:
            pictures: dict[str, Any] = {name: _from_file(arrays[key]) for name, key in _PICTURES.items()}
            labels_B = torch.from_numpy(_whole_numbers("train_labels", arrays["train_labels"]))
            labels_B = labels_B.squeeze(1) if labels_B.ndim == 2 and labels_B.shape[1] == 1 else labels_B
            columns: dict[str, Any] = {name: torch.from_numpy(_column(key, arrays[key])) for name, key in _COLUMNS.items()}
            settings: dict[str, Any] = {name: kind(arrays[name].item()) for name, kind in _SETTINGS.items()}
            seed = int(arrays["seed"]) if "seed" in arrays else None
            settings["decode"] = str(arrays["decode"]) if "decode" in arrays else "image"
            if "displacement" in arrays:
                settings["displacement"] = float(arrays["displacement"])
    except Exception as error:  # numpy raises a different one for each kind of damage
        raise TsyndError(f"{path} is not a whole file of synthetic images: {error}") from error
    if lengths := {len(values) for values in (*pictures.values(), labels_B, *columns.values())} - {len(labels_B)}:
        raise TsyndError(f"{path}: its arrays must have one row for each of {len(labels_B)} images, found {sorted(lengths)}")
    for one, other in (("images", "reconstructions"), ("start_latents", "latents")):
        first, second = ((pictures | columns)[name].shape for name in (one, other))
        if first != second:
            raise TsyndError(f"{path}: {one} and {other} must have the same shape, found {tuple(first)} and {tuple(second)}")
    return Synthesis(**pictures, labels=labels_B, **columns, **settings, seed=seed)


def load_origin(path: Path) -> tuple[str, str] | None:
    """Name and fingerprint of the data that `save_synthesis` noted; None where it noted none, TsyndError when it is damaged."""
    try:
        with open_npz(path) as arrays:
            name, fingerprint = (str(arrays[key]) if key in arrays else None for key in _ORIGIN)
    except Exception as error:
        raise TsyndError(f"{path} is not a whole file of synthetic images: {error}") from error
    return None if name is None or fingerprint is None else (name, fingerprint)


def to_pixels(images_BCHW: torch.Tensor) -> np.ndarray:
    """Images in [0, 1] as 8 bits: (N, H, W), or (N, H, W, 3) with colour."""
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
    """A column of a synthesis: whole numbers from 0 on, or finite numbers."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TsyndError(f"{name} must be finite, found NaN or infinities")
    return _whole_numbers(name, array) if name in ("source_index", "steps_taken") else array


def _whole_numbers(name: str, array: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 on, (N,) or (N, L)."""
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2) or (array.size and array.min() < 0):
        raise TsyndError(f"{name} must be whole numbers >= 0, (N,) or (N, L), got {array.dtype} of {array.shape}")
    return array.astype(np.int64)
