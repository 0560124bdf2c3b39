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
from tsynd.utils.eval_mode import refuse_lazy
from tsynd.utils.rules import validated
from tsynd.utils.validation import check_kind

Network = TypeVar("Network", bound=nn.Module)

# Where training scripts put the weights in a checkpoint, the first of them first.
KEYS = ("state_dict", "model_state_dict", "model", "weights", "net", "network", "state_dict_ema", "model_ema", "ema")
# What wrappers (DataParallel, torch.compile, FSDP, checkpointing, averages of weights) put into names, anywhere and in any order.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
COUNTER = "num_batches_tracked"  # of batch norm: absent in files of old versions, and used only where momentum is None


@validated
def load_weights(network: Network, path: str | PathLike[str]) -> Network:
    """Load a file's weights into a network of yours, in place, and give it back in eval mode.

    A checkpoint may hold the weights under a key (`state_dict`, `model`, …). What wrappers put into names is taken out, in the
    file and in the network alike: `module` of DataParallel, `_orig_mod` of torch.compile, in any order and anywhere. So is what
    all names of the file begin with, such as `model.` of Lightning. Of tied weights one is enough.

    Args:
        network: of the architecture that the weights are from; every weight and buffer must be in the file, but for the
            counters of batch norm.
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
    refuse_lazy(network)
    file = Path(fspath(path)).expanduser()
    wanted = network.state_dict()
    given, misfit = _renamed(_named(_read(file), file), wanted), f"{file} does not fit {type(network).__name__}"
    places = {name: (each.device, each.data_ptr(), each.shape, each.stride()) for name, each in wanted.items() if each.numel()}
    held: dict[Any, str] = {}
    for name in given:
        one = held.setdefault(places.get(name, name), name)
        if given[one].shape == given[name].shape and not torch.equal(given[one], given[name]):
            raise TsyndError(f"{misfit}: {one} and {name} are one tensor there, and differ here")
    absent = [name for name in wanted if name not in given and not name.endswith(COUNTER)]
    findings = {"missing in the file": [name for name in absent if places.get(name, 0) not in held]}
    findings |= {"unknown to the network": [name for name in given if name not in wanted]}
    if problems := [f"{what}: {_some(names)}" for what, names in findings.items() if names]:
        raise TsyndError(f"{misfit}: {'; '.join(problems)}")
    shapes = [(name, tuple(given[name].shape), tuple(wanted[name].shape)) for name in given]
    if wrong := [f"{name} is {found} in the file, {needed} in the network" for name, found, needed in shapes if found != needed]:
        raise TsyndError(f"{misfit}: {_some(wrong)}")
    weights = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    if odd := [name for name, tensor in given.items() if not _ordinary(tensor, wanted[name], name in weights)]:
        raise TsyndError(f"{file} must hold plain tensors of finite real numbers, found NaN or another kind in {_some(odd)}")
    network.load_state_dict(given, strict=False)  # what is missing is tied to what is there, or a counter
    return network.eval()


def _ordinary(tensor: Tensor, wanted: Tensor, weight: bool) -> bool:
    """Whether a tensor is dense, on a device, of the numbers that are wanted, without NaN, and finite where it is a weight."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_complex() > wanted.is_complex():
        return False
    if weight and wanted.is_floating_point() > tensor.is_floating_point():
        return False  # whole numbers: quantised, and their scale is not here
    found = tensor.to(wanted.dtype)  # a number may overflow there
    return not bool(found.isnan().any()) and not (weight and bool(found.isinf().any()))  # masks hold infinities


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
    while isinstance(content, Mapping):
        inside = [key for key, value in content.items() if isinstance(value, Mapping) and value]
        named = [key for key in KEYS if key in inside]
        if not named and (len(inside) != 1 or any(isinstance(value, Tensor) for value in content.values())):
            break
        content = content[named[0] if named else inside[0]]
    if not isinstance(content, Mapping) or not content:
        raise TsyndError(f"{file} must hold weights by name (a state_dict), found {type(content).__name__}")
    if others := [str(name) for name, value in content.items() if not (isinstance(name, str) and isinstance(value, Tensor))]:
        raise TsyndError(f"{file} must hold tensors by name (a state_dict), found also {_some(others)}")
    return dict(content)


def _renamed(given: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors by the network's names, where both agree but for wrappers and for what all names begin with."""
    own = {_unwrapped(name): name for name in wanted}
    plain = {_unwrapped(name): tensor for name, tensor in given.items() if name not in ("n_averaged", "module.n_averaged")}
    if len(own) < len(wanted) or len(plain) < len(given) - 1:  # a part of the network is called like a wrapper
        return given
    while not set(plain) & set(own) and plain and len({name.partition(".")[0] for name in plain}) == 1:
        if any("." not in name for name in plain):
            break
        plain = {name.partition(".")[2]: tensor for name, tensor in plain.items()}
    return {own.get(name, name): tensor for name, tensor in plain.items()}


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
