"""The review page: one HTML file that needs no server and no network, for experts without Jupyter."""

import json
from dataclasses import replace
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tsynd.data import Dataset, Split
from tsynd.data.labels import names_of, numbers_of
from tsynd.data.splits import shuffled
from tsynd.errors import TsyndError
from tsynd.synthetic.review_images import Album, data_uri_of
from tsynd.targeting import Synthesis
from tsynd.targeting.synthesis import identity
from tsynd.utils.atomic_files import write_text


def write_page(
    path: Path,
    synthesis: Synthesis,
    classes: tuple[str, ...],
    *,
    sources: Tensor | None = None,
    title: str = "Targeted images",
    blind: Split | None = None,
) -> None:
    """Write a page on which an expert accepts, rejects or relabels each image from the keyboard and downloads a CSV.

    Decisions stay in the browser over a reload; nothing is sent anywhere. The page holds the images, so it is as
    confidential as they are.

    Args:
        path: the `.html`; it appears whole or not at all.
        synthesis: what is reviewed.
        classes: the names of class 0, 1, …; of several labels an image those of the labels, and such images are accepted or
            rejected, not relabelled.
        sources: the real images, one for each row; left out without them.
        title: the heading.
        blind: real images to mix in, as `real_images` chooses them. The page then shows one image at a time, without its label,
            its source or anything else that tells which are real, and asks for the class.
    """
    album = Album(synthesis, sources)
    limit, several = album.limit, synthesis.labels.ndim == 2
    images: list[dict[str, Any]] = [
        {
            "index": str(index),
            **_label(label, classes),
            "source": int(synthesis.sources[index]),
            "before": round(float(synthesis.mutual_information_before[index]), 4),
            "after": round(float(synthesis.mutual_information_after[index]), 4),
            "fall": round(float(synthesis.log_prob_fall[index]), 3),
            "pictures": {name: album.uri(name, index, limit) for name in album.names},
        }
        for index, label in enumerate(synthesis.labels)
    ]
    if blind is not None:
        real = zip(blind.names or (), blind.labels, blind.images, strict=True)
        controls = [
            {"index": f"real {name}", **_label(label, classes), "source": int(name), "pictures": {"targeted": data_uri_of(image)}}
            for name, label, image in real
        ]
        for one in images:  # what would tell which are synthetic
            for name in ("before", "after", "fall"):
                del one[name]
            one["pictures"] = {"targeted": one["pictures"]["targeted"]}
        images += controls
        images = [images[place] for place in shuffled([one["index"] for one in images], seed=0)]
    content: dict[str, Any] = {"identity": identity(synthesis), "classes": () if several else classes, "limit": round(limit, 3)}
    content |= {"blind": blind is not None, "images": images}
    template = (resources.files("tsynd.synthetic") / "review.html").read_text(encoding="utf-8")
    inside = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # a name may not end the script
    write_text(path, template.replace("{{title}}", escape(title)).replace("{{content}}", inside))


def real_images(data: Dataset, synthesis: Synthesis) -> Split:
    """Choose one training image for each synthetic one, of its class as far as they go, by a hash; `names` are their positions.

    Raises:
        TsyndError: when an image can have several labels: a blind reviewer names one class.
    """
    if data.multi_label:
        raise TsyndError(f"a blind review asks for the one class of an image, and images of {data.name} can have several")
    left: dict[int, list[int]] = {}
    for place in shuffled([f"blind {number}" for number in range(len(data.train))], seed=0):
        left.setdefault(int(data.train.labels[place]), []).append(place)
    chosen = [left[label].pop() for label in synthesis.labels.tolist() if left.get(label)]
    return replace(data.train[torch.tensor(chosen)], names=tuple(map(str, chosen)))


def _label(label: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    return {"label": numbers_of(label) if label.ndim else int(label), "name": names_of(label, classes)}
