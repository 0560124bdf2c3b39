"""Review: decisions tied to their images, what is left to train on, the page without a server, and a run from it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

import tsynd
from tsynd.data.dataset import fingerprint
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.runs.card import describe
from tsynd.runs.config import RunConfig
from tsynd.runs.run import Run, open_folder
from tsynd.runs.synthesize import synthesize
from tsynd.synthetic.decisions import Decision, counts, read_review, reviewed, write_review
from tsynd.synthetic.npz import load_origin, save_synthesis
from tsynd.synthetic.sets import given_images, read_set, write_set
from tsynd.targeting import Synthesis
from tsynd.targeting.synthesis import identity
from tsynd.utils.atomic_files import write_json

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def images(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    path = tmp_path_factory.mktemp("set") / "set.npz"
    save_synthesis(path, synthesize(finished, 6))
    return read_set(path)


def decisions(images: Synthesis) -> dict[int, Decision]:
    other = 1 - int(images.labels[3])
    return {
        0: Decision("accept", None, "Ä, B", "2026-01-01T00:00:00Z"),
        1: Decision("reject"),
        3: Decision("relabel", other),
        4: Decision("accept"),
    }


def test_what_is_written_is_read_also_after_a_spreadsheet(images: Synthesis, tmp_path: Path) -> None:
    write_review(tmp_path / "r.csv", images, decisions(images))
    assert read_review(tmp_path / "r.csv", images, classes=2) == decisions(images)
    text = (tmp_path / "r.csv").read_text().replace('"Ä, B"', "Ä B").replace(",", ";").replace("\n", "\r\n")
    (tmp_path / "excel.csv").write_text(text, encoding="utf-8-sig", newline="")
    assert read_review(tmp_path / "excel.csv", images)[3] == decisions(images)[3]


def test_rejected_and_unreviewed_images_are_left_out_and_labels_corrected(images: Synthesis) -> None:
    made = decisions(images)
    passed = reviewed(images, made)
    assert torch.equal(passed.images, images.images[[0, 3, 4]])
    assert passed.sources.tolist() == images.sources[[0, 3, 4]].tolist()
    assert passed.labels.tolist() == [int(images.labels[0]), 1 - int(images.labels[3]), int(images.labels[4])]
    assert counts(images, made) == {"accept": 2, "reject": 1, "relabel": 1, "unreviewed": 2}
    with pytest.raises(TsyndError, match="lets no image pass: 1 of 6"):
        reviewed(images, {1: Decision("reject")})


def test_a_review_that_makes_no_sense_is_refused_by_its_line(images: Synthesis, finished: Run, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    write_review(path, images, decisions(images))
    good = path.read_text()
    row = good.splitlines()[4]  # image 4, accepted
    fields = row.split(",")
    for wrong, message in (
        (["9", *fields[1:]], "line 5: index must be between 0 and 5, got 9"),
        (["x", *fields[1:]], "line 5: index must be a whole number, got 'x'"),
        (["0", *fields[1:]], "line 5: "),
        ([fields[0], "99999", *fields[2:]], "line 5: source_index of image 4 is"),
        ([*fields[:3], "accpt", *fields[4:]], "unknown decision 'accpt': did you mean 'accept'"),
        ([*fields[:3], "relabel", "", *fields[5:]], "a new label goes with relabel"),
        ([*fields[:3], "relabel", "7", *fields[5:]], "new_label must be a class, 0 to 1, got 7"),
        ([*fields[:-1], "tsynd-0"], r"line 5: this is a review of other images \(tsynd-0\)"),
    ):
        path.write_text(good.replace(row, ",".join(wrong)))
        with pytest.raises(TsyndError, match=message):
            read_review(path, images, classes=2)
    path.write_text(good + row + "\n")
    with pytest.raises(TsyndError, match="line 6: a second decision on image 4"):
        read_review(path, images)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TsyndError, match="lacks the columns index"):
        read_review(path, images)
    with pytest.raises(DataUnavailable, match="no such file"):
        read_review(tmp_path / "none.csv", images)
    write_review(path, images, decisions(images))
    with pytest.raises(TsyndError, match="review of other images"):
        read_review(path, synthesize(finished, 6, seed=5))


def test_a_damaged_table_is_refused_and_the_images_are_hashed_once(
    images: Synthesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.csv"
    write_review(path, images, decisions(images))
    counted = Mock(side_effect=identity)
    monkeypatch.setattr("tsynd.synthetic.decisions.identity", counted)
    read_review(path, images)
    assert counted.call_count == 1
    path.write_text(path.read_text() + '"' + "x" * 200_000 + '"\n')
    with pytest.raises(TsyndError, match="cannot be read as a review: field larger than field limit"):
        read_review(path, images)


@pytest.mark.parametrize("said_by", ["set", "card", "run", None])
def test_a_set_made_from_other_data_is_refused(images: Synthesis, finished: Run, tmp_path: Path, said_by: str | None) -> None:
    data, path = finished.data, tmp_path / "set.npz"
    other = replace(data, train=replace(data.train, images=255 - data.train.images))
    made_from = {"data": "phantom:count=30", "data_fingerprint": fingerprint(data)}
    save_synthesis(path, images, (made_from["data"], made_from["data_fingerprint"]) if said_by == "set" else None)
    if said_by == "card":
        write_json(tmp_path / "set.json", {"run": made_from})
    if said_by == "run":
        write_json(tmp_path / "config.json", made_from)
    assert identity(given_images(path, None, data)[0]) == identity(images)
    if said_by is None:  # an old file or a foreign one
        given_images(path, None, other)
        return
    with pytest.raises(TsyndError, match=f"from phantom:count=30, .* {fingerprint(data)}, not {fingerprint(other)}$") as caught:
        given_images(path, None, other)
    assert "\n" not in str(caught.value)


def test_runs_and_sets_say_what_they_were_made_from(folder: Path, finished: Run, tmp_path: Path) -> None:
    made = synthesize(finished, 2)
    write_set(tmp_path / "set.npz", made, describe(finished, made, ""))
    for path in (folder / "synthetic.npz", tmp_path / "set.npz"):
        assert load_origin(path) == (finished.config["data"], fingerprint(finished.data))


def test_a_moved_file_is_the_same_configuration(tmp_path: Path) -> None:
    config = {"arm": "none", "synthetic": "a.npz", "review": "a.csv", "synthetic_identity": "tsynd-1"}
    open_folder(tmp_path / "run", config, force=False)
    open_folder(tmp_path / "run", config | {"synthetic": "b.npz", "review": "b.csv"}, force=False)
    with pytest.raises(TsyndError, match=r"another configuration \(synthetic_identity: 'tsynd-1', not 'tsynd-2'\)"):
        open_folder(tmp_path / "run", config | {"synthetic_identity": "tsynd-2"}, force=False)
    with pytest.raises(TsyndError, match="another configuration"):
        open_folder(tmp_path / "run", {"arm": "none"}, force=False)


def test_the_page_stands_alone_and_holds_what_is_reviewed(folder: Path, command: Command, tmp_path: Path) -> None:
    command("synthesize", "--run", folder, "--count", 4, "--out", tmp_path / "set.npz")
    code, said, _ = command("review", tmp_path / "set.npz", "--out", tmp_path / "r.html")
    assert code == 0 and "--review FILE.csv" in said and "not at hand" not in said
    page = (tmp_path / "r.html").read_text()
    assert "://" not in page and "{{" not in page
    found = re.search(r'<script id="content" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    content = json.loads(found[1])
    assert content["identity"] == identity(read_set(tmp_path / "set.npz"))
    assert [set(image["pictures"]) for image in content["images"]] == [{"source", "start", "targeted", "difference"}] * 4
    assert command("review", tmp_path / "set.npz", "--out", tmp_path / "r.html")[2].count("exists: use --force") == 1
    (tmp_path / "set.json").unlink()
    code, said, _ = command("review", tmp_path / "set.npz", "--out", tmp_path / "alone.html")
    assert code == 0 and "the sources are not at hand" in said
    assert '"source": "data:' not in (tmp_path / "alone.html").read_text()
    assert command("review", folder / "synthetic.npz", "--out", tmp_path / "run.html")[0] == 0


def test_bad_combinations_are_refused_before_anything_is_trained(
    images: Synthesis, finished: Run, command: Command, tmp_path: Path
) -> None:
    save_synthesis(tmp_path / "set.npz", images)
    data = finished.config["data"]
    start = ["run", "--data", data, "--per-class", 20, "--budget", "smoke", "--out", tmp_path / "run", "--quiet"]
    given = ["--synthetic", tmp_path / "set.npz"]
    write_review(tmp_path / "other.csv", synthesize(finished, 3, seed=7), {0: Decision("accept")})
    for options, message in (
        (given, "arm 'guarded' makes synthetic images of its own"),
        (["--arm", "none", "--review", "r.csv"], "needs the images that it is about: --synthetic"),
        (["--arm", "none", "--synthetic", tmp_path / "no.npz"], "no such file"),
        (["--arm", "none", *given, "--review", tmp_path / "other.csv"], "review of other images"),
        (["--arm", "none", *given, "--size", 32], "has images of shape (1, 28, 28), "),
        (
            ["--arm", "none", *given, "--data", "phantom:count=8", "--per-class", 8],
            "was made from other data than phantom:count=8",
        ),
    ):
        code, _, said = command(*start, *options)
        assert (code, said.count("\n")) == (2, 1) and message in said
    assert not (tmp_path / "run").exists()


def test_a_run_trains_on_what_the_review_lets_pass(images: Synthesis, finished: Run, tmp_path: Path) -> None:
    save_synthesis(tmp_path / "set.npz", images, (finished.data.name, fingerprint(finished.data)))
    write_review(tmp_path / "r.csv", images, decisions(images))
    config = RunConfig(
        finished.config["data"],
        arm="none",
        per_class=20,
        budget="smoke",
        device="cpu",
        synthetic=str(tmp_path / "set.npz"),
        review=str(tmp_path / "r.csv"),
    )
    run = tsynd.run(config, tmp_path / "run")
    assert run.synthesis is not None and len(run.synthesis) == 3
    assert run.metrics["review"] == {"accept": 2, "reject": 1, "relabel": 1, "unreviewed": 2}
    assert run.config["synthetic_identity"] == identity(reviewed(images, decisions(images)))
    assert torch.equal(run.synthesis.sources, images.sources[[0, 3, 4]])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "An expert accepted 2 of the synthetic images, rejected 1 and relabelled 1; 2 were not reviewed." in page
    assert "--synthetic" in page and "Still of its class?" in page and "no controls" in page
    assert "What the classifier that they were made with did not know" in page and "The bank held" not in page
    audited = run.metrics["audit"]["groups"]
    assert audited["targeted"]["n"] == 3 and not {"random", "sham", "minimised"} & audited.keys()
    assert run.metrics["seconds"]["audit"] > 0
    loaded = tsynd.load_run(tmp_path / "run")
    assert loaded.synthesis is not None and identity(loaded.synthesis) == identity(run.synthesis)
    changed = decisions(images) | {5: Decision("accept")}
    write_review(tmp_path / "r.csv", images, changed)
    with pytest.raises(TsyndError, match=r"another configuration \(synthetic_identity"):
        tsynd.run(config, tmp_path / "run")


def test_images_of_unknown_data_are_trained_on_and_not_audited(images: Synthesis, finished: Run, tmp_path: Path) -> None:
    save_synthesis(tmp_path / "set.npz", images)
    given = str(tmp_path / "set.npz")
    config = RunConfig(finished.config["data"], arm="trivialaugment", per_class=20, budget="smoke", device="cpu", synthetic=given)
    run = tsynd.run(config, tmp_path / "run")
    assert run.synthesis is not None and run.metrics["audit"] is None and run.metrics["seconds"]["audit"] == 0
    assert "does not say which data they were made from" in (tmp_path / "run" / "report.html").read_text()
