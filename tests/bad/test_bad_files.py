"""Every reader of files: damaged content is read, and is then valid, or refused in one line; nothing else is touched."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tsynd
from tests.bad.conftest import FORMATS, STUDY
from tests.bad.mutations import (
    ODD_ARRAYS,
    Damage,
    Files,
    Reader,
    damages,
    few,
    odd_arrays,
    odd_places,
    odd_value,
    places,
    quick,
    read_damaged,
)
from tsynd.data.quality import check
from tsynd.errors import TsyndError
from tsynd.study import read_study
from tsynd.study.comparisons import Answers
from tsynd.study.records import check_study, read_records
from tsynd.synthetic.decisions import read_review
from tsynd.synthetic.sets import given_images, origin, read_set, source_data
from tsynd.targeting.synthesis import COLUMNS
from tsynd.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.deep


def a_data_set(path: Path) -> None:
    data = tsynd.load(path, size=16)
    assert data.train.images.dtype == torch.uint8 and len(data.train.images) == len(data.train.labels) > 0
    assert set(data.train.labels.unique().tolist()) == set(range(len(data.classes)))


def of(reader: Reader, name: str) -> Reader:
    return lambda folder: reader(folder / name)


def looked_at(path: Path) -> None:
    found = check(str(path))
    json.dumps(found.to_json())
    assert all(len(problem.text.splitlines()) == 1 for problem in found.findings)


def own_weights(path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    try:
        tsynd.load_weights(network, path)
    except TsyndError:
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
        raise
    assert not any(tensor.isnan().any() for tensor in network.state_dict().values())


def a_checkpoint(path: Path) -> None:
    state = load_checkpoint(path, {"seed": 1})
    assert state["step"] == 3 and torch.equal(state["list"][0], torch.zeros(2)), "damage that no checksum found"


def a_run(folder: Path) -> None:
    run = tsynd.load_run(folder)
    found = tsynd.predict(run, run.data.test.images[:2])
    assert found.probabilities.isfinite().all() and found.mutual_information.isfinite().all()
    assert run.recipe.steps >= 0 and all(isinstance(loss, int | float) for loss in run.history.loss)
    if run.synthesis is not None:
        valid_set(run.synthesis)


def valid_set(synthesis: tsynd.targeting.Synthesis) -> None:
    assert synthesis.images.ndim == 4 and synthesis.images.shape == synthesis.reconstructions.shape
    assert synthesis.labels.dtype == synthesis.sources.dtype == torch.int64
    for name in COLUMNS:
        column = getattr(synthesis, name)
        assert len(column) == len(synthesis) and column.ndim == {
            "images": 4,
            "reconstructions": 4,
            "start_latents": 2,
            "latents": 2,
        }.get(name, 1), name
        assert not column.is_floating_point() or column.isfinite().all(), name


def a_set(path: Path) -> None:
    synthesis = read_set(path)
    valid_set(synthesis)
    origin(path)
    source_data(path)


def to_train_on(folder: Path) -> None:
    data = tsynd.load(folder / "own.npz")
    synthesis, _ = given_images(folder / "synthetic.npz", folder / "review.csv", data)
    assert len(synthesis) and int(synthesis.labels.max()) < 2


def a_review(folder: Path) -> None:
    synthesis = read_set(folder / "synthetic.npz")
    assert set(read_review(folder / "review.csv", synthesis, 2)) <= set(range(len(synthesis)))


def a_study(path: Path) -> None:
    study = read_study(path)
    assert study.runs() and study.resolved()


def study_folder(folder: Path) -> None:
    records = read_records(folder)
    assert all(isinstance(record["seed"], int) for record in records)
    Answers(folder)
    (folder.parent / "study-file.yaml").write_text(STUDY)
    try:
        study = read_study(folder.parent / "study-file.yaml")
    finally:
        (folder.parent / "study-file.yaml").unlink()
    check_study(folder, study)


def of_answers(name: str) -> Reader:
    def read(folder: Path) -> None:
        answers = Answers(folder)
        for measure in ("accuracy", "nll", "augmented", "corrupted"):
            value, resamples_R = answers.measured(("a", "20"), Path(name).stem, measure)
            assert math.isfinite(value) and len(resamples_R)

    return read


def refused_or_valid(files: Mapping[str, bytes], name: str, damage: Damage, read: Reader, *, writes: bool = False) -> None:
    read_damaged({**files, name: damage(files[name])}, read, writes=writes)


@pytest.mark.parametrize("name", ["npz", "npz checked"])
@quick
@given(damage=damages)
def test_damaged_npz(npz: Files, name: str, damage: Damage) -> None:
    refused_or_valid(npz, "own.npz", damage, of(looked_at if "checked" in name else a_data_set, "own.npz"))


@quick
@given(position=places, kind=st.sampled_from(sorted(ODD_ARRAYS)))
def test_odd_arrays_in_an_npz(npz: Files, tmp_path_factory: pytest.TempPathFactory, position: float, kind: str) -> None:
    changed = odd_arrays(npz["own.npz"], position, kind, tmp_path_factory.mktemp("odd"))
    read_damaged({"own.npz": changed}, of(a_data_set, "own.npz"))


@pytest.mark.parametrize("kind", FORMATS)
@quick
@given(damage=damages)
def test_damaged_images(pictures: Files, kind: str, damage: Damage) -> None:
    name = next(name for name in reversed(pictures) if name.endswith(kind.lower()))
    refused_or_valid(pictures, name, damage, a_data_set)
    refused_or_valid(pictures, name, damage, looked_at)


@quick
@given(damage=damages)
def test_damaged_table_of_images(pictures: Files, damage: Damage) -> None:
    refused_or_valid(pictures, "labels.csv", damage, of(a_data_set, "labels.csv"))
    refused_or_valid(pictures, "labels.csv", damage, of(looked_at, "labels.csv"))


@pytest.mark.parametrize("name", ["own.safetensors", "own.pt"])
@quick
@given(damage=damages)
def test_damaged_weights(weights: Files, name: str, damage: Damage) -> None:
    refused_or_valid(weights, name, damage, of(own_weights, name))


@quick
@given(damage=damages)
def test_damaged_review(run: Files, damage: Damage) -> None:
    refused_or_valid(run, "review.csv", damage, a_review)


@few
@given(damage=damages)
def test_damaged_study_file(damage: Damage) -> None:
    refused_or_valid({"study.yaml": STUDY.encode()}, "study.yaml", damage, of(a_study, "study.yaml"))


@quick
@given(odd=odd_places)
def test_odd_settings_of_a_study(odd: tuple[float, object, bool]) -> None:
    changed = yaml.safe_dump(odd_value(yaml.safe_load(STUDY), *odd)).encode()
    read_damaged({"study.yaml": changed}, of(a_study, "study.yaml"))


OWN = ("config.json", "metrics.json", "classifier.safetensors", "autoencoder.safetensors", "synthetic.npz")
HAPPENS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-1],
    "foreign text": lambda content: b"<html>404</html>\n",
    "foreign JSON": lambda content: b'{"name": "x", "version": 2}',
    "foreign image": lambda content: b"\x89PNG\r\n\x1a\n" + bytes(40),
}
"""What a user meets in files that tsynd wrote: a copy that was cut, and another file under their names."""


@pytest.mark.parametrize("what", HAPPENS)
@pytest.mark.parametrize("name", OWN)
def test_a_file_of_a_run(run: Files, npz: Files, name: str, what: str) -> None:
    changed = HAPPENS[what](run[name])
    if changed == run[name].rstrip():
        return  # only the newline at its end is gone
    assert read_damaged(run | {name: changed}, a_run)
    if name == "synthetic.npz":
        assert read_damaged(run | {name: changed}, of(a_set, name))
        assert read_damaged(run | npz | {name: changed}, to_train_on)


def test_the_files_of_another_run_or_version(run: Files) -> None:
    config = json.loads(run["config.json"])
    for changes in (
        {"method_version": 1},
        {"method_version": None},
        {"seed": "x"},
        {"arm": "later"},
        {"data": 3},
    ):
        assert read_damaged(run | {"config.json": json.dumps(config | changes).encode()}, a_run)
    for needed in ("method_version", "recipe", "arm", "size"):
        left = {name: value for name, value in config.items() if name != needed}
        assert needed in str(read_damaged(run | {"config.json": json.dumps(left).encode()}, a_run))
    other = {"classifier.safetensors": run["autoencoder.safetensors"], "autoencoder.safetensors": run["classifier.safetensors"]}
    for name, content in other.items():
        assert read_damaged(run | {name: content}, a_run)


@pytest.mark.parametrize("what", HAPPENS)
def test_a_checkpoint(weights: Files, what: str) -> None:
    name = "checkpoint.safetensors"
    assert read_damaged(weights | {name: HAPPENS[what](weights[name])}, of(a_checkpoint, name))
    assert read_damaged(weights | {name: weights["own.safetensors"]}, of(a_checkpoint, name))


@pytest.mark.parametrize("what", HAPPENS)
@pytest.mark.parametrize("kind", ["study.yaml", ".json", ".npz"])
def test_a_file_of_a_study(study: Files, kind: str, what: str) -> None:
    name = next(name for name in study if name.endswith(kind))
    changed = HAPPENS[what](study[name])
    said = read_damaged(study | {name: changed}, of_answers(name) if kind == ".npz" else study_folder)
    assert said or what == "without its end"
