"""Whole files, named random streams, networks that come back as they were, devices."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tsynd.errors import TsyndError, unknown
from tsynd.runs.config import find_device
from tsynd.utils.atomic_files import atomic_write, write_json, write_text
from tsynd.utils.environment import device_name
from tsynd.utils.eval_mode import frozen
from tsynd.utils.locks import process_has_exited
from tsynd.utils.rng import generator_for, normal, seed_for, seeded, uniform


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "old")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "deep" / "a.txt") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "deep" / "a.txt").read_text() == "old"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_is_at_is_not(tmp_path: Path) -> None:
    code = "import os, sys, pathlib; from tsynd.utils.atomic_files import atomic_write as w; " + (
        "held = w(pathlib.Path(sys.argv[1])); held.__enter__(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "a.npz"], check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    with atomic_write(tmp_path / "b.txt") as temporary:
        assert not left.exists()
        write_text(tmp_path / "c.txt", "other")
        assert temporary.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.txt", "c.txt"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc, as Linux has it")
def test_a_dead_process_that_nobody_asked_after_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()  # its end: it is over, and not waited for
        while (state := Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]) != "Z":
            assert state in "RSD"
        assert process_has_exited(process.pid)
    assert process_has_exited(process.pid)
    assert not process_has_exited(os.getpid())


def test_json_without_a_name_for_nan_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1\n}\n'


def test_seeds_are_the_same_on_every_platform() -> None:
    assert seed_for(0, "subset") == 8981707855379711319
    assert len({seed_for(seed, purpose) for seed in range(20) for purpose in ("a", "b")}) == 40


def test_draws_follow_the_generator_and_reach_the_device() -> None:
    like = torch.empty(1, device="meta")
    assert uniform((2, 3), generator_for(0, "a"), like).device == like.device
    here = torch.empty(1)
    assert torch.equal(normal((4,), generator_for(0, "a"), here), normal((4,), generator_for(0, "a"), here))
    assert not torch.equal(normal((4,), generator_for(0, "a"), here), normal((4,), generator_for(0, "b"), here))


def test_seeded_gives_the_global_state_back_on_exceptions_too() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(1):  # noqa: PT012
        torch.rand(3)
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)


def test_frozen_restores_each_module_and_parameter() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    network[1].eval()
    network[0].bias.requires_grad_(False)
    with pytest.raises(RuntimeError), frozen(network):  # noqa: PT012
        assert not any(module.training for module in network.modules())
        assert not any(parameter.requires_grad for parameter in network.parameters())
        raise RuntimeError
    assert [module.training for module in network.modules()] == [True, True, False]
    assert [parameter.requires_grad for parameter in network.parameters()] == [True, False, True, True]


def test_devices_are_found_or_refused_in_one_line() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda", "mps", "xpu")
    with pytest.raises(TsyndError, match="use auto or cpu") as caught:
        find_device("warp")
    assert "\n" not in str(caught.value)


def test_unknown_names_without_a_near_one_list_what_is_known() -> None:
    assert str(unknown("arm", "zzz", ["none", "mixup"])) == "unknown arm 'zzz': (known: none, mixup)"


def test_a_device_is_named_as_precisely_as_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsynd.utils.environment.processor", lambda: "A chip")
    assert device_name(torch.device("cpu")) == f"cpu: A chip, {torch.get_num_threads()} thread(s)"
    assert device_name(torch.device("meta")) == "meta"
