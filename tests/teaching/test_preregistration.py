"""The pre-registration game: one code, one deal; bets that cannot be changed; a board that counts for itself."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from game_table import table

from tsynd.errors import TsyndError
from tsynd.teaching.exercises.preregistration import TABLE, VERDICTS, Game, board, brier, deal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def closed() -> object:
    yield
    plt.close("all")


def played(player: str, bets: list[tuple[str, int]], code: str = "autumn") -> tuple[str, list[str]]:
    game = Game(code, player, rounds=len(bets))
    posted = []
    for bet in bets:
        posted.append(game.commit(*bet))
        for _ in range(10):
            game.uncover()
    return game.line(), posted


def test_the_table_is_that_of_the_main_study() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(ROOT)
    rows = json.loads(TABLE.read_text(encoding="utf-8"))
    assert {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS} == dict.fromkeys(VERDICTS, 8)
    for row in rows:
        mean = sum(row["differences"]) / 10
        assert row["low"] - 1e-3 <= mean <= row["high"] + 1e-3
        assert (row["low"] > 0) == (row["verdict"] == "supported")


def test_a_code_deals_the_same_to_everybody_and_another_code_something_else() -> None:
    assert deal("autumn-7") == deal("  Autumn-7 ")
    assert len({each.claim for each in deal("autumn-7", 24)}) == 24
    assert deal("autumn-7", 24) != deal("autumn-8", 24)


def test_no_seed_is_seen_before_a_bet_and_no_bet_is_changed() -> None:
    game = Game("autumn", "ana", rounds=1)
    with pytest.raises(TsyndError, match="commit a verdict before"):
        game.uncover()
    game.commit("undecided", 60)
    with pytest.raises(TsyndError, match="a bet stands"):
        game.commit("supported", 90)
    figure = game.uncover()
    assert len([line for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]) == 1, "one seed is shown"
    with pytest.raises(TsyndError, match="1 of ten seeds"):
        game.outcome()
    with pytest.raises(TsyndError, match="not yet played to its end"):
        game.line()
    for _ in range(9):
        game.uncover()
    assert game.rounds[0].verdict in game.outcome()
    with pytest.raises(TsyndError, match="all rounds are played"):
        game.commit("undecided", 60)


def test_the_board_ranks_by_calibration_and_not_by_boldness() -> None:
    truth = [each.verdict for each in deal("autumn", 4)]
    wrong = [next(verdict for verdict in VERDICTS if verdict != each) for each in truth]
    careful = played("careful", list(zip(truth[:2] + wrong[2:], [50] * 4, strict=True)))
    bold = played("bold", list(zip(truth[:2] + wrong[2:], [100] * 4, strict=True)))
    right = played("right", list(zip(truth, [90] * 4, strict=True)))
    found = board([bold[0], careful[0], right[0]], {"bold": bold[1], "careful": careful[1], "right": right[1]})
    assert list(found["player"]) == ["right", "careful", "bold"]
    assert list(found["penalty"]) == pytest.approx([0.01, 0.25, 0.5])
    assert list(found["came true"]) == [1.0, 0.5, 0.5]
    assert brier(70, True) == pytest.approx(0.09)


def test_what_the_board_refuses() -> None:
    line, posted = played("ana", [("undecided", 60)])
    other = line.replace("u60", "s60")
    with pytest.raises(TsyndError, match="ana's bets are not those that were posted"):
        board([other], {"ana": posted})
    with pytest.raises(TsyndError, match="one line of each player"):
        board([line, line])
    with pytest.raises(TsyndError, match="all of one code"):
        board([line, played("bo", [("undecided", 60)], "spring")[0]])
    with pytest.raises(TsyndError, match=r"a line of game\.line\(\)"):
        board(["ana won"])


@pytest.mark.parametrize(("verdict", "percent"), [("maybe", 60), ("supported", 101), ("supported", -1)])
def test_a_bet_has_a_verdict_and_a_percentage(verdict: str, percent: int) -> None:
    with pytest.raises(TsyndError, match=f"got '{verdict}' and {percent}"):
        Game("autumn", "ana").commit(verdict, percent)


def test_a_game_needs_a_code_and_a_name() -> None:
    for code, player in (("", "ana"), ("autumn", " "), ("a|b", "ana")):
        with pytest.raises(TsyndError):
            Game(code, player)
