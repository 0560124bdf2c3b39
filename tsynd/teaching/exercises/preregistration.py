"""A game for a class: commit a verdict on a comparison of the study, uncover its seeds one by one, be scored on calibration.

All who type the same code play the same rounds, so no server is needed. The comparisons are real: `comparisons.json` holds 24 of
the study's, with the difference at each of ten seeds and the verdict of its report (`tools/game_table.py` writes it).
"""

import hashlib
import json
import re
import secrets
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tsynd.errors import TsyndError

VERDICTS = ("supported", "undecided", "not supported")
TABLE = Path(__file__).with_name("comparisons.json")
LINE = re.compile(r"([^|]+)\|([^|]+)\|([0-9a-f]+)\|((?:[sun]\d{1,3},?)+)")


@dataclass(frozen=True)
class Comparison:
    """One comparison of the study: `arm` minus `other` at each seed, the interval of the mean, and the verdict."""

    arm: str
    other: str
    data: str
    measure: str
    differences: tuple[float, ...]
    low: float
    high: float
    verdict: str

    @property
    def claim(self) -> str:
        """What is to be judged before a seed is seen."""
        return f"{self.data}: does `{self.arm}` have a higher {self.measure} than `{self.other}`?"


def deal(code: str, rounds: int = 5) -> list[Comparison]:
    """Return the comparisons of a code, in their order: the same for everybody, whatever the case of its letters."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    if not code.strip() or not 1 <= rounds <= len(table):
        raise TsyndError(f"a code with a letter and 1 to {len(table)} rounds are asked for, got {code!r} and {rounds}")
    chosen = sorted(table, key=lambda each: _hash(code.strip().lower(), *each.values()))[:rounds]
    return [Comparison(**{**each, "differences": tuple(each["differences"])}) for each in chosen]


class Game:
    """The rounds of one player. Of each round: `commit`, then `uncover` until all seeds are seen; at the end `line`.

    code: shared by the class. player: a name that no other player has. secret: made anew for each game; it keeps others from
    guessing a bet from its commitment.
    """

    def __init__(self, code: str, player: str, rounds: int = 5, secret: str | None = None) -> None:
        if not player.strip() or "|" in player + code:
            raise TsyndError(f"a player's name and a code without | are asked for, got {player!r} and {code!r}")
        self.code, self.player = code.strip().lower(), player.strip()
        self.rounds = deal(code, rounds)
        self.bets: list[tuple[str, int]] = []
        self.seen = 0
        self._secret = secret or secrets.token_hex(4)

    def claim(self) -> str:
        """Return the claim of the round that waits for a bet, or that is being played."""
        number = len(self.bets) if self._finished() else len(self.bets) - 1
        if number == len(self.rounds):
            return "All rounds are played: game.line() is for the board."
        return textwrap.fill(f"Round {number + 1} of {len(self.rounds)}. {self.rounds[number].claim}", 72)

    def commit(self, verdict: str, percent: int) -> str:
        """Bet that ten seeds will give this verdict, with so many per cent; return the commitment to write on the board."""
        word = verdict.strip().lower()
        if word not in VERDICTS or not 0 <= percent <= 100:
            raise TsyndError(f"one of {', '.join(VERDICTS)} and 0 to 100 per cent are asked for, got {verdict!r} and {percent}")
        if not self._finished() or len(self.bets) == len(self.rounds):
            raise TsyndError(
                "a bet stands, and is not changed: uncover() the seeds" if self.seen < 10 else "all rounds are played"
            )
        self.bets.append((word, int(percent)))
        self.seen = 0
        return _hash(self.player, self.code, len(self.bets), *self.bets[-1], self._secret)[:6]

    def uncover(self) -> Figure:
        """Show one seed more, and above the last one what the study says and what the bet was worth."""
        from tsynd.teaching.figures import LETTERS
        from tsynd.teaching.figures.study import seeds  # needs only when played

        if self._finished():
            raise TsyndError("commit a verdict before you see a seed: game.commit('undecided', 60)")
        self.seen += 1
        now = self.rounds[len(self.bets) - 1]
        figure = seeds({f"{now.measure}\n{now.data}": now.differences[: self.seen]}, of=f"{now.arm} − {now.other}")
        if self._finished():
            figure.suptitle(self.outcome(), fontsize=LETTERS)
        return figure

    def outcome(self) -> str:
        """Return what the study says of the round that was uncovered last, and what the bet on it was worth."""
        if not self.bets or not self._finished():
            raise TsyndError(f"{self.seen} of ten seeds are uncovered: uncover() the others first")
        now, (word, percent) = self.rounds[len(self.bets) - 1], self.bets[-1]
        cost = brier(percent, word == now.verdict)
        return (
            f"95 % interval of the mean {now.low:+.3f} to {now.high:+.3f}:\n{now.verdict}. You said {word}, {percent} %.\n"
            f"Penalty {cost:.2f} (saying 50 % costs 0.25)"
        )

    def line(self) -> str:
        """Return what the board reads: player, code, secret and bets; only when all rounds are played."""
        if len(self.bets) < len(self.rounds) or not self._finished():
            raise TsyndError(f"round {max(len(self.bets), 1)} of {len(self.rounds)} is not yet played to its end")
        return f"{self.player}|{self.code}|{self._secret}|{','.join(f'{word[0]}{percent}' for word, percent in self.bets)}"

    def _finished(self) -> bool:
        """Is no round open?"""
        return not self.bets or self.seen == len(self.rounds[len(self.bets) - 1].differences)


def brier(percent: int, came_true: bool) -> float:
    """Return the squared distance between a stated probability and what happened: 0 is best, 1 worst (Brier 1950).

    >>> brier(50, True), brier(100, False)
    (0.25, 1.0)
    """
    return (percent / 100 - came_true) ** 2


def board(lines: Iterable[str], posted: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """Return a row for each player: verdicts that came true, mean stated probability, and mean penalty; the lowest wins.

    Everything is computed anew from the bets. posted: by player, the commitments on the class's board; a line that does not
    fit them is refused.

    Raises:
        TsyndError: for a line that no game made, two lines of one player, several codes, or bets that were not those posted.
    """
    rows: list[dict[str, Any]] = []
    for text in lines:
        found = LINE.fullmatch(text.strip())
        if found is None:
            raise TsyndError(f"a line of game.line() is asked for, got {text!r}")
        player, code, secret, bets = found.groups()
        words = {verdict[0]: verdict for verdict in VERDICTS}
        said = [(words[each[0]], int(each[1:])) for each in bets.rstrip(",").split(",")]
        kept = [_hash(player, code, number, *bet, secret)[:6] for number, bet in enumerate(said, 1)]
        if posted is not None and list(posted.get(player, ())) != kept:
            raise TsyndError(f"{player}'s bets are not those that were posted: {', '.join(posted.get(player, ())) or 'none'}")
        hits = [word == each.verdict for (word, _), each in zip(said, deal(code, len(said)), strict=True)]
        penalties = [brier(percent, hit) for (_, percent), hit in zip(said, hits, strict=True)]
        rows.append({
            "player": player,
            "code": code,
            "came true": sum(hits) / len(hits),
            "said": sum(percent for _, percent in said) / len(said) / 100,
            "penalty": sum(penalties) / len(penalties),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    if rows and (table["player"].duplicated().any() or table["code"].nunique() > 1):
        raise TsyndError("one line of each player, all of one code, is asked for: see the columns player and code")
    return table.sort_values("penalty", ignore_index=True) if rows else table


def _hash(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()
