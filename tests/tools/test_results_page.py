"""The page of results says how much of its study is there."""

import shutil
from pathlib import Path

from results_page import results_page

ROOT = Path(__file__).parents[2]


def test_a_study_that_is_complete_is_called_complete_whatever_the_version_of_the_method() -> None:
    page = results_page(ROOT)
    assert "All 920 runs that decide are done." in page
    assert "so far" not in page


def test_a_study_with_runs_missing_says_how_many_and_which_verdicts_wait(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    shutil.copy(ROOT / "studies" / "main.yaml", tmp_path / "studies")
    shutil.copytree(ROOT / "results" / "main" / "report", tmp_path / "results" / "main" / "report")
    rows = (ROOT / "results" / "main" / "runs.csv").read_text(encoding="utf-8").splitlines()
    place = rows[0].split(",").index("arm")
    of_entropy = [row for row in rows if row.split(",")[place] == "entropy"]
    kept = "\n".join(row for row in rows if row not in of_entropy[:3])
    (tmp_path / "results" / "main" / "runs.csv").write_text(kept + "\n", encoding="utf-8")
    page = results_page(tmp_path)
    assert "runs that decide are done" in page and "The study is running: 9" in page
    assert "so far not supported" in page.partition("against `entropy`)")[2].partition("\n")[0]
    assert "so far" not in page.partition("harder to attack (`tsynd`)")[2].partition("\n")[0]
