"""Tables of images: several labels, folds, patients by name, Hugging Face's layout, and a table without copies."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tsynd.data import load
from tsynd.data.duplicates import suggested_groups
from tsynd.errors import TsyndError

Command = Callable[..., tuple[int, str, str]]


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20), dtype=np.uint8)).save(path)


def write(path: Path, rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows(rows)
    return path


@pytest.fixture
def forty(tmp_path: Path) -> Path:
    for number in range(40):
        picture(tmp_path / f"{number:02}.png", number)
    return tmp_path


@pytest.mark.parametrize("columns", [False, True])
def test_several_labels_of_an_image(forty: Path, columns: bool) -> None:
    """`Pneumonia|Effusion`, or a column each: the same data set."""
    truth = {f"{number:02}.png": (number % 2 == 0, number % 5 == 0) for number in range(40)}
    rows: list[list[object]] = [["path", "Effusion", "Pneumonia", "age"]] if columns else [["path", "label"]]
    for name, (effusion, pneumonia) in truth.items():
        both = [word for word, has in (("Pneumonia", pneumonia), ("Effusion", effusion)) if has]
        rows.append([name, int(effusion), int(pneumonia), 50] if columns else [name, "|".join(both) or "none"])
    data = load(write(forty / "t.csv", rows), 16)
    assert (data.task, data.classes) == ("multi-label", ("Effusion", "Pneumonia"))
    for split in (data.train, data.val, data.test):
        assert split.names and len(split) > 0
        assert split.labels.tolist() == [[int(has) for has in truth[name]] for name in split.names]
    assert torch.cat([data.train.labels, data.val.labels, data.test.labels]).sum(0).tolist() == [20, 8]


def test_folds_are_tested_in_turn(forty: Path) -> None:
    rows: list[list[object]] = [["path", "label", "split"]]
    rows += [[f"{number:02}.png", "ab"[number % 2], f"fold{number // 2 % 4 + 1}"] for number in range(40)]
    table = write(forty / "t.csv", rows)
    tested: list[str] = []
    for fold in range(1, 5):
        data = load(f"{table}#{fold}", 16)
        assert [len(split) for split in (data.train, data.val, data.test)] == [20, 10, 10]
        tested += data.test.names or ()
    assert sorted(tested) == [f"{number:02}.png" for number in range(40)]
    message = "has 4 folds in its column split: name the one to test on, as in .*t.csv#1"
    for name, wrong in ((str(table), message), (f"{table}#9", "the folds are 1, 2, 3, 4")):
        with pytest.raises(TsyndError, match=wrong):
            load(name, 16)
    rows = [row[:2] for row in rows]
    plain = write(forty / "plain.csv", rows)
    with pytest.raises(TsyndError, match=r"the column split of plain.csv holds none"):
        load(f"{plain}#1", 16)


def test_the_layout_of_hugging_face(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows: list[list[object]] = [["file_name", "label"]]
        for number in range(20):
            picture(tmp_path / split / f"{number}.png", number + 100 * (split == "test"))
            rows.append([f"{number}.png", "ab"[number % 2]])
        write(tmp_path / split / "metadata.csv", rows)
    data = load(tmp_path, 16)
    assert (len(data.test), data.classes) == (20, ("a", "b"))
    assert data.test.names and data.test.names[0].startswith("test/")


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["person1000_virus_1.jpeg", "person1000_bacteria_2.jpeg", "person7_3.jpeg"], ["person1000", "person1000", "person7"]),
        (["IM-0115-0001.jpeg", "IM-0115-0002.jpeg", "IM-0117-0001.jpeg"], ["IM-0115", "IM-0115", "IM-0117"]),
        (["person1_virus_1.png", "person1_virus_2.png", "IM-01-0001.png", "IM-01-0002.png"], ["person1"] * 2 + ["IM-01"] * 2),
        (["a.png", "b.png", "c.png"], None),
        (["001.png", "002.png", "003.png"], None),
    ],
)
def test_groups_are_suggested_where_names_look_like_patients(names: list[str], groups: list[str] | None) -> None:
    assert suggested_groups(names) == groups


def test_what_matters_is_counted_first_and_a_clean_table_is_ready_to_train_on(tmp_path: Path, command: Command) -> None:
    for number in range(24):
        picture(tmp_path / "x" / "train" / "ab"[number % 2] / f"person{number // 4}_{number}.png", number)
    for number in range(4):
        picture(tmp_path / "x" / "val" / "ab"[number % 2] / f"person{90 + number}_{number}.png", 900 + number)
    for number in range(8):  # half are copies of training images, one of them with another label
        label = "ab"[number % 2 if number else 1]
        file = tmp_path / "x" / "test" / label / f"person{50 + number // 2}_{number}.png"
        picture(file, number if number < 4 else number + 100)
    code, said, _ = command("data", "check", tmp_path / "x", "--write", tmp_path / "clean.csv")
    lines = [line for line in said.splitlines() if not line.startswith("check: ")]
    assert code == 1
    assert lines[0] == "4 of 8 test images, 50 %, are exact copies of train images, 1 of them with another label"
    assert "names look like patients with several images" in said
    assert f"{tmp_path / 'clean.csv'}: 31 images; left out: 3 exact copies, 2 copies with different labels, 0 unreadable" in lines
    with (tmp_path / "clean.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert {row["group"] for row in rows} >= {"person1", "person50", "person52"}
    assert sum(row["split"] == "test" for row in rows) == 7  # the copy that is tested on stays
    data = load(tmp_path / "clean.csv", 16)
    assert data.group_names and not any("pixel for pixel" in note for note in data.notes)
    assert command("data", "check", tmp_path / "clean.csv")[1].count("exact copies") == 0
    code, _, said = command("data", "check", tmp_path / "x", "--write", tmp_path / "clean.csv")
    assert code == 2 and "--write" in said and "exists: use --force" in said
