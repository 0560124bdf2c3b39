"""What others need to use a folder of synthetic images: a table, a Hugging Face data card, and Croissant metadata."""

import hashlib
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
SPEC = "http://mlcommons.org/croissant/1.0"
# The terms of the specification 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html, appendix 1.
TERMS = """citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes isLiveDataset jsonPath
key md5 parentField path recordSet references regex repeated replace samplingRate separator source subField transform"""
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS.split()},
}


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
    """Croissant 1.0 metadata of a folder that `write_sharing` makes; `table_hash` is the SHA-256 of its table."""
    kinds = {"file_name": "sc:Text", "label": "sc:Text", "source_index": "sc:Integer", "source": "sc:Text"}
    kinds |= dict.fromkeys(MEASURES, "sc:Float")
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"images/{name}",
            "name": name,
            "dataType": kind,
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
        }
        for name, kind in kinds.items()
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": SPEC,
        "name": card["identity"],
        "description": f"{card['what']} {card['anonymity']['statement']}",
        "license": card["data"]["licence"],
        "url": "https://arxiv.org/abs/2406.17473",
        "version": f"{card['method_version']}.0.0",
        "citeAs": f"{card['data']['citation']} TSynD, arXiv 2406.17473.".strip(),
        "isBasedOn": card["data"]["name"],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": TABLE,
                "name": TABLE,
                "contentUrl": TABLE,
                "encodingFormat": "text/csv",
                "sha256": table_hash,
            },
            {"@type": "cr:FileSet", "@id": "pictures", "name": "pictures", "encodingFormat": "image/png", "includes": "*.png"},
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": fields}],
    }


def _title(card: dict[str, Any]) -> str:
    return f"{card['images']} targeted synthetic images from {card['data']['name']}"


def _licence(words: str) -> str:
    """A licence by the identifier of Hugging Face; `other` for what it has no word for.

    >>> _licence("CC BY-NC 4.0"), _licence("as its owner says")
    ('cc-by-nc-4.0', 'other')
    """
    found = re.match(r"CC BY(-[A-Z-]+)? (\d\.\d)", words)
    return f"cc-by{(found[1] or '').lower()}-{found[2]}" if found else "other"
