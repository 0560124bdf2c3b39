"""The review page: one HTML file that needs no server and no network, for experts without Jupyter."""

import json
from html import escape
from importlib import resources
from pathlib import Path

from torch import Tensor

from tsynd.data.labels import names_of, numbers_of
from tsynd.files import write_text
from tsynd.sets import identity
from tsynd.targeting import Synthesis
from tsynd.viz.pictures import Album


def write_page(
    path: Path,
    synthesis: Synthesis,
    classes: tuple[str, ...],
    *,
    sources_BCHW: Tensor | None = None,
    title: str = "Targeted images",
) -> None:
    """Write a page on which an expert accepts, rejects or relabels each image from the keyboard and downloads a CSV.

    Decisions stay in the browser over a reload; nothing is sent anywhere. The page holds the images, so it is as
    confidential as they are.

    Args:
        path: the `.html`; it appears whole or not at all.
        synthesis: what is reviewed.
        classes: the names of class 0, 1, …; of several labels an image those of the labels, and such images are accepted or
            rejected, not relabelled.
        sources_BCHW: the real images, one for each row; left out without them.
        title: the heading.
    """
    album = Album(synthesis, sources_BCHW)
    limit, several = album.limit, synthesis.labels_B.ndim == 2
    images = [
        {
            "label": numbers_of(label) if several else int(label),
            "name": names_of(label, classes),
            "source": int(synthesis.source_B[index]),
            "before": round(float(synthesis.information_before_B[index]), 4),
            "after": round(float(synthesis.information_after_B[index]), 4),
            "fall": round(float(synthesis.log_prob_fall_B[index]), 3),
            "pictures": {name: album.uri(name, index, limit) for name in album.names},
        }
        for index, label in enumerate(synthesis.labels_B)
    ]
    content = {"identity": identity(synthesis), "classes": () if several else classes, "limit": round(limit, 3), "images": images}
    template = (resources.files("tsynd.viz") / "review.html").read_text(encoding="utf-8")
    inside = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # a name may not end the script
    write_text(path, template.replace("{{title}}", escape(title)).replace("{{content}}", inside))
