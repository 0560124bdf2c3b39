"""Weights of one's own: safetensors and PyTorch files, nothing that could run code, and errors that name what differs."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tsynd.errors import DataUnavailable, TsyndError
from tsynd.utils.user_weights import load_weights


def network(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, outputs))


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "model_state_dict", "module.", "_orig_mod.", "lightning"])
def test_pytorch_files_as_people_save_them(tmp_path: Path, wrap: str) -> None:
    mine = network()
    weights: dict[str, Any] = mine.state_dict()
    if wrap.endswith("."):
        content: Any = {wrap + name: tensor for name, tensor in weights.items()}
    elif wrap == "lightning":
        content = {"epoch": 3, "state_dict": {f"model.{name}": tensor for name, tensor in weights.items()}}
    else:
        content = weights if wrap == "plain" else {"epoch": 3, wrap: weights}
    torch.save(content, tmp_path / "mine.pt")
    loaded = load_weights(network(), tmp_path / "mine.pt")
    assert not loaded.training
    assert all(torch.equal(tensor, weights[name]) for name, tensor in loaded.state_dict().items())


def test_safetensors(tmp_path: Path) -> None:
    mine = network()
    save_file(mine.state_dict(), tmp_path / "mine.safetensors")
    loaded = load_weights(network().train(), str(tmp_path / "mine.safetensors"))
    assert torch.equal(loaded.state_dict()["2.weight"], mine.state_dict()["2.weight"])


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("run",))


def test_a_file_that_could_run_code_is_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weights": Evil()}, tmp_path / "evil.pt")
    torch.save(network(), tmp_path / "module.pt")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pt", "module.pt", "pickle.pth"):
        with pytest.raises(TsyndError, match=rf"{name} holds more than weights .*state_dict\(\)") as caught:
            load_weights(network(), tmp_path / name)
        assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_damaged_pytorch_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path, weights = tmp_path / "mine.pt", network().state_dict()
    torch.save(weights, path)
    zipped = path.read_bytes()
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    legacy = path.read_bytes()
    cut = [whole[:length] for whole in (zipped, legacy) for length in range(0, len(whole), 61)]
    for content in (*cut, b"\x80\x02", b"\x80\x02.", b"\x80\x02}.", b"\x80\x02)\x81.", b"(.", b"\x00" * 40):
        path.write_bytes(content)
        with pytest.raises(TsyndError, match=r"mine\.pt") as caught:
            load_weights(network(), path)
        assert "\n" not in str(caught.value)
    torch.save({0: torch.zeros(1)}, path)
    with pytest.raises(TsyndError, match=r"must hold tensors by name .* found also 0"):
        load_weights(network(), path)


def test_what_does_not_fit_is_named_and_the_network_stays_as_it_was(tmp_path: Path) -> None:
    torch.save(network(7).state_dict(), tmp_path / "shape.pt")
    weights = network().state_dict()
    torch.save({name: weights[name] for name in list(weights)[1:]} | {"extra": torch.zeros(1)}, tmp_path / "names.pt")
    torch.save({"epoch": 3, "loss": 0.5}, tmp_path / "none.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    for name in ("garbage.pt", "garbage.safetensors", "garbage.zip"):
        (tmp_path / name).write_bytes(b"no weights" * 9)
    mine = network().train()
    before = {name: tensor.clone() for name, tensor in mine.state_dict().items()}
    for name, message in (
        ("shape.pt", r"2.weight is \(7, 5\) in the file, \(3, 5\) in the network, 2.bias is"),
        ("names.pt", "missing in the file: 0.weight; unknown to the network: extra"),
        ("none.pt", "found also epoch, loss"),
        ("tensor.pt", "must hold weights by name .* found Tensor"),
        ("garbage.pt", "garbage.pt"),
        ("garbage.safetensors", "is damaged, or no safetensors file"),
        ("garbage.zip", "must be a .safetensors, .pt"),
    ):
        with pytest.raises(TsyndError, match=message) as caught:
            load_weights(mine, tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataUnavailable, match="no such file"):
        load_weights(mine, tmp_path / "absent.pt")
    assert mine.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in mine.state_dict().items())


WRAPPED = ["module.", "_orig_mod.", "model._orig_mod.module.", "_orig_mod.module.model.", "module._orig_mod.", "net.", "a.b.c."]


def _simple() -> Any:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


@pytest.mark.parametrize("prefix", WRAPPED)
@pytest.mark.parametrize("key", [None, "state_dict", "anything"])
def test_wrappers_in_any_order(tmp_path: Path, prefix: str, key: str | None) -> None:
    saved, network = _simple(), _simple()
    weights = {prefix + name: tensor for name, tensor in saved.state_dict().items()}
    torch.save(weights if key is None else {key: weights, "epoch": 3}, tmp_path / "w.pt")
    load_weights(network, tmp_path / "w.pt")
    assert torch.equal(network[0].weight, saved[0].weight)


def test_wrappers_inside_a_name_and_around_the_network(tmp_path: Path) -> None:
    saved = _simple()
    network: Any = nn.DataParallel(_simple())
    torch.save({name.replace("0.", "0._orig_mod."): tensor for name, tensor in saved.state_dict().items()}, tmp_path / "w.pt")
    load_weights(network, tmp_path / "w.pt")
    assert torch.equal(network.module[0].weight, saved[0].weight)
    average = torch.optim.swa_utils.AveragedModel(saved)
    torch.save(average.state_dict(), tmp_path / "a.pt")
    loaded: Any = load_weights(_simple(), tmp_path / "a.pt")
    assert torch.equal(loaded[2].weight, saved[2].weight)


def test_a_file_without_counters_of_batch_norm_and_tied_weights(tmp_path: Path) -> None:
    saved, network = _simple(), _simple()
    torch.save({name: each for name, each in saved.state_dict().items() if "num_batches" not in name}, tmp_path / "w.pt")
    assert torch.equal(load_weights(network, tmp_path / "w.pt")[2].weight, saved[2].weight)
    tied: Any = nn.ModuleDict({"one": nn.Linear(3, 3), "other": nn.Linear(3, 3)})
    tied["other"].weight = tied["one"].weight
    file = tmp_path / "t.safetensors"
    save_file({name: torch.ones_like(each) for name, each in tied.state_dict().items() if name != "other.weight"}, file)
    assert float(load_weights(tied, file)["other"].weight.detach().min()) == 1
    save_file({name: torch.full_like(each, len(name)) for name, each in tied.state_dict().items()}, file)
    with pytest.raises(TsyndError, match=r"one\.weight and other\.weight are one tensor there, and differ here"):
        load_weights(tied, file)
    save_file({name: torch.ones_like(each) for name, each in tied.state_dict().items() if "weight" not in name}, file)
    with pytest.raises(TsyndError, match=r"missing in the file: one\.weight, other\.weight"):
        load_weights(tied, file)


def test_weights_must_be_finite_and_masks_need_not(tmp_path: Path) -> None:
    network = _simple()
    network.register_buffer("mask", torch.full((2, 2), -torch.inf))
    torch.save(network.state_dict(), tmp_path / "w.pt")
    load_weights(network, tmp_path / "w.pt")
    for value in (float("inf"), 1e39):  # the second overflows in single precision
        spoiled = {
            name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in network.state_dict().items()
        }
        spoiled["0.weight"] = torch.full((3, 4), value, dtype=torch.float64)
        torch.save(spoiled, tmp_path / "w.pt")
        with pytest.raises(TsyndError, match=r"must hold plain tensors of finite real numbers.*0\.weight"):
            load_weights(network, tmp_path / "w.pt")


def test_whole_numbers_and_networks_without_weights_are_refused(tmp_path: Path) -> None:
    rounded = {
        name: (100 * tensor).long() for name, tensor in _simple().state_dict().items()
    }  # quantised: the scale is elsewhere
    torch.save(rounded, tmp_path / "w.pt")
    with pytest.raises(TsyndError, match=r"must hold plain tensors of finite real numbers.*0\.weight"):
        load_weights(_simple(), tmp_path / "w.pt")
    with pytest.raises(TsyndError, match=r"has no weights yet: pass images through it once, for 0\.weight"):
        load_weights(nn.Sequential(nn.LazyLinear(3)), tmp_path / "w.pt")
