"""The command line, as a user meets it: in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.patience import finish
from tsynd import cli
from tsynd.errors import TsyndError
from tsynd.training import ARMS, METHODS

TINY = ["--data", "phantom:count=30", "--per-class", "20", "--budget", "smoke", "--device", "cpu"]
SHORT = {"steps": 12, "refresh_count": 8, "capacity": 16, "samples": 8, "autoencoder_steps": 10, "draws": 1, "attack_steps": 1}
SHORTLY = [word for name, value in (SHORT | {"limit": 10}).items() for word in ("--set", f"{name}={value}")]
Command = Callable[..., tuple[int, str, str]]


def tsynd(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `tsynd` without data folders of the environment, and with no way to download."""
    environment = {key: value for key, value in os.environ.items() if key not in ("TSYND_DATA", "TSYND_MIRROR")}
    environment |= {"OMP_NUM_THREADS": "1", "HTTPS_PROXY": "http://127.0.0.1:9"}
    if home:
        environment["HOME"] = environment["USERPROFILE"] = str(home)
    program = [sys.executable, "-c", "from tsynd.cli import main; main()"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*program, *arguments], stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        said = finish(process)
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def test_run_says_what_it_does_and_where_the_report_is(tmp_path: Path, command: Command) -> None:
    done = tsynd("run", *TINY, *SHORTLY, "--arm", "guarded", "--out", str(tmp_path / "a run"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "load: phantom:count=30"
    assert "autoencoder: 10 steps" in lines
    assert lines[-1] == f"report: {tmp_path / 'a run' / 'report.html'}"
    assert "\x1b" not in done.stdout
    assert (tmp_path / "a run" / "report.html").exists()
    code, _, error = command("run", *TINY, *SHORTLY, "--arm", "guarded", "--out", str(tmp_path / "a run"))
    assert code == 2 and "finished: use --force" in error


def test_quiet_prints_nothing(tmp_path: Path, command: Command) -> None:
    assert command("run", *TINY, *SHORTLY, "--arm", "none", "--out", str(tmp_path / "run"), "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "radius"], "--set must be NAME=VALUE, each name once, got 'radius'"),
        (["--set", "radios=1"], "unknown setting 'radios': did you mean 'radius'"),
        (["--set", "radius=far"], "radius must be a number, got 'far'"),
        (["--set", "limit=0"], "limit must be >= 1, got 0"),
        (["--set", "strong=7"], "strong must be true or false, got 7"),
        (["--arm", "gaurded"], "unknown arm 'gaurded': did you mean 'guarded'?"),
        (["--budget", "cpuu"], "unknown budget 'cpuu': did you mean 'cpu'?"),
        (["--data", "brestmnist"], "did you mean 'breastmnist'?"),
        (["--data", "./nowhere"], "no such file or folder"),
        (["--per-class", "-3"], "per_class must be >= 1 or all, got -3"),
        (["--per-class", "some"], "--per-class must be a whole number or all, got 'some'"),
        (["--per-class", "31"], "at most 30"),
        (["--seed", "x"], "Invalid value for '--seed'"),
        (["--nonsense", "1"], "No such option: --nonsense"),
        (["--device", "nonsense"], "device 'nonsense' cannot be used here: use auto or cpu"),
    ],
)
def test_bad_input_is_one_plain_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str, command: Command
) -> None:
    code, _, error = command("run", *TINY, "--out", str(tmp_path / "run"), *arguments)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_downloaded(tmp_path: Path) -> None:
    done = tsynd("run", "--data", "breastmnist", "--out", str(tmp_path / "run"), "--quiet", home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for part in ("breastmnist.npz", "zenodo.org", ".medmnist", "--data phantom"):
        assert part in done.stderr
    assert not (tmp_path / "run").exists()


def test_version_and_help_are_quick_to_ask_for() -> None:
    import tsynd as package

    assert tsynd("--version").stdout.strip() == package.__version__
    told = tsynd("run", "--help").stdout
    assert "--per-class" in told
    known = {name: each.what for kind in (ARMS, METHODS) for name, each in kind.items()}
    assert all(what and f"  {name} " in told and what.split()[0] in told for name, what in known.items())
    assert tsynd("run").returncode == 2


def test_interruption_is_said_in_one_line_and_the_run_goes_on(tmp_path: Path) -> None:
    program = [
        sys.executable,
        "-c",
        # Whoever starts the tests in the background has SIGINT ignored, and the child inherits that.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from tsynd.cli import main; main()",
        "run",
        *TINY,
        "--set",
        "autoencoder_steps=10",
        "--arm",
        "guarded",
        "--out",
        str(tmp_path),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        while "training" not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, error = finish(running)
    assert running.returncode == 130
    assert error == "error: interrupted: the same command goes on where it stopped\n"
    left = {path.name for path in tmp_path.iterdir()} - {
        "checkpoint.safetensors",
        ".lock",
    }  # there or not: it is a matter of time
    assert left == {"autoencoder.safetensors", "config.json"}


@pytest.fixture
def own_interrupts() -> Iterator[None]:
    """The command line may ignore Ctrl-C when it ends; the tests that follow may not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("own_interrupts")
def test_a_second_ctrl_c_does_not_spoil_the_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    def again(text: str) -> str:
        signal.raise_signal(signal.SIGINT)
        return text

    monkeypatch.setattr("sys.argv", ["tsynd", "run"])
    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr(cli, "plain", again)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: interrupted: the same command goes on where it stopped\n"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_out_of_memory_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: out of memory: use a smaller --size or fewer images\n"


@pytest.mark.usefixtures("own_interrupts")
@pytest.mark.parametrize("name", ["run", "synthesize"])
def test_only_a_run_is_said_to_go_on(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["tsynd", name])
    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit):
        cli.main()
    assert ("goes on where it stopped" in capsys.readouterr().err) == (name == "run")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "a.npz"), "error: No space left on device: a.npz\n"),
        (OSError("planted"), "error: planted: no file named\n"),
        (MemoryError(), "error: out of memory: use a smaller --size or fewer images\n"),
        (RuntimeError("CUDA out of memory"), "error: out of memory: use a smaller --size or fewer images\n"),
        (TsyndError("a\nb\x1b[31m"), r"error: a b\x1b[31m" + "\n"),
    ],
)
def test_what_a_machine_lacks_is_said_in_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == line


def test_a_defect_is_not_hidden_behind_a_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(RuntimeError, match="planted"):
        cli.main()


def test_a_file_s_name_cannot_break_the_line(tmp_path: Path, command: Command) -> None:
    for name in ("a/x.png", "b/y\n\x1b[31m.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text("no image")
    code, _, error = command("run", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--quiet")
    assert (code, error.count("\n")) == (2, 1)
    assert "\x1b" not in error


def test_check_says_by_its_exit_code_what_it_found(tmp_path: Path, command: Command) -> None:
    for number in range(6):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    code, said, error = command("data", "check", str(tmp_path / "data"))
    assert (code, error, said.splitlines()[-1]) == (0, "", "clean")
    (tmp_path / "data" / "a" / "x\x1b[31m.png").write_text("no image")
    code, said, error = command("data", "check", str(tmp_path / "data"))
    assert (code, error, said.splitlines()[-1]) == (1, "", "findings: 1")
    assert "\x1b" not in said
    code, said, error = command("data", "check", str(tmp_path / "nowhere"))
    assert (code, said) == (2, "")
    assert error.count("\n") == 1 and "nowhere" in error


def test_numbers_of_the_budget_are_set_by_name_and_stand_in_the_report_s_command(tmp_path: Path, command: Command) -> None:
    out = tmp_path / "run"
    settings = ["--set", "steps=3", "--set", "draws=1", "--set", "attack_steps=1", "--set", "limit=8"]
    assert command("run", *TINY, "--arm", "none", *settings, "--quiet", "--out", str(out)) == (0, "", "")
    config = json.loads((out / "config.json").read_text())
    assert (config["recipe"]["steps"], config["evaluation"]["limit"]) == (3, 8)
    report = (out / "report.html").read_text()
    assert "--set steps=3" in report
    assert "Does it notice?" in report
