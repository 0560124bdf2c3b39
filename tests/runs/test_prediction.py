"""Predictions of a finished run: reproducible, those that were measured, for data by name and for any folder."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tsynd
from tsynd.data.dataset import Dataset, Split
from tsynd.errors import TsyndError
from tsynd.runs.config import RunConfig
from tsynd.runs.prediction import predict, write_predictions
from tsynd.runs.run import Run
from tsynd.utils.atomic_files import write_npz

Command = Callable[..., tuple[int, str, str]]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_an_image_gets_the_same_numbers_alone_among_others_and_again(finished: Run) -> None:
    images, state = finished.data.test.images[:7], torch.get_rng_state()
    found, batched, alone = (
        predict(finished, images),
        predict(finished, images.float() / 255, batch_size=3),
        predict(finished, images[4:5]),
    )
    assert torch.equal(torch.get_rng_state(), state)
    for name in ("probabilities", "mutual_information", "entropy"):
        torch.testing.assert_close(getattr(batched, name), getattr(found, name))
        torch.testing.assert_close(getattr(alone, name), getattr(found, name)[4:5])
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(7).double())
    assert (found.mutual_information >= 0).all() and (found.mutual_information <= found.entropy).all()
    assert found.mutual_information.max() > 0


def test_the_table_has_each_image_and_the_accuracy_that_was_measured(folder: Path, finished: Run, command: Command) -> None:
    out = folder.parent / "p.csv"
    code, said, _ = command("predict", "--run", folder, "--data", finished.config["data"], "--out", out)
    assert code == 0 and said.endswith(f"images: {out}\n")
    rows = table(out)
    assert len(rows) == sum(len(getattr(finished.data, split)) for split in ("train", "val", "test"))
    test = [row for row in rows if row["split"] == "test"]
    assert [int(row["image"]) for row in test] == list(range(len(test)))
    assert [int(row["label"]) for row in test] == finished.data.test.labels.tolist()
    right = np.mean([row["predicted"] == row["label"] for row in test])
    assert right == pytest.approx(finished.metrics["clean"]["accuracy"])
    chances = [f"probability_{name}" for name in finished.data.classes]
    assert sum(float(test[0][name]) for name in chances) == pytest.approx(1, abs=1e-5)
    written = table(folder / "predictions.csv")
    assert written == test  # what the run itself wrote of the split that it was evaluated on
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    score = [float(row[chances[1]]) for row in written]
    area = finished.metrics["clean"]["auroc"]  # torchmetrics adds up in single precision
    assert roc_auc_score([int(row["label"]) for row in written], score) == pytest.approx(area, abs=1e-4)
    assert test[0]["predicted_name"] in finished.data.classes


def test_any_folder_is_read_and_labels_are_known_where_folders_are_classes(finished: Run, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)
    name = finished.data.classes[1]
    for file in ("loose.png", "cases/a.png", f"test/{name}/b.png", ".hidden/c.png"):
        save(tmp_path / "own" / file, pixels)
    assert write_predictions(tmp_path / "p.csv", finished, str(tmp_path / "own"), batch_size=2) == 3
    found = [(row["split"], row["image"], row["label"], row["label_name"]) for row in table(tmp_path / "p.csv")]
    assert found == [("", "cases/a.png", "", ""), ("", "loose.png", "", ""), ("test", f"test/{name}/b.png", "1", name)]
    chances = [float(row[f"probability_{name}"]) for row in table(tmp_path / "p.csv")]
    assert max(chances) - min(chances) < 1e-6  # the same image, in batches of two and of one


@pytest.mark.parametrize(
    ("classes", "known"), [(None, True), (("0", "1"), True), (("normal", "pneumonia"), False), (("a", "b", "c"), False)]
)
def test_labels_are_known_where_the_classes_are_the_run_s(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: tuple[str, ...] | None, known: bool
) -> None:
    split = finished.data.train[torch.tensor([finished.data.train.labels.tolist().index(label) for label in (0, 1)])]
    split = split if classes is None or len(classes) == 2 else Split(split.images[[0, 1, 1]], torch.tensor([0, 1, 2]))
    classes = classes or finished.data.classes
    task = "binary" if len(classes) == 2 else "multi-class"
    monkeypatch.setattr("tsynd.runs.prediction.load", lambda *_, **__: Dataset("x", split, split, split, classes, task, "none"))
    write_predictions(tmp_path / "p.csv", finished, "x")
    expected = {("0", finished.data.classes[0]), ("1", finished.data.classes[1])} if known else {("", "")}
    assert {(row["label"], row["label_name"]) for row in table(tmp_path / "p.csv")} == expected


@pytest.mark.usefixtures("undrawn")
def test_a_run_s_own_files_say_where_each_image_went(tmp_path: Path) -> None:
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20), dtype=np.uint8)
        save(tmp_path / "own" / ("cat", "dog")[number % 2] / f"patient {number // 4}" / f"{number}.png", pixels)
    config = RunConfig(str(tmp_path / "own"), arm="none", budget="smoke", per_class=8, device="cpu")
    run = tsynd.run(config, tmp_path / "run")
    rows = {row["image"]: row for row in table(tmp_path / "run" / "splits.csv")}
    assert len(rows) == 60 and sum(int(row["trained"]) for row in rows.values()) == len(run.chosen)
    assert all(row["group"] == f"patient {int(Path(name).stem) // 4}" for name, row in rows.items())
    assert all(row["label_name"] == name.partition("/")[0] for name, row in rows.items())
    evaluated = table(tmp_path / "run" / "predictions.csv")
    assert {row["image"] for row in evaluated} == {name for name, row in rows.items() if row["split"] == "test"}
    assert write_predictions(tmp_path / "all.csv", run, config.data) == 60
    found = {row["image"]: row for row in table(tmp_path / "all.csv")}
    assert all((found[name]["split"], found[name]["group"]) == (row["split"], row["group"]) for name, row in rows.items())
    one = next(iter(rows))
    assert write_predictions(tmp_path / "one.csv", run, str(tmp_path / "own" / one)) == 1
    (row,) = table(tmp_path / "one.csv")
    assert row["image"] == Path(one).name and row["probability_cat"] == found[one]["probability_cat"]


def test_images_in_double_precision_give_the_same(finished: Run) -> None:
    images = finished.data.test.images[:3]
    found = predict(finished, images.double() / 255)
    torch.testing.assert_close(found.probabilities, predict(finished, images).probabilities)


def test_what_does_not_fit_is_refused(finished: Run, folder: Path, command: Command, tmp_path: Path) -> None:
    for images, message in (
        (torch.rand(2, 3, 28, 28), r"\(B, 1, 28, 28\) with B >= 1, as the classifier, got \(2, 3, 28, 28\)"),
        (torch.rand(2, 1, 32, 32), "as the classifier"),
        (torch.rand(2, 1, 28, 28) * 255, r"must lie in \[0, 1\]"),
    ):
        with pytest.raises(TsyndError, match=message):
            predict(finished, images)
    colour = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    save(tmp_path / "own" / "colour.png", colour)
    labels = np.arange(2)[:, None]
    write_npz(
        tmp_path / "colour.npz",
        **{f"{split}_{kind}": array for split in ("train", "val", "test") for kind, array in
           (("images", np.stack([colour, colour])), ("labels", labels))},
    )  # fmt: skip
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.csv").write_text("precious")
    for arguments, message in (
        (["--data", tmp_path / "own", "--out", tmp_path / "p.csv"], "colour.png is an RGB image with colour"),
        (["--data", tmp_path / "colour.npz", "--out", tmp_path / "p.csv"], "has images of 3 (RGB)"),
        (["--data", tmp_path / "empty", "--out", tmp_path / "p.csv"], "has no images"),
        (["--data", "phantom", "--out", tmp_path / "p.txt"], "must name a file that ends in .csv"),
        (["--data", "phantom", "--out", tmp_path / "there.csv"], "exists: use --force"),
        (["--data", "phantom", "--run", tmp_path, "--out", tmp_path / "p.csv"], "is not a run's folder"),
    ):
        code, _, said = command("predict", "--run", folder, *arguments)
        assert (code, said.count("\n")) == (2, 1) and message in said
    assert not (tmp_path / "p.csv").exists()
