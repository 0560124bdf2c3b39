"""The public interface: which names there are, and a line for each that says how it is called.

    python tools/public_api.py            # what the code has now
    python tools/public_api.py --write    # keep it as tests/public_api.txt, which a test compares

A name is public if its module is listed here and has it in `__all__`. All else may change without notice.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_origin

from tsynd.utils.atomic_files import write_text

KEPT = Path(__file__).resolve().parent.parent / "tests" / "public_api.txt"
FUNCTION = re.compile(r"<function (\w+) at 0x[0-9a-f]+>")  # a default that is one
# In the order of the chapters. The checkers of `tsynd.teaching.exercises` stand on the page of objectives.
MODULES = (
    "tsynd", "tsynd.data", "tsynd.data.quality", "tsynd.data.phantom", "tsynd.autoencoding", "tsynd.classification",
    "tsynd.uncertainty", "tsynd.posterior", "tsynd.targeting", "tsynd.augmentation", "tsynd.training", "tsynd.synthetic",
    "tsynd.audit", "tsynd.metrics.classification", "tsynd.robustness", "tsynd.robustness.attribution", "tsynd.runs.card",
    "tsynd.study", "tsynd.study.statistics", "tsynd.pretrained", "tsynd.teaching", "tsynd.errors",
)  # fmt: skip


def public_names() -> Iterator[tuple[str, str, Any]]:
    """Each public name: its module, the name, and the object."""
    for module in MODULES:
        home = import_module(module)
        for name in home.__all__:
            value = getattr(home, name)
            if not inspect.ismodule(value):
                yield module, name, value


def signature(module: str, name: str, value: Any) -> str:
    """One line: how a function or class is called, with the fields and public methods of a class."""
    full = f"{module}.{name}"
    if inspect.isclass(value):
        return f"class {full}{_call(value)}{_members(value)}"
    if inspect.isfunction(value):
        return f"{full}{_call(value)}"
    return f"{full}: {'a type' if get_origin(value) else type(value).__name__}"


def _call(value: Any) -> str:
    """Names, kinds and defaults of the arguments; types are mypy's business."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:  # of a built-in's subclass
        return ""
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return FUNCTION.sub(r"\1", str(inspect.Signature(bare)))


def _members(value: type) -> str:
    """The public methods and properties that a class adds, without the fields that its call names."""
    known = {each.name for each in fields(value)} if is_dataclass(value) else set()
    names = sorted(name for name in vars(value) if not name.startswith("_") and name not in known)
    return f" with {', '.join(names)}" if names else ""


def text() -> str:
    """The whole interface, a line for each name."""
    return "".join(f"{signature(*each)}\n" for each in public_names())


def main() -> int:
    """Print the interface, or keep it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep it as tests/public_api.txt")
    if parser.parse_args().write:
        write_text(KEPT, text())
    else:
        print(text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
