"""Runs with networks of one's own: from the command's words to a folder that is read back, and what identifies them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tsynd
from tests.classification import nets
from tsynd.autoencoding import AnyAutoencoder
from tsynd.classification import AnyClassifier
from tsynd.data import from_arrays
from tsynd.errors import TsyndError
from tsynd.runs import config as configuration
from tsynd.runs.config import Budget, Evaluation, RunConfig
from tsynd.study.plan import Planned
from tsynd.training import Recipe
from tsynd.utils.progress import Step

SOURCE = Path(nets.__file__).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def tiny_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(steps=6, batch_size=8, refresh_count=4, refresh_every=4, capacity=8, samples=4, autoencoder_steps=6)
    monkeypatch.setitem(configuration.BUDGETS, "smoke", Budget(recipe, Evaluation(draws=1, attack_steps=1, limit=8)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A factory's file in a folder with spaces."""
    path = tmp_path / "my nets" / "nets.py"
    path.parent.mkdir()
    path.write_text(SOURCE, encoding="utf-8")
    return path


def config(**settings: Any) -> RunConfig:
    return RunConfig("phantom:count=20", budget="smoke", device="cpu", per_class=8, **settings)


def test_a_run_with_networks_of_one_s_own_is_read_back_predicts_and_synthesizes(file: Path, tmp_path: Path) -> None:
    made = tsynd.run(
        config(arm="tsynd", classifier=f"{file}:resnet", autoencoder=f"{file}:coder"), tmp_path / "run", audited=False
    )
    assert len(made.history.loss) == 6 and len(made.autoencoder_loss) == 6
    again = tsynd.load_run(tmp_path / "run")
    assert isinstance(again.classifier, AnyClassifier) and isinstance(again.autoencoder, AnyAutoencoder)
    images = made.data.test.images[:4]
    assert torch.equal(tsynd.predict(again, images).mutual_information, tsynd.predict(made, images).mutual_information)
    assert torch.equal(again.autoencoder(images.float() / 255), made.autoencoder(images.float() / 255))  # type: ignore[misc]
    assert len(tsynd.synthesize(again, 2)) == 2
    assert "--classifier" in (tmp_path / "run" / "report.html").read_text()
    file.write_text(SOURCE + "# changed\n", encoding="utf-8")
    with pytest.raises(TsyndError, match=r"nets\.py:resnet has changed since the run: bring back its source"):
        tsynd.load_run(tmp_path / "run")
    file.unlink()
    with pytest.raises(TsyndError, match="no such file"):
        tsynd.load_run(tmp_path / "run")


def test_the_source_and_the_weights_are_part_of_a_run_s_key_and_their_place_is_not(file: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save(nets.DenseNet(1, 2).state_dict(), weights)

    def key(path: Path = file, weights: Path = weights) -> str:
        return Planned("none", config(arm="none", classifier=f"{path}:densenet", classifier_weights=str(weights))).key

    before = key()
    assert before != Planned("none", config(arm="none")).key
    moved = file.rename(tmp_path / "elsewhere.py")
    same = weights.rename(tmp_path / "same.pt")
    moved_again = moved.rename(tmp_path / "my nets" / "nets.py")
    assert key(moved_again, same) == before
    torch.save(nets.DenseNet(1, 2).state_dict(), same)
    assert key(moved_again, same) != before
    plain = Planned("none", config(arm="none")).key
    assert plain == Planned("none", config(arm="none", classifier="compact", autoencoder="conv")).key


def test_weights_that_a_factory_reads_by_itself_are_part_of_the_run(file: Path, tmp_path: Path) -> None:
    file.write_text(
        "import torch\nfrom tests.classification.nets import DenseNet\n"
        "def made(channels, size, classes, multi_label):\n    net = DenseNet(channels, classes)\n"
        f"    net.load_state_dict(torch.load({str(tmp_path / 'weights.pt')!r}))\n    return net\n"
    )

    def stop(step: Step) -> None:
        if step.stage == "training":
            raise KeyboardInterrupt

    seen = []
    for _ in range(2):
        torch.save(nets.DenseNet(1, 2).state_dict(), tmp_path / "weights.pt")
        with pytest.raises(KeyboardInterrupt):
            tsynd.run(config(arm="none", classifier=f"{file}:made"), tmp_path / "run", force=True, progress=stop)
        seen.append(json.loads((tmp_path / "run" / "config.json").read_text())["initial_classifier"])
    assert seen[0] != seen[1]


def test_baselines_in_closed_form_and_data_in_memory(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 2
    images = (0.4 * torch.rand(24, 16, 16, generator=draw) + 0.3 * labels[:, None, None]).clamp(0, 1)
    data = from_arrays(*[(images, labels)] * 3, name="mine")
    settings = RunConfig("mine", arm="pixel-ridge", budget="smoke", device="cpu")
    made = tsynd.run(settings, tmp_path / "run", data=data)
    assert made.metrics["clean"]["auroc"] > 0.999 and len(made.history.loss) == 1
    again = tsynd.load_run(tmp_path / "run", data=data)
    assert torch.equal(again.classifier(images[:, None]), made.classifier(images[:, None]))
    with pytest.raises(TsyndError, match="unknown data set 'mine'"):
        tsynd.load_run(tmp_path / "run")
    with pytest.raises(TsyndError, match="size must be that of the data in memory, 16 px, got 28"):
        tsynd.run(RunConfig("mine", arm="none", size=28), data=data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classifier": "densenet"}, "unknown classifier 'densenet'.*FILE.py:factory or package.module:factory"),
        ({"autoencoder": "kl"}, "unknown autoencoder 'kl'"),
        ({"classifier": 3}, "classifier must be the name of a file, got 3"),
        ({"head": "fc"}, "head 'fc' is for a network of your own: name its factory as FILE.py:factory"),
        ({"autoencoder": "vae", "autoencoder_weights": "a.pt"}, "autoencoder_weights 'a.pt' is for a network of your own"),
        ({"arm": "pixel-ridge", "classifier": "resnet18"}, "arm 'pixel-ridge' is of the pixels, not of 'resnet18'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        config(**settings)
