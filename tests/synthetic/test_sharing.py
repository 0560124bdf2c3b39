"""A folder of pictures that others can use: its table, its Hugging Face card, and Croissant that its own tools accept."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tsynd.runs.card import describe
from tsynd.runs.run import Run
from tsynd.runs.synthesize import synthesize
from tsynd.synthetic.sets import write_set

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shared(folder: Path, command: Command, tmp_path: Path) -> Path:
    arguments = ("--run", folder, "--count", 5, "--out", tmp_path / "set.npz", "--png", tmp_path / "png")
    assert command("synthesize", *arguments)[0] == 0
    return tmp_path / "png"


def test_table_and_card(shared: Path) -> None:
    with (shared / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file_name"] for row in rows] == sorted(path.name for path in shared.glob("*.png"))
    card = json.loads((shared.parent / "set.json").read_text())
    assert [row["label"] for row in rows].count(next(iter(card["classes"]))) == next(iter(card["classes"].values()))
    _, head, text = (shared / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found = yaml.safe_load(head)
    assert found["license"] == "cc-by-4.0" and found["size_categories"] == ["n<1K"]
    assert found["task_categories"] == ["image-classification"]
    for part in (card["anonymity"]["statement"], card["command"], card["identity"], "never validate or test on them"):
        assert part in text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, which mlcroissant uses
def test_croissant_is_valid_and_its_records_are_the_table(shared: Path) -> None:
    croissant = pytest.importorskip("mlcroissant")
    found = croissant.Dataset(jsonld=str(shared / "croissant.json"))
    assert not found.metadata.issues.errors
    assert {warning.partition("datePublished")[1] for warning in found.metadata.issues.warnings} <= {"datePublished"}
    records = list(found.records("images"))
    assert len(records) == 5 and records[0]["images/file_name"].decode().startswith("00000_class-")
    (shared / "metadata.csv").write_text("file_name\nother.png\n")
    with pytest.raises(Exception, match=r"Download\(metadata.csv\)"):  # its hash is another one
        list(croissant.Dataset(jsonld=str(shared / "croissant.json")).records("images"))


def test_sources_are_named_where_they_are_files(finished: Run, tmp_path: Path) -> None:
    names = tuple(f"p{number}/Left Eye {number}.png" for number in range(len(finished.data.train)))
    own = replace(finished, data=replace(finished.data, train=replace(finished.data.train, names=names)))
    made = synthesize(own, 2)
    card = describe(own, made, "")
    assert card["sources"] == [names[source] for source in made.sources.tolist()]
    write_set(tmp_path / "set.npz", made, card, png=tmp_path / "png")
    source = int(made.sources[0])
    assert next(iter(sorted((tmp_path / "png").glob("*.png")))).name.endswith(f"_source-{source:05d}-left-eye-{source}.png")
    write_set(tmp_path / "set.npz", made, card, png=tmp_path / "png", force=True)
    assert len(list((tmp_path / "png").glob("*.png"))) == 2
