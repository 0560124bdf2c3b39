"""What a chapter says of itself (metadata `tsynd`), and the cells that are generated from it: info, objectives, set-up.

The info box's time to run is that of the last execution (`run_facts.py`); nothing in these cells is typed by hand.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import run_facts
import yaml
from nbformat import NotebookNode

from tsynd.data.medmnist.registry import REGISTRY
from tsynd.utils.downloads import megabytes

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("images", "autoencoding", "uncertainty", "targeting", "training", "robustness", "study")
KEYS: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "step": (str, type(None)),
    "objectives": list,
    "minutes_reading": int,
    "device": str,
    "data": list,
    "needs": list,
}
# Numbers in the prose that nothing in the book measures, each with the reason why it may stand there.
# A lesson teaches from several chapters: it repeats their exercises, and has no tasks of its own.
OPTIONAL = {"numbers": dict, "lesson": bool}
DEVICES = {"cpu": "a CPU is enough", "gpu": "a GPU; on a CPU it can be read"}
OBJECTIVE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
FEWEST, MOST = 3, 5
# Cells that ask a reader to do something, and the minutes that one takes: an estimate, which the info box calls one.
TASKS = ("exercise", "transfer", "open")
SHORTEST, LONGEST = 5, 15


def problems(metadata: Any) -> Iterator[str]:
    """What is wrong with the front matter of one notebook, a line each."""
    if not isinstance(metadata, dict):
        yield "no front matter (metadata tsynd)"
        return
    yield from (f"front matter lacks {key}" for key in KEYS if key not in metadata)
    yield from (f"front matter has an unknown key {key}" for key in metadata if key not in KEYS | OPTIONAL)
    wrong = [key for key, kind in (KEYS | OPTIONAL).items() if key in metadata and not isinstance(metadata[key], kind)]
    yield from (f"front matter: {key} cannot be {metadata[key]!r}" for key in wrong)
    if wrong or set(KEYS) - set(metadata):
        return
    if metadata["step"] not in (*STEPS, None):
        yield f"front matter: step must be one of {', '.join(STEPS)} or null, got {metadata['step']!r}"
    if metadata["device"] not in DEVICES:
        yield f"front matter: device must be one of {', '.join(DEVICES)}, got {metadata['device']!r}"
    for name in metadata["data"]:
        if name != "phantom" and name not in REGISTRY:
            yield f"front matter: unknown data {name!r} (known: phantom, {', '.join(REGISTRY)})"
    if not FEWEST <= len(metadata["objectives"]) <= MOST:
        yield f"front matter: {FEWEST} to {MOST} objectives are asked for, got {len(metadata['objectives'])}"
    for objective in metadata["objectives"]:
        if set(objective) != {"id", "text"} or not all(isinstance(value, str) and value for value in objective.values()):
            yield f"front matter: an objective has an id and a text, got {dict(objective)}"
        elif not OBJECTIVE.fullmatch(objective["id"]):
            yield f"front matter: the id of an objective is words-with-hyphens, got {objective['id']!r}"


def fill(notebook: NotebookNode, path: Path) -> None:
    """Write the generated cells of a notebook that stands, or will stand, at `path`."""
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    metadata = {**notebook.metadata["tsynd"], "tasks": sum(map(tags.count, TASKS))}
    for cell in notebook.cells:
        for tag in set(GENERATED) & set(cell.metadata.get("tags", [])):
            cell.source = GENERATED[tag](metadata, path)


def info(metadata: Any, path: Path) -> str:
    """The box at the top: how long, on what, with which data, after which chapters; and the place on the pipeline."""
    facts = run_facts.read(path)
    run = f"{rounded(facts['processor_seconds'])} to run on one core" if facts else "time to run not measured yet"
    first = ", ".join(f"[{title(path.parent / f'{name}.ipynb')}]({name}.ipynb)" for name in metadata["needs"])
    minutes = metadata["minutes_reading"]
    rows = {
        "Time": f"{minutes} minute{'s' * (minutes != 1)} to read{working(metadata.get('tasks', 0))}, {run}",
        "Device": DEVICES[metadata["device"]],
        "Data": "; ".join(map(source_of, metadata["data"])) or "none",
        "Read first": first or "nothing",
    }
    rows |= you_are_here(metadata["step"])
    rows["Scope"] = f"research and teaching only, [not for clinical use]({online('book/scope.md')})"
    return "\n".join(f"> - **{name}:** {text}" for name, text in rows.items())


def rounded(seconds: float) -> str:
    """A duration as a reader wants it: about 20 seconds, about 2 minutes.

    >>> [rounded(seconds) for seconds in (3, 33, 61, 200)]
    ['about 10 seconds', 'about 40 seconds', 'about 1½ minutes', 'about 4 minutes']
    """
    if seconds <= 50:
        return f"about {max(10, -(-round(seconds) // 10) * 10)} seconds"
    halves = -(-round(seconds) // 30) if seconds <= 120 else 2 * -(-round(seconds) // 60)
    number = f"{halves // 2 or ''}{'½' * (halves % 2)}"
    return f"about {number} minute{'s' * (halves > 2)}"


def working(tasks: int) -> str:
    """Return how long the exercises and tasks take, as a range that says that it is an estimate; empty where there are none."""
    return f", {tasks * SHORTEST} to {tasks * LONGEST} more for the {tasks} exercises and tasks (an estimate)" if tasks else ""


def source_of(name: str) -> str:
    """A data set in a few words: where it comes from, how big it is, its licence."""
    if name == "phantom":
        return "phantoms, drawn by this package"
    facts = REGISTRY[name]
    size = f"{facts.megabytes} MB" if facts.megabytes else f"at most {megabytes(facts.bytes(28))}"
    return f"{facts.title}, {size}, downloaded on first use, {facts.licence}"


def you_are_here(step: str | None) -> dict[str, str]:
    """The pipeline in one line, with the chapter's step in bold."""
    line = " → ".join(f"**{name}**" if name == step else name for name in STEPS)
    return {"You are here" if step else "This page covers": line}


