"""The page of data cards: what is published about each set that comes by name, as Markdown, from the registry."""

import re
from collections.abc import Iterable

from tsynd.data.medmnist.registry import Facts
from tsynd.utils.downloads import megabytes


def data_cards(sets: Iterable[Facts]) -> str:
    """The page, a section a set."""
    known = list(sets)
    rows = [
        f"| [{facts.title}](card-{facts.name}) | {facts.shows} | {facts.task} | {len(facts.classes)} | {sum(facts.counts):,} | "
        f"{facts.licence} |"
        for facts in known
    ]
    return f"""# Data cards: the data sets of MedMNIST

You can name the {len(known)} two-dimensional data sets of MedMNIST {{cite:p}}`yang2023medmnist` after `--data`, for example
`--data breastmnist`. Each is published at 28, 64, 128 and 224 pixels. `tsynd data list` prints them in short and shows which
files you have, and `tsynd data fetch NAME` downloads one. The package uses the same facts as this page: it checks each
downloaded file against the MD5 sum below.

| data set | shows | task | classes | images | licence |
|---|---|---|---|---|---|
{chr(10).join(rows)}

None of these images is for clinical use. MedMNIST cropped and shrank them and merged some classes, so what a classifier
achieves here says little about the clinic.

{chr(10).join(_card(facts) for facts in known)}"""


def _card(facts: Facts) -> str:
    """The section of one set."""
    labels = "labels, and an image can have several" if facts.task == "multi-label" else "classes"
    train, val, test = facts.counts
    sizes = "; ".join(f"{megabytes(facts.bytes(size))} at {size} px" for size in facts.md5)
    lines = [
        f"- **Shows:** {facts.shows}, {'RGB' if facts.channels == 3 else 'grey'}.",
        f"- **Task:** {facts.task}, {len(facts.classes)} {labels}: {'; '.join(facts.classes)}.",
        f"- **Images:** {train:,} for training, {val:,} for validation, {test:,} for the test.",
        f"- **In memory:** {sizes}. The files are smaller.",
        f"- **Licence:** {facts.licence}.",
        f"- **Source:** {_linked(facts.citation)}.",
        *([f"- **Note:** {facts.note}"] if facts.note else []),
    ]
    checksums = "\n".join(f"| `{facts.file(size)}` | `{md5}` |" for size, md5 in facts.md5.items())
    return f"""(card-{facts.name})=
## {facts.title}

{chr(10).join(lines)}

| file | MD5 |
|---|---|
{checksums}
"""


def _linked(citation: str) -> str:
    """A citation whose DOIs are links.

    >>> _linked("A and B, Cell 1 (2018), doi:10.1016/j.cell.1")
    'A and B, Cell 1 (2018), [doi:10.1016/j.cell.1](https://doi.org/10.1016/j.cell.1)'
    """
    return re.sub(r"doi:(10\.\S+)", r"[doi:\1](https://doi.org/\1)", citation)
