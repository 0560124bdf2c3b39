"""Checkpoints: the whole state of a training in one file, whole or not at all, so that it goes on as if never stopped."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tsynd.errors import TsyndError, differences
from tsynd.utils.rules import validated
from tsynd.utils.tensor_files import read_tensors, tensors_hash, write_tensors
from tsynd.utils.validation import check_kind

Tree = dict[str, Any]
"""A tree of dicts, lists, tensors and JSON values."""


@validated
def save_checkpoint(path: str | Path, state: Tree, belongs: dict[str, Any]) -> None:
    """Write a state as safetensors (its tensors) with JSON in the header (the rest), replacing an earlier one.

    belongs: what the state belongs to, JSON values by name: `load_checkpoint` compares them. Tuples come back as lists.
    """
    check_kind(dict, state=state, belongs=belongs)
    tensors: dict[str, Tensor] = {}
    tree = _without_tensors(state, "", tensors)
    write_tensors(Path(path), tensors, {"belongs": belongs, "tree": tree, "seal": _seal(belongs, tree, tensors)})


@validated
def load_checkpoint(path: str | Path, belongs: dict[str, Any]) -> Tree:
    """Read what `save_checkpoint` wrote, if no bit is damaged and it belongs to this training; tensors are on the CPU."""
    tensors, notes = read_tensors(Path(path), "checkpoint")
    if notes.get("seal") != _seal(notes.get("belongs"), notes.get("tree"), tensors):
        raise TsyndError(f"{path} is damaged: its content does not fit its checksum; delete it to train from the start")
    if differing := differences(notes["belongs"], belongs):
        raise TsyndError(f"{path} is the checkpoint of another training ({differing}): name another file, or delete it")
    state: Tree = _with_tensors(notes["tree"], tensors)
    return state


def states(part: Any) -> Any:
    """The state of whatever has one, of generators, and of all in dicts and lists; other values as they are."""
    if isinstance(part, dict):
        return {name: states(each) for name, each in part.items()}
    if isinstance(part, list):
        return [states(each) for each in part]
    if isinstance(part, torch.Generator):
        return part.get_state()
    return part.state_dict() if hasattr(part, "state_dict") else part


def restore(part: Any, tree: Any) -> None:
    """Give back what `states` took, in place."""
    if isinstance(part, dict):
        for name, each in part.items():
            restore(each, tree[name])
    elif isinstance(part, list):
        for each, saved in zip(part, tree, strict=True):
            restore(each, saved)
    elif isinstance(part, torch.Generator):
        part.set_state(tree)
    elif part is not None:
        part.load_state_dict(tree)
    if isinstance(part, torch.optim.Optimizer):
        for parameter, moments in part.state.items():
            for name, moment in moments.items():
                if moment.shape == parameter.shape:  # laid out in memory like the weights, as they were: sums round likewise
                    moments[name] = torch.empty_like(parameter).copy_(moment)


def _seal(belongs: Any, tree: Any, tensors: dict[str, Tensor]) -> str:
    text = json.dumps([belongs, tree, tensors_hash(dict(sorted(tensors.items())))], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A tree as JSON: tensors are put aside and become their name, dicts become pairs, since keys may be numbers."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _without_tensors(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(item, f"{name}/{number}", tensors) for number, item in enumerate(value)]
    return value


def _with_tensors(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree that `_without_tensors` took apart."""
    if isinstance(tree, list):
        return [_with_tensors(item, tensors) for item in tree]
    if isinstance(tree, dict) and "tensor" in tree:
        return tensors[tree["tensor"]]
    if isinstance(tree, dict):
        return {key: _with_tensors(item, tensors) for key, item in tree["dict"]}
    return tree
