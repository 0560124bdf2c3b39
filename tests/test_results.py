"""What the book shows of `results/` is what stands there, and the summary follows from the rows."""

import json
from pathlib import Path

import first_look
import make_landing

RESULTS = Path(__file__).resolve().parent.parent / "results" / "first-look"


def test_the_landing_page_s_table_is_current() -> None:
    assert make_landing.TABLE.read_text(encoding="utf-8") == make_landing.table(make_landing.read())


def test_the_summary_follows_from_the_rows() -> None:
    rows = [
        row | {"seed": int(row["seed"])} | {name: float(row[name]) for name in first_look.MEASURES} for row in make_landing.read()
    ]
    assert json.loads((RESULTS / "summary.json").read_text()) == first_look.summarise(rows)


def test_differences_are_paired_by_seed() -> None:
    def row(arm: str, seed: int, value: float) -> dict[str, object]:
        return {"data": "toy", "arm": arm, "seed": seed} | dict.fromkeys(first_look.MEASURES, value)

    rows = [row(arm, seed, seed + 0.1 * first_look.ARMS.index(arm)) for arm in first_look.ARMS for seed in (0, 1, 2)]
    rows.append(row("none", 3, 100.0))  # without its pair: left out
    summary = first_look.summarise(rows)
    assert summary["means"]["toy"]["seeds"] == 3
    assert summary["means"]["toy"]["none"]["auroc"] == 1.0
    assert summary["differences"]["toy"]["guarded - none"]["auroc"] == {"mean": 0.2, "lowest": 0.2, "highest": 0.2}
