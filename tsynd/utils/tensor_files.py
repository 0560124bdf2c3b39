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
from tsynd.utils.atomic_files import atomic_write
from tsynd.utils.safe_parsing import from_json


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors as safetensors, whole or not at all, with notes as JSON in the file's header."""
    copies = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:  # copies, since the format refuses tensors that share memory
        temporary.write_bytes(save(copies, {"tsynd": json.dumps(notes)}))  # not save_file: a full disk is not its OSError


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote: the tensors, on the CPU, and the notes.

    TsyndError when the file is missing, damaged or not from `write_tensors`; `kind` says what it should have been.
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


def weights_hash(network: nn.Module) -> str:
    """A short hash of a network's `state_dict`: the same seed must give the same one (see `tensors_hash`)."""
    return tensors_hash(network.state_dict())


def save_network(path: Path, network: nn.Module, notes: dict[str, Any]) -> None:
    """Write a network's weights as safetensors, with what must be known of it as JSON in the file's header."""
    write_tensors(path, network.state_dict(), notes)


def load_notes(path: Path, *needed: str) -> dict[str, Any] | None:
    """The notes that `save_network` wrote, or None without a file; TsyndError when it is damaged or lacks one that is needed."""
    if not path.exists():
        return None
    notes = read_tensors(path, "network")[1]
    if missing := [name for name in needed if name not in notes]:
        raise TsyndError(f"{path} is not the network of a run: its notes lack {', '.join(missing)}")
    return notes


def load_network(path: Path, network: nn.Module) -> None:
    """Load the weights of `path` into a network of the same architecture; TsyndError when it is damaged or holds another."""
    try:
        network.load_state_dict(read_tensors(path, "network")[0])
    except RuntimeError as error:
        raise TsyndError(f"{path} holds the weights of another network: {str(error).splitlines()[0]}") from error
    if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        raise TsyndError(f"{path} is damaged: it holds weights that are not finite numbers")
    network.eval()
