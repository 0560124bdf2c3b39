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
