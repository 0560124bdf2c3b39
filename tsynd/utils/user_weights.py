"""Weights that users already have: safetensors, or PyTorch files read without running anything in them."""

import pickle
import warnings
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tsynd.errors import DataUnavailable, TsyndError
from tsynd.utils.validation import check_kind, check_path

Network = TypeVar("Network", bound=nn.Module)

# Where training scripts put the weights in a checkpoint, and what wrappers put before each name.
KEYS = ("state_dict", "model_state_dict", "model", "weights")
PREFIXES = ("module.", "_orig_mod.", "model.")


def load_weights(network: Network, path: str | PathLike[str]) -> Network:
    """Load a file's weights into a network of yours, in place, and give it back in eval mode.

    A checkpoint may hold the weights under `state_dict`, `model_state_dict`, `model` or `weights`; a prefix that all names
    share (`module.` of DataParallel, `_orig_mod.` of torch.compile, `model.` of Lightning) is taken off.

    Args:
        network: of the architecture that the weights are from; every weight and buffer must be in the file.
        path: `.safetensors`, or `.pt`, `.pth`, `.ckpt` as `torch.save` writes them. These are opened with
            `weights_only=True`: a file that holds more than tensors and plain values is refused, since opening a pickle can
            run anything.

    Raises:
        TsyndError: when the file cannot be read safely, or names or shapes do not fit: the message names them. The network
            is then as it was.
        DataUnavailable: when there is no such file.

    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> path = Path(tempfile.mkdtemp()) / "mine.safetensors"
    >>> save_file(nn.Linear(2, 3).state_dict(), path)
    >>> load_weights(nn.Linear(2, 3), path).training
    False
    >>> load_weights(nn.Linear(2, 4), path)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    tsynd.errors.TsyndError: ... weight is (3, 2) in the file, (4, 2) in the network
    """
    check_kind(nn.Module, network=network)
    check_path(path=path)
    file = Path(fspath(path)).expanduser()
    given, wanted = _named(_read(file), file), network.state_dict()
    given = _without_prefix(given, set(wanted))
    findings = {
        "missing in the file": [name for name in wanted if name not in given],
        "unknown to the network": [name for name in given if name not in wanted],
    }
    if problems := [f"{what}: {_some(names)}" for what, names in findings.items() if names]:
        raise TsyndError(f"{file} does not fit {type(network).__name__}: {'; '.join(problems)}")
    shapes = [(name, tuple(given[name].shape), tuple(tensor.shape)) for name, tensor in wanted.items()]
    if wrong := [f"{name} is {found} in the file, {needed} in the network" for name, found, needed in shapes if found != needed]:
        raise TsyndError(f"{file} does not fit {type(network).__name__}: {_some(wrong)}")
    odd = [name for name, tensor in given.items() if not _ordinary(tensor, wanted[name])]
    if odd:
        raise TsyndError(f"{file} must hold plain tensors of real numbers, found NaN or another kind in {_some(odd)}")
    network.load_state_dict(given)
    return network.eval()


def _ordinary(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor is dense, on a device, of the numbers that are wanted (complex or not), and without NaN."""
    dense = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    return dense and tensor.is_complex() <= wanted.is_complex() and not bool(tensor.to(wanted.dtype).isnan().any())


def _read(file: Path) -> Any:
    """What the file holds, on the CPU."""
    if not file.is_file():
        raise DataUnavailable(f"no such file: {file}")
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except Exception as error:  # SafetensorError, OSError, and what torch says of a type that it does not know
            raise TsyndError(f"{file} is damaged, or no safetensors file: {error}") from error
    if file.suffix not in (".pt", ".pth", ".ckpt", ".bin"):
        raise TsyndError(f"weights must be a .safetensors, .pt, .pth, .ckpt or .bin file, got {file}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on pickles of another protocol, which are then refused
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TsyndError(
            f"{file} holds more than weights (a pickle that could run code) or is damaged, so it is not opened: "
            "save network.state_dict(), best as .safetensors"
        ) from error
    except Exception as error:  # torch raises a different one for each kind of damage
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TsyndError(f"{file} is damaged, or no file that torch.save wrote: {reason}") from error


def _named(content: Any, file: Path) -> dict[str, Tensor]:
    """The tensors by name, wherever a checkpoint has them."""
    for key in KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise TsyndError(f"{file} must hold weights by name (a state_dict), found {type(content).__name__}")
    if others := [str(name) for name, value in content.items() if not (isinstance(name, str) and isinstance(value, Tensor))]:
        raise TsyndError(f"{file} must hold tensors by name (a state_dict), found also {_some(others)}")
    return dict(content)


def _without_prefix(given: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if not set(given) <= wanted and all(name.startswith(prefix) for name in given):
            given = {name.removeprefix(prefix): tensor for name, tensor in given.items()}
    return given


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