def objectives(metadata: Any, path: Path) -> str:
    """What a reader can do afterwards, with the verb in bold."""
    texts = [objective["text"].split(" ", 1) for objective in metadata["objectives"]]
    lines = [f"- {' '.join([f'**{verb}**', *rest])}" for verb, *rest in texts]
    return "After this page you can\n\n" + ";\n".join(lines) + "."


def setup(metadata: Any, path: Path) -> str:
    """The set-up cell, the same in every notebook; the repository's address comes from the book's configuration."""
    where = repository()
    return f"""# Set-up: in Colab, installs tsynd beside Colab's own torch and numpy.
try:
    import tsynd
except ModuleNotFoundError:
    %pip install --quiet git+{where["url"]}@{where["release"] or where["branch"]}
    import tsynd"""


def repository() -> dict[str, str]:
    """Return the repository's `url` and `branch`, the `release` that Colab installs, and the `book`'s published address."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    release = config["sphinx"]["config"]["html_context"]["tsynd_release"]
    return dict(config["repository"]) | {"release": release, "book": config["html"]["baseurl"].rstrip("/")}


def online(page: str) -> str:
    """Return the published address of a page of the book.

    In Colab a relative link leads nowhere. In the built book, `book/extensions/readable.py` turns the address into a link
    within it.
    """
    return f"{repository()['book']}/{page.removesuffix('.md')}.html"


GENERATED: dict[str, Callable[[Any, Path], str]] = {"info": info, "objectives": objectives, "setup": setup}


def title(path: Path) -> str:
    """The title of another notebook; its name where there is none (`tools/check_book.py` says so)."""
    if not path.is_file():
        return path.stem
    return str(nbformat.read(path, as_version=4).metadata.get("tsynd", {}).get("title", path.stem))
