"""Do the tests notice? Break one formula at a time, in a copy, and run the tests that must fail.

    python tools/check_mutants.py --out results/mutants
    python tools/check_mutants.py --only tsynd/uncertainty.py --list

`tools/mutants.yaml` says what is broken, how, and which test files must catch it. Each mutant is put into a copy of the package
and its tests in a temporary folder, and for each it is said which test failed, or that the mutant survived. It exits with 1 when
one survived, and when a text of the table no longer stands exactly once in its module. `--out` gets `summary.json` and
`summary.md`, after each mutant anew; with `--only`, what they say of the others stays; with `--resume`, what was caught is not
asked again.
"""

import argparse
import ast
import json
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
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import versions

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
    parser.add_argument("--out", type=Path, help="the folder of the summary")
    parser.add_argument("--resume", action="store_true", help="pass over what the summary in --out says was caught")
    arguments = parser.parse_args()
    table = read_table(TABLE)
    mutants = [each for each in table if each.module.startswith(arguments.only)]
    if not mutants:
        print(f"error: no mutant of {arguments.only}: see --list", file=sys.stderr)
        return 2
    if arguments.list:
        print("\n".join(f"{each.module}: {each.why}\n  - {each.text}\n  + {each.broken}" for each in mutants))
        return 0
    if lost := misplaced(ROOT, mutants):
        print("\n".join(lost))
        return 1
    rows = read_rows(arguments.out) if arguments.out else {}
    for each in mutants:
        if arguments.resume and rows.get(each, {}).get("caught"):
            continue
        rows[each] = row(each, verdict(ROOT, each))
        print(f"{each.module}: {each.why}: {rows[each]['verdict']}", flush=True)
        if arguments.out:
            write_rows(arguments.out, [rows[known] for known in table if known in rows])
    caught = sum(rows[each]["caught"] for each in mutants)
    print(f"{caught} of {len(mutants)} mutants were caught")
    return int(caught < len(mutants))


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
        module = folder / mutant.module
        write_text(module, broken(root, mutant))
        for compiled in (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc"):
            compiled.unlink()
        write_text(folder / "witness.py", WITNESS)
        try:
            told = _run_tests(folder, mutant)
        except subprocess.TimeoutExpired:
            return f"not judged: the tests took more than {SECONDS} s"
    if f"imported: {module}" not in told.stdout:
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
    return what | {"tests": list(mutant.tests), "verdict": said, "caught": said.startswith("caught by ")}


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


def read_rows(folder: Path) -> dict[Mutant, dict[str, Any]]:
    """What a summary says of each mutant; nothing, when there is none yet."""
    path = folder / "summary.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["mutants"] if path.exists() else []
    return {Mutant(each["module"], each["text"], each["broken"], each["why"], tuple(each["tests"])): each for each in rows}


def write_rows(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a summary."""
    write_json(folder / "summary.json", {"versions": versions(), "mutants": rows})
    write_text(folder / "summary.md", summary(rows))


def _copy(root: Path, folder: Path) -> None:
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name)
        elif (root / name).exists():
            shutil.copy(root / name, folder / name)


def _run_tests(folder: Path, mutant: Mutant) -> subprocess.CompletedProcess[str]:
    """Pytest on the mutant's test files, in the copy and from it."""
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    module = mutant.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    quick = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    variables = {**os.environ, **quick, "PYTHONPATH": path, "WITNESSED": module}
    options = ["-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0", "-p", "witness"]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--rootdir", str(folder), *options, *mutant.tests]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=SECONDS)


if __name__ == "__main__":
    sys.exit(main())
