"""The instructor's pack: questions with reasons, an exam that adds up, projects with the numbers of the study, a leaderboard."""

import json
import re
import statistics
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import yaml
from book_exercises import open_tasks
from leaderboard import leaderboard, main
from question_bank import gift, sheet
from scipy.stats import t  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
PACK = ROOT / "instructor"
BANK: dict[str, list[dict[str, Any]]] = yaml.safe_load((PACK / "questions.yaml").read_text(encoding="utf-8"))
CHAPTERS = {path.stem: path for path in sorted(ROOT.glob("notebooks/0*.ipynb"))}


def test_the_bank_has_eight_questions_for_each_chapter_each_answer_with_a_reason() -> None:
    assert list(BANK) == list(CHAPTERS)
    asked = [question["ask"] for questions in BANK.values() for question in questions]
    assert len(asked) == len(set(asked))
    for chapter, questions in BANK.items():
        assert len(questions) >= 8, chapter
        for question in questions:
            answers = [question["right"], *question["wrong"]]
            assert len(answers) >= 3
            assert all(len(each) == 2 and all(isinstance(text, str) and text for text in each) for each in answers), question
            assert len({text for text, _ in answers}) == len(answers), question


def test_the_questions_are_not_those_of_the_book() -> None:
    pages = "\n".join(cell.source for path in CHAPTERS.values() for cell in nbformat.read(path, as_version=4).cells)
    assert not [question["ask"] for questions in BANK.values() for question in questions if question["ask"] in pages]


def test_the_right_answer_is_not_always_in_one_place_and_the_key_names_it() -> None:
    questions = [question for each in BANK.values() for question in each]
    text, key = sheet(questions, 3).split("# Key")
    letters = re.findall(r"\*\*\d+\. ([A-E])\*\*", key)
    assert len(letters) == len(questions)
    assert min(letters.count(letter) for letter in "ABC") > len(questions) / 6
    for question, letter, part in zip(questions, letters, re.split(r"\*\*\d+\.\*\*", text)[1:], strict=True):
        assert f"- {letter}. {question['right'][0]}" in part


def test_gift_has_one_right_answer_each_and_escapes_what_means_something() -> None:
    text = gift(BANK, 0)
    assert text.count("\n=") == sum(map(len, BANK.values()))
    body = {"c": [{"ask": "a {b} = 1?", "right": ["x: ~1", "y"], "wrong": [["#2", "z"], ["3", "w"]]}]}
    assert r"a \{b\} \= 1?" in gift(body, 0)
    assert r"=x\: \~1 #y" in gift(body, 0)


def test_the_exam_adds_up_and_its_marking_scheme_has_every_part() -> None:
    exam, marking = ((PACK / name).read_text(encoding="utf-8") for name in ("exam.md", "exam-marking.md"))
    total = 0
    for part, marked in zip(exam.split("\n## ")[1:], marking.split("\n## ")[1:], strict=True):
        points = int(re.search(r"\((\d+) points\)", part)[1])  # type: ignore[index]
        asked = [int(each) for each in re.findall(r"\((\d+)\)\n", part + "\n")]
        assert sum(asked) == points == int(re.search(r"\((\d+)\)", marked)[1])  # type: ignore[index]
        assert [int(each) for each in re.findall(r"\*\*\((\d+)\)\*\*", marked)] == asked
        total += points
    assert total == 90


