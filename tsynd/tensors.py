"""Tensors in files and what identifies them: safetensors with JSON in the header, no pickle, and a hash of weights."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tsynd.errors import TsyndError
from tsynd.files import whole
from tsynd.plain import from_json

# Training images that would take more bytes than this as floats are kept in 8 bits.
LARGE = 2 * 10**9


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors as safetensors, whole or not at all, with notes as JSON in the file's header."""
    copies = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    with whole(path) as temporary:  # copies, since the format refuses tensors that share memory
        temporary.write_bytes(save(copies, {"tsynd": json.dumps(notes)}))  # not save_file: a full disk is not its OSError


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote: the tensors, on the CPU, and the notes.

    Raises:
        TsyndError: when the file is missing, damaged or not from `write_tensors`; `kind` says what it should have been.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = from_json((file.metadata() or {})["tsynd"])
            if not isinstance(notes, dict):
                raise ValueError(f"its notes are {type(notes).__name__}, not `key: value` pairs")
            return {name: file.get_tensor(name) for name in file.keys()}, notes  # noqa: SIM118 (not a dict)
    except FileNotFoundError as error:
        raise TsyndError(f"{path} is missing") from error
    except Exception as error:  # SafetensorError, OSError, KeyError, ValueError, and what torch says of a type it does not know
        raise TsyndError(f"{path} is not a {kind} that tsynd wrote, or is damaged: {error}") from error


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """A short hash of names, types, shapes and bytes, in order: equal only for equal tensors (blake2b, 32 hex digits).

    The device and the layout in memory do not count.

    >>> one, other = {"a": torch.zeros(2)}, {"a": torch.zeros(2, dtype=torch.int32)}
    >>> tensors_hash(one) == tensors_hash({"a": torch.zeros(2)}), tensors_hash(one) == tensors_hash(other)
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)  # not copied: it may be large
    return digest.hexdigest()


def as_float(images: Tensor) -> Tensor:
    """Images in [0, 1]: those of 8 bits are divided by 255, others are as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def for_training(images: Tensor, device: torch.device | None) -> Tensor:
    """8-bit images on a device, in [0, 1]; where that would take more than `LARGE` bytes, as they are, a quarter as large.

    Training takes either, and converts the latter batch by batch.
    """
    moved = images.to(device)
    return moved if images.numel() * 4 > LARGE else as_float(moved)


def weights_hash(network: nn.Module) -> str:
    """A short hash of a network's `state_dict`: the same seed must give the same one (see `tensors_hash`)."""
    return tensors_hash(network.state_dict())
