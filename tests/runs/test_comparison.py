"""`tsynd compare`: paired differences from the files of finished runs, and what cannot be compared."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


def test_a_run_does_not_differ_from_itself_and_a_perfect_one_does(folder: Path, command: Command, tmp_path: Path) -> None:
    for name in ("same", "perfect", "other"):
        shutil.copytree(folder, tmp_path / name)
    path = tmp_path / "perfect" / "predictions.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    chances = [name for name in rows[0] if name.startswith("probability_")]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        for row in rows:
            table.writerow(row | {name: str(0.1 + 0.8 * (number == int(row["label"]))) for number, name in enumerate(chances)})
    out = tmp_path / "c.html"
    code, said, _ = command("compare", folder, tmp_path / "same", tmp_path / "perfect", "--out", out)
    assert code == 0 and f"report: {out}" in said
    lines = said.splitlines()
    assert "same minus guarded: AUROC 0.000 (0.000 to 0.000), not told apart" in lines
    assert any(line.startswith("perfect minus guarded: AUROC 0.") and line.endswith("higher") for line in lines)
    page = out.read_text(encoding="utf-8")
    assert "3 runs compared" in page and "://" not in page.replace("http://www.w3.org", "")
    (tmp_path / "other" / "predictions.csv").write_text(path.read_text().replace("\n", "\n9", 2))
    for arguments, message in (
        ([folder], "needs at least two runs, got 1"),
        ([folder, tmp_path / "other"], "was not evaluated on the images of guarded"),
        ([folder, tmp_path], "is not a run's folder"),
    ):
        code, _, said = command("compare", *arguments, "--out", tmp_path / "d.html")
        assert code == 2 and message in said and said.count("\n") == 1
    assert not (tmp_path / "d.html").exists()


@pytest.mark.parametrize("part", ["Which class is mistaken for which?", "sensitivity", "95 %", "ROC"])
def test_the_report_has_errors_by_class_and_intervals(folder: Path, part: str) -> None:
    assert part in (folder / "report.html").read_text(encoding="utf-8")
