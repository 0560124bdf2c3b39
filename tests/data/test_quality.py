"""tsynd data check: each defect that is planted is found by name, and a clean set has none."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tsynd.cli import data as cli
from tsynd.data import quality
from tsynd.data.duplicates import near_pairs
from tsynd.data.quality import QualityReport, check
from tsynd.errors import TsyndError

RANDOM = np.random.default_rng(0)


def scene() -> Image.Image:
    """A smooth picture, as different from another as photographs are."""
    return Image.fromarray(RANDOM.integers(0, 256, (8, 8), dtype=np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Three splits of two classes, nothing wrong."""
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(3):
                scene().save(tmp_path / split / name / f"{number}.png")
    return tmp_path


def kinds(found: QualityReport) -> dict[str, list[tuple[str, ...]]]:
    made: dict[str, list[tuple[str, ...]]] = {}
    for one in found.findings:
        made.setdefault(one.kind, []).append(one.names)
    return made


def test_a_clean_folder(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = check(str(clean))
    assert found.findings == []
    assert found.counts == {split: {"cat": 3, "dog": 3} for split in ("train", "val", "test")}
    assert (found.sizes, found.kinds) == ({"64 x 64": 18}, {"PNG, L": 18})
    assert cli.check(str(clean)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "clean"


def test_every_defect_by_name(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = clean / "train" / "cat"
    (train / "zero.jpg").write_bytes(b"")
    (train / "cut.png").write_bytes((train / "0.png").read_bytes()[:300])
    (train / "copy.tif").write_bytes(b"")
    Image.open(clean / "test" / "dog" / "1.png").save(train / "copy.tif")
    Image.open(train / "1.png").resize((40, 40)).save(train / "near.jpg")
    Image.new("L", (64, 64), 5).save(train / "flat.png")
    scene().save(train / "wrong.jpg", "PNG")
    scene().save(train / "lost.dat", "PNG")
    (clean / "val" / "bird").mkdir()
    found = kinds(check(str(clean)))
    assert found == {
        "empty class": [()],
        "unreadable": [("train/cat/cut.png",), ("train/cat/zero.jpg",)],
        "wrong ending": [("train/cat/wrong.jpg",), ("train/cat/lost.dat",)],
        "passed over": [("train/cat/lost.dat",)],
        "exact duplicates across splits": [("train/cat/copy.tif", "test/dog/1.png")],
        "constant": [("train/cat/flat.png",)],
        "near duplicates": [("train/cat/1.png", "train/cat/near.jpg")],
    }
    assert cli.check(str(clean)) == 1
    shown = capsys.readouterr().out
    assert "train/cat/copy.tif = test/dog/1.png (in train and test) (with labels cat and dog)" in shown
    assert shown.splitlines()[-1] == "findings: 9"
    assert cli.check(str(clean), as_json=True) == 1
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 9


def test_groups_and_rows_of_a_table(clean: Path) -> None:
    rows = [
        f"{file.relative_to(clean).as_posix()},{file.parent.name},p{number % 8},{file.parent.parent.name}"
        for number, file in enumerate(sorted(clean.rglob("*.png")))
    ]
    rows += ["nowhere.png,cat,,train", rows[0], "train/cat/0.png,dog,,test"]
    (clean / "table.csv").write_text("\n".join(["path,label,group,split", *rows]))
    found = kinds(check(str(clean / "table.csv")))
    assert set(found) == {"missing file", "duplicate row", "group in several splits"}
    assert len(found["duplicate row"]) == 2 and ("p0",) in found["group in several splits"]


def test_what_cannot_be_divided_or_trained_on(tmp_path: Path) -> None:
    for name in ("cat/1", "cat/2", "cat/3", "dog/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        scene().save(tmp_path / f"{name}.png")
    assert set(kinds(check(str(tmp_path)))) == {"cannot be divided"}
    (tmp_path / "dog" / "1.png").unlink()
    assert set(kinds(check(str(tmp_path)))) == {"one class", "empty class"}


def test_a_file_in_medmnist_layout(tmp_path: Path, six: dict[str, np.ndarray]) -> None:
    six["test_images"][2] = six["train_images"][5]
    six["val_images"][0] = 7
    np.savez(tmp_path / "a.npz", allow_pickle=True, **six)
    found = check(str(tmp_path / "a.npz"))
    assert kinds(found) == {"exact duplicates across splits": [("train 5", "test 2")], "constant": [("val 0",)]}
    assert found.counts["train"] == {"0": 4, "1": 4}


def test_what_cannot_be_looked_at(tmp_path: Path, six: dict[str, np.ndarray]) -> None:
    six["train_images"] = six["train_images"].astype(object)
    np.savez(tmp_path / "a.npz", allow_pickle=True, **six)
    for path in (tmp_path / "a.npz", tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(TsyndError):
            check(str(path))


def test_near_pairs_are_those_of_all_with_all() -> None:
    hashes = RANDOM.random((300, 256)) < 0.5
    for number in range(100):  # some at each distance from 0 to 24
        hashes[200 + number] = hashes[number]
        hashes[200 + number, RANDOM.permutation(256)[: number // 4]] ^= True
    distances = (hashes[:, None] != hashes[None]).sum(2)
    wanted = {(int(i), int(j)) for i, j in zip(*np.nonzero(distances <= 10), strict=True) if i < j}
    assert len(wanted) == 44
    assert set(near_pairs(hashes, 10)) == wanted


def test_the_next_check_reads_only_what_has_changed(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = check(str(clean), write=clean / "clean.csv")
    read: list[Path] = []
    look = quality._look

    def noted(file: Path) -> quality.Summary | str:
        read.append(file)
        return look(file)

    monkeypatch.setattr(quality, "_look", noted)
    assert check(str(clean)).to_json() == first.to_json() | {"written": ""}
    assert check(str(clean / "clean.csv")).counts == first.counts and not read
    changed, damaged = clean / "val" / "dog" / "1.png", clean / "val" / "dog" / "2.png"
    scene().save(changed)
    damaged.write_bytes(b"")
    for _ in range(2):  # what could not be read is tried again
        assert kinds(check(str(clean))) == {"unreadable": [("val/dog/2.png",)]}
    assert read == [changed, damaged, damaged]
