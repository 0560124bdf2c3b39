"""Take questions from the instructor's bank: a sheet with its key, or a GIFT file that Moodle and other platforms import.

python tools/question_bank.py --sheet [--chapter 03_uncertainty] [--count 5] [--seed 1]
python tools/question_bank.py --gift > questions.gift
"""

import argparse
import random
import re
import sys
from pathlib import Path
from typing import Any

import yaml

BANK = Path(__file__).resolve().parent.parent / "instructor" / "questions.yaml"
LETTERS = "ABCDE"


def answers(question: dict[str, Any], seed: int) -> list[tuple[str, str, bool]]:
    """The answers of a question in an order that depends on the seed: text, reason, and whether it is right."""
    given = [(*question["right"], True), *((*each, False) for each in question["wrong"])]
    random.Random(f"{seed} {question['ask']}").shuffle(given)
    return given


def sheet(questions: list[dict[str, Any]], seed: int) -> str:
    """A sheet in Markdown, and the key with its reasons on a page of its own."""
    asked, key = ["# Questions", ""], ["# Key", ""]
    for number, question in enumerate(questions, 1):
        given = answers(question, seed)
        asked += [f"**{number}.** {question['ask']}", "", *(f"- {LETTERS[at]}. {each[0]}" for at, each in enumerate(given)), ""]
        right = next(LETTERS[at] for at, each in enumerate(given) if each[2])
        key += [f"**{number}. {right}**", "", *(f"- {LETTERS[at]}: {each[1]}" for at, each in enumerate(given)), ""]
    return "\n".join([*asked, "---", "", *key])


def gift(bank: dict[str, list[dict[str, Any]]], seed: int) -> str:
    """The whole bank in GIFT, a category for each chapter; a reason is the feedback of its answer."""
    parts = []
    for chapter, questions in bank.items():
        parts.append(f"$CATEGORY: tsynd/{chapter}")
        for number, question in enumerate(questions, 1):
            lines = [f"{'=' if right else '~'}{_plain(text)} #{_plain(why)}" for text, why, right in answers(question, seed)]
            body = "\n".join(lines)
            parts.append(f"::{chapter} {number}:: {_plain(question['ask'])} {{\n{body}\n}}")
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Text with the characters escaped that mean something in GIFT."""
    return re.sub(r"([~=#{}:])", r"\\\1", text)


def main(arguments: list[str] | None = None) -> int:
    """Print what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--sheet", action="store_true")
    form.add_argument("--gift", action="store_true")
    parser.add_argument("--chapter", help="one chapter, such as 03_uncertainty")
    parser.add_argument("--count", type=int, help="so many questions, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, and of the order of answers")
    options = parser.parse_args(arguments)
    bank = yaml.safe_load(BANK.read_text(encoding="utf-8"))
    if options.chapter and options.chapter not in bank:
        print(f"error: no chapter {options.chapter!r} in the bank (there: {', '.join(bank)})", file=sys.stderr)
        return 2
    bank = {name: questions for name, questions in bank.items() if options.chapter in (None, name)}
    if options.gift:
        print(gift(bank, options.seed), end="")
        return 0
    questions = [question for each in bank.values() for question in each]
    if options.count is not None:
        questions = random.Random(options.seed).sample(questions, min(options.count, len(questions)))
    print(sheet(questions, options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
