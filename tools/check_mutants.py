"""Do the tests notice? Break one formula at a time, in a copy, and run the tests that must fail.

    python tools/check_mutants.py [--only tsynd/uncertainty.py] [--list] [--out results/mutants]

`tools/mutants.yaml` says what is broken, how, and which test files must catch it. Each mutant is put into a copy of the package
and its tests in a temporary folder, and for each it is said which test failed, or that the mutant survived. It exits with 1 when
one survived, and when a text of the table no longer stands exactly once in its module. `--out` gets `summary.json` and
`summary.md`.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tsynd.errors import TsyndError
from tsynd.files import write_json, write_text
from tsynd.versions import versions

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).resolve().parent / "mutants.yaml"
# What the tests need beside the package; tests import from the last three.
COPIED = ("tsynd", "tests", "pyproject.toml", "benchmarks", "studies", "tools")
SECONDS = 600  # for the tests of one mutant
SURVIVED = "SURVIVED"

WITNESS = '''"""Say from which file a module was imported."""

import os
import sys


def pytest_terminal_summary(terminalreporter):
    module = sys.modules.get(os.environ["WITNESSED"])
    terminalreporter.write_line(f"imported: {module and module.__file__}")
'''


@dataclass(frozen=True)
class Mutant:
    """One way to break a module. text: as it stands there, exactly once. tests: the files of which one must fail."""

    module: str
    text: str
    broken: str
    why: str
    tests: tuple[str, ...]


def main() -> int:
    """Judge the mutants one after another; say what became of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--only", metavar="MODULE", default="", help="a module, or a folder of them, such as tsynd/study")
    parser.add_argument("--out", type=Path, help="where the summary goes")
    arguments = parser.parse_args()
    mutants = [each for each in read_table(TABLE) if each.module.startswith(arguments.only)]
    if not mutants:
        print(f"error: no mutant of {arguments.only}: see --list", file=sys.stderr)
        return 2
    if arguments.out and arguments.only:
        print("error: a summary is of all mutants: --out goes without --only", file=sys.stderr)
        return 2
    if arguments.list:
        print("\n".join(f"{each.module}: {each.why}\n  - {each.text}\n  + {each.broken}" for each in mutants))
        return 0
    if lost := misplaced(ROOT, mutants):
        print("\n".join(lost))
        return 1
    rows = []
    for each in mutants:
        rows.append(row(each, verdict(ROOT, each)))
        print(f"{each.module}: {each.why}: {rows[-1]['verdict']}", flush=True)
    if arguments.out:
        write_json(arguments.out / "summary.json", {"versions": versions(), "mutants": rows})
        write_text(arguments.out / "summary.md", summary(rows))
    caught = sum(each["caught"] for each in rows)
    print(f"{caught} of {len(rows)} mutants were caught")
    return int(caught < len(rows))


def read_table(path: Path) -> list[Mutant]:
    """The mutants of a table, in its order."""
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Mutant(group["module"], each["text"], each["broken"], each["why"], tuple(each.get("tests", group["tests"])))
        for group in groups
        for each in group["mutants"]
    ]


def misplaced(root: Path, mutants: Sequence[Mutant]) -> list[str]:
    """A line for each mutant whose text does not stand exactly once in its module."""
    lines = []
    for each in mutants:
        found = (root / each.module).read_text(encoding="utf-8").count(each.text)
        if found != 1:
            lines.append(f"{each.module}: {each.why}: its text stands there {found} times, not once: {each.text!r}")
    return lines


def broken(root: Path, mutant: Mutant) -> str:
    """The module as the mutant has it.

    Raises:
        TsyndError: when the text is not there exactly once, and when the module means the same as before or nothing at all.
    """
    if lost := misplaced(root, [mutant]):
        raise TsyndError(lost[0])
    before = (root / mutant.module).read_text(encoding="utf-8")
    after = before.replace(mutant.text, mutant.broken)
    try:
        same = ast.dump(ast.parse(after)) == ast.dump(ast.parse(before))
    except SyntaxError as error:
        raise TsyndError(f"{mutant.module}: {mutant.why}: what it becomes is not Python: {error}") from error
    if same:
        raise TsyndError(f"{mutant.module}: {mutant.why}: nothing is broken, the module means the same as before")
    return after


def verdict(root: Path, mutant: Mutant) -> str:
    """Which test caught the mutant, as `caught by TEST`; or `SURVIVED`; or why neither can be said."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name).resolve()
        _copy(root, folder)
        write_text(folder / mutant.module, broken(root, mutant))
        write_text(folder / "witness.py", WITNESS)
        try:
            told = _run_tests(folder, mutant)
        except subprocess.TimeoutExpired:
            return f"not judged: the tests took more than {SECONDS} s"
    if f"imported: {folder / mutant.module}" not in told.stdout:
        return "not judged: the tests did not import the copy"
    failed = re.search(r"^FAILED (\S+)", told.stdout, re.MULTILINE)
    if told.returncode == 1 and failed:
        return f"caught by {failed[1].partition('[')[0]}"
    if told.returncode == 0:
        return SURVIVED
    return f"not judged: pytest exited with {told.returncode}"


def row(mutant: Mutant, said: str) -> dict[str, Any]:
    """A row of the summary."""
    what = {"module": mutant.module, "why": mutant.why, "text": mutant.text, "broken": mutant.broken}
    return what | {"verdict": said, "caught": said.startswith("caught by ")}


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: how many mutants of each module were caught, and what became of each."""
    total, caught = Counter(row["module"] for row in rows), Counter(row["module"] for row in rows if row["caught"])
    lines = ["# Mutants", "", "By `python tools/check_mutants.py --out results/mutants`.", ""]
    lines += ["| module | mutants | caught |", "|:--|--:|--:|"]
    lines += [f"| `{module}` | {total[module]} | {caught[module]} |" for module in total]
    lines += [f"| all | {total.total()} | {caught.total()} |", ""]
    lines += ["| module | what is broken | verdict |", "|:--|:--|:--|"]
    lines += [f"| `{row['module']}` | {row['why']} | {row['verdict']} |" for row in rows]
    return "\n".join(lines) + "\n"


def _copy(root: Path, folder: Path) -> None:
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (root / name).exists():
            shutil.copy(root / name, folder / name)


def _run_tests(folder: Path, mutant: Mutant) -> subprocess.CompletedProcess[str]:
    """Pytest on the mutant's test files, in the copy and from it."""
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    module = mutant.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "WITNESSED": module}
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "witness", "--rootdir", str(folder), "--hypothesis-seed=0"]
    command = [sys.executable, "-m", "pytest", *options, *mutant.tests]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=SECONDS)


if __name__ == "__main__":
    sys.exit(main())