def test_every_open_task_has_a_rubric_of_four_lines_and_a_sample_answer() -> None:
    parts = re.split(r"^### Open task: ", (PACK / "tasks.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    titles = [part.partition("\n")[0] for part in parts]
    assert titles == [title for path in CHAPTERS.values() for title in open_tasks(nbformat.read(path, as_version=4))]
    for part in parts:
        part = re.split(r"^## ", part, flags=re.MULTILINE)[0]
        assert len(re.findall(r"^\d\. The answer ", part, re.MULTILINE)) == 4, part[:40]
        assert len(part.split("**Sample answer.**")[1].split()) > 50, part[:40]


@pytest.mark.parametrize(("name", "points"), [("weak", 33), ("fair", 67), ("strong", 94)])
def test_the_gradings_of_the_projects_add_up(name: str, points: int) -> None:
    text = (PACK / "projects" / f"{name}.md").read_text(encoding="utf-8")
    rows = [(int(got), int(of)) for got, of in re.findall(r"^\| (\d+) \| (\d+) \|", text, re.MULTILINE)]
    assert (sum(got for got, _ in rows), sum(of for _, of in rows)) == (points, 100)
    assert f"## Grading: {points} of 100" in text
    scheme = (ROOT / "book/teaching/project.md").read_text(encoding="utf-8").split("## Grading\n")[1].split("\n## ")[0]
    assert [of for _, of in rows] == [int(each) for each in re.findall(r"^\| (\d+) \|", scheme, re.MULTILINE)]


def test_the_numbers_of_the_projects_are_those_of_the_study() -> None:
    runs = pd.read_csv(ROOT / "results/main/runs.csv", dtype={"per_class": str})
    runs = runs[runs["data"].eq("pneumoniamnist") & runs["per_class"].eq("25")]
    pgd, auroc = (runs.pivot(index="seed", columns="arm", values=name) for name in ("pgd_2_255", "auroc"))
    gain = pgd["guarded"] - pgd["tsynd"]
    weak, fair, strong = ((PACK / "projects" / f"{name}.md").read_text(encoding="utf-8") for name in ("weak", "fair", "strong"))
    assert gain.idxmax() == 6
    assert f"rose from {pgd['tsynd'][6]:.3f} to {pgd['guarded'][6]:.3f}" in weak
    assert (gain[:3] > 0).all()
    assert f"from {pgd['none'].mean():.3f} to {pgd['guarded'].mean():.3f}" in weak
    assert ((auroc["guarded"] - auroc["tsynd"]) > 0).sum() == 7
    half = t.ppf(0.975, 9) * gain.std() / 10**0.5
    interval = f"{gain.mean() - half:+.3f} to {gain.mean() + half:+.3f}".replace("-", "−")
    assert f"+{gain.mean():.3f}, with a standard deviation of {gain.std():.3f}" in fair
    assert interval in fair
    assert interval in strong
    assert (gain > 0).sum() == 8
    known = pd.read_csv(ROOT / "results/main/report/differences.csv", dtype={"per_class": str})
    wanted = {"data": "pneumoniamnist", "per_class": "25", "arm": "tsynd", "other": "random", "measure": "pgd_2_255"}
    check = known[(known[list(wanted)] == pd.Series(wanted)).all(axis=1)].iloc[0]
    assert f"+{check['mean']:.3f} (crossed interval +{check['low']:.3f} to +{check['high']:.3f})" in strong


def metrics(folder: Path, arm: str, seed: int, value: float, **config: Any) -> Path:
    path = folder / f"{arm}-{seed}.json"
    facts = {"data": "phantom", "per_class": 60, "size": 28, "budget": "smoke", "evaluate": "test", "arm": arm, "seed": seed}
    path.write_text(
        json.dumps({"config": facts | config, "attacks": {"pgd": {"0.0078": value}}, "weights_hash": f"{arm}{seed}{value}"})
    )
    return path


def test_a_leaderboard_compares_with_the_controls_at_the_same_seeds(tmp_path: Path) -> None:
    ours, theirs = [0.5, 0.6, 0.7], [0.45, 0.5, 0.68]
    paths = [metrics(tmp_path, "mine", seed, value) for seed, value in enumerate(ours)]
    paths += [metrics(tmp_path, "none", seed, value) for seed, value in enumerate(theirs)]
    paths.append(metrics(tmp_path, "single", 0, 0.9))
    text = leaderboard(paths)
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == ["single", "mine", "none"]
    assert "one seed tells nothing" in lines[0]
    apart = [a - b for a, b in zip(ours, theirs, strict=True)]
    half = t.ppf(0.975, 2) * statistics.stdev(apart) / 3**0.5
    mean = statistics.fmean(apart)
    assert f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})" in lines[1]
    assert "`none` (control)" in lines[2]


def test_what_does_not_belong_in_one_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none, mine = metrics(tmp_path, "none", 0, 0.5), metrics(tmp_path, "mine", 0, 0.6)
    with pytest.raises(ValueError, match="differs in budget: 'cpu'"):
        leaderboard([none, metrics(tmp_path, "other", 0, 0.7, budget="cpu")])
    with pytest.raises(ValueError, match="a ranking needs a control"):
        leaderboard([mine])
    (tmp_path / "again.json").write_text(mine.read_text())
    with pytest.raises(ValueError, match="holds the same network"):
        leaderboard([none, mine, tmp_path / "again.json"])
    (tmp_path / "broken.json").write_text("[]")
    assert main([str(tmp_path / "broken.json")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
