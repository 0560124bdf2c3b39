"""The review page: one HTML file that needs no server and no network, for experts without Jupyter."""

import json
from html import escape
from importlib import resources
from pathlib import Path

from torch import Tensor

from tsynd.data.labels import names_of, numbers_of
from tsynd.synthetic.review_images import Album
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
    """
    album = Album(synthesis, sources)
    limit, several = album.limit, synthesis.labels.ndim == 2
    images = [
        {
            "label": numbers_of(label) if several else int(label),
            "name": names_of(label, classes),
            "source": int(synthesis.sources[index]),
            "before": round(float(synthesis.mutual_information_before[index]), 4),
            "after": round(float(synthesis.mutual_information_after[index]), 4),
            "fall": round(float(synthesis.log_prob_fall[index]), 3),
            "pictures": {name: album.uri(name, index, limit) for name in album.names},
        }
        for index, label in enumerate(synthesis.labels)
    ]
    content = {"identity": identity(synthesis), "classes": () if several else classes, "limit": round(limit, 3), "images": images}
    template = (resources.files("tsynd.synthetic") / "review.html").read_text(encoding="utf-8")
    inside = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # a name may not end the script
    write_text(path, template.replace("{{title}}", escape(title)).replace("{{content}}", inside))
