"""What others need to use a folder of synthetic images: a table, a Hugging Face data card, and Croissant metadata."""

import hashlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from tsynd.data.labels import names_of
from tsynd.synthetic.npz import MEASURES
from tsynd.targeting import Synthesis
from tsynd.utils.atomic_files import write_csv, write_json, write_text

README, TABLE, CROISSANT = "README.md", "metadata.csv", "croissant.json"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (float("inf"), "100K<n<1M"))


def write_sharing(folder: Path, synthesis: Synthesis, card: dict[str, Any], names: list[str]) -> None:
    """Write `metadata.csv`, `README.md` and `croissant.json` beside the pictures of a set; `names` are the images' files.

    The folder then is a data set of the kind `imagefolder` for Hugging Face, and any reader of Croissant understands it.
    """
    labels = [names_of(label, tuple(card["classes"])) for label in synthesis.labels]
    sources = card.get("sources") or [""] * len(synthesis)
    columns = [[f"{number:.6g}" for number in getattr(synthesis, name).tolist()] for name in MEASURES]
    rows = zip(names, labels, synthesis.sources.tolist(), sources, *columns, strict=True)
    write_csv(folder / TABLE, [("file_name", "label", "source_index", "source", *MEASURES), *rows])
    write_text(folder / README, data_card(card))
    write_json(folder / CROISSANT, croissant(card, hashlib.sha256((folder / TABLE).read_bytes()).hexdigest()))


def data_card(card: dict[str, Any]) -> str:
    """The card as Hugging Face wants it: a YAML head, then text."""
    head = {
        "pretty_name": _title(card),
        "license": _licence(card["data"]["licence"]),
        "task_categories": ["image-classification"],
        "size_categories": [next(name for most, name in SIZES if card["images"] < most)],
        "tags": ["medical", "synthetic", "tsynd"],
    }
    table = "\n".join(f"| {name} | {count} |" for name, count in card["classes"].items())
    audit = card.get("audit")
    agrees = audit and audit["groups"]["targeted"]["judge_agrees"]
    seen = (
        f"A second classifier sees the label in {agrees['mean']:.0%} ({agrees['low']:.0%} to {agrees['high']:.0%}) of images "
        "that were made like these in training."
        if agrees
        else "No audit of the labels is on record."
    )
    template = (resources.files("tsynd.synthetic") / "card.md").read_text(encoding="utf-8")
    words = {"head": yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip(), "title": _title(card), "seen": seen}
    return template.format(**card | words, table=table, colour="grey" if card["channels"] == 1 else "RGB")


def croissant(card: dict[str, Any], table_hash: str) -> dict[str, Any]:
    """Croissant 1.0 metadata of a folder that `write_sharing` makes; `table_hash` is the SHA-256 of its table.

    The terms are those of https://docs.mlcommons.org/croissant/docs/croissant-spec.html, appendix 1.
    """
    found: dict[str, Any] = json.loads((resources.files("tsynd.synthetic") / "croissant.json").read_text(encoding="utf-8"))
    found |= {"name": card["identity"], "description": f"{card['what']} {card['anonymity']['statement']}"}
    found |= {"license": card["data"]["licence"], "isBasedOn": card["data"]["name"], "version": f"{card['method_version']}.0.0"}
    found["citeAs"] = f"{card['data']['citation']} TSynD, arXiv 2406.17473.".strip()
    found["distribution"][0]["sha256"] = table_hash
    return found


def _title(card: dict[str, Any]) -> str:
    return f"{card['images']} targeted synthetic images from {card['data']['name']}"


def _licence(words: str) -> str:
    """A licence by the identifier of Hugging Face; `other` for what it has no word for.

    >>> _licence("CC BY-NC 4.0"), _licence("as its owner says")
    ('cc-by-nc-4.0', 'other')
    """
    found = re.match(r"CC BY(-[A-Z-]+)? (\d\.\d)", words)
    return f"cc-by{(found[1] or '').lower()}-{found[2]}" if found else "other"
