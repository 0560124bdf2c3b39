"""What no source file of the package does: run what it reads, or raise what nobody expects. By syntax, not by text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "tsynd"
SOURCES = sorted(PACKAGE.rglob("*.py"))

CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "marshal.loads",
    "yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "joblib.load", "pandas.read_pickle", "shelve.open",
    "numpy.fromfile", "numpy.memmap", "numpy.lib.format.open_memmap", "tempfile.mktemp", "zipfile.ZipFile.extractall",
}  # fmt: skip
"""Functions that run what they read, or read without a check. Where the package needs one all the same, it is in `ALLOWED`."""
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "subprocess"}
ALLOWED = {
    ("utils/safe_parsing.py", "yaml.load"),  # with a loader of ours that derives from SafeLoader
    ("utils/user_weights.py", "pickle"),  # the error that torch raises when a file holds more than weights
    ("study/runner.py", "subprocess"),  # asks git for the commit, by a list of words
    ("utils/cache.py", "numpy.lib.format.open_memmap"),  # a new file is written
}
SAFE_WHEN = {
    "torch.load": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
    "numpy.lib.format.read_array": ("allow_pickle", False),
}
DEFAULT_IS_SAFE = {"numpy.load"}

RAISED = {
    "TsyndError", "DataUnavailable", "NotYet", "unknown", "_no_dropout", "_no_log_probabilities",  # ours
    "WrongBytes", "OSError", "ValueError", "Image.DecompressionBombError",  # caught where a file is read, and told in our words
    "AttributeError", "NotImplementedError",  # of a module's names, and of methods that others write
    "KeyboardInterrupt", "typer.Exit",  # of the command line
}  # fmt: skip


def names_of(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: `np` for `numpy`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                first = each.name.partition(".")[0]
                found[each.asname or first] = each.name if each.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`np.lib.format` as `numpy.lib.format`; empty for what is no name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (before := dotted(node.value, names)):
        return f"{before}.{node.attr}"
    return ""


def dangers(text: str, name: str = "x.py") -> list[str]:
    """What a source does that it must not, with the line."""
    tree = ast.parse(text)
    names, found = names_of(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [(node.lineno, module) for module in modules if module.partition(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        called, given = dotted(node.func, names), {each.arg: each.value for each in node.keywords}
        if called in CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in ("extractall", "extract")):
            found.append((node.lineno, called))
        if "shell" in given or (None in given and called.startswith("subprocess")):
            found.append((node.lineno, f"{called} with shell"))
        if called in SAFE_WHEN:
            option, value = SAFE_WHEN[called]
            said = given.get(option)
            if not (isinstance(said, ast.Constant) and said.value is value) and not (said is None and called in DEFAULT_IS_SAFE):
                found.append((node.lineno, f"{called} without {option}={value}"))
    return [f"{name}:{line}: {what}" for line, what in found if (name, what) not in ALLOWED]


def raised(text: str) -> Iterator[tuple[int, str]]:
    """What is raised, with the line; nothing for a bare `raise` and for an exception that was caught and has a name."""
    tree = ast.parse(text)
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = dotted(kind, {}) or ast.unparse(kind)
            if name not in caught:
                yield node.lineno, name


def of_package(path: Path) -> tuple[str, str]:
    return path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()


def test_no_source_runs_what_it_reads() -> None:
    assert len(SOURCES) > 100
    assert [danger for path in SOURCES for danger in dangers(*of_package(path))] == []


def test_what_is_raised_is_of_a_short_list() -> None:
    found = [(name, *each) for text, name in map(of_package, SOURCES) for each in raised(text)]
    assert [each for each in found if each[2] not in RAISED] == []
    assert RAISED - {each[2] for each in found} == set(), "no longer raised: take it off the list"


def test_every_exception_of_the_package_is_a_tsynd_error_or_known() -> None:
    classes = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = [dotted(base, {}).rpartition(".")[2] for base in node.bases]
    ends = ("Error", "Exception", "DataUnavailable", "NotYet")
    errors = {name for name, bases in classes.items() if any(base.endswith(ends) for base in bases)}
    assert errors == {"TsyndError", "DataUnavailable", "NotYet", "WrongBytes"}
    assert classes["DataUnavailable"] == ["TsyndError"] and classes["TsyndError"] == ["ValueError"]
    assert classes["NotYet"] == ["Exception"], "what a checker of exercises says is no bad input"
    assert classes["WrongBytes"] == ["OSError"], "caught where it is raised: in tsynd/utils/downloads.py"


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')", "exec('1')", "import pickle", "from pickle import loads", "import torch as t\nt.load('x')",
        "import torch\ntorch.load('x', weights_only=False)", "from torch import load\nload('x')", "import yaml\nyaml.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)", "import numpy as np\nnp.lib.format.read_array(x)",
        "import subprocess", "run('x', shell=True)", "import os\nos.system('x')", "zip.extractall('x')",
    ],
)  # fmt: skip
def test_a_danger_is_seen(text: str) -> None:
    assert dangers(text)


@pytest.mark.parametrize(
    "text", ["# eval(x)", "'yaml.load(x)'", "network.eval()", "import re\nre.compile('x')", "import numpy as np\nnp.load('x')"]
)
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert dangers(text) == []


def test_what_is_raised_is_seen() -> None:
    text = "try:\n    raise KeyError('x')\nexcept Exception as error:\n    raise error\nraise TypeError\nraise a.B(1)"
    assert [name for _, name in raised(text)] == ["TypeError", "a.B", "KeyError"]
