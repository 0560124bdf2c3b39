"""The pictures that a reviewer looks at, and the review page: one HTML file that needs no server, for experts without Jupyter."""

import base64
import io
import json
from dataclasses import dataclass, replace
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tsynd.data import Dataset, Split
from tsynd.data.labels import names_of, numbers_of
from tsynd.data.splits import shuffled
from tsynd.errors import TsyndError
from tsynd.targeting import Synthesis
from tsynd.targeting.synthesis import identity
from tsynd.utils.atomic_files import write_text
from tsynd.utils.validation import check_range, check_tensors

PICTURES = ("source", "start", "targeted", "difference")


@dataclass(frozen=True)
class Album:
    """The pictures of a synthesis, drawn when they are asked for; all differences share one scale, `limit`.

    sources: the real images, one for each row; None when they are not at hand: that picture is then left out.
    """

    synthesis: Synthesis
    sources: Tensor | None = None

    def __post_init__(self) -> None:
        if (sources := self.sources) is not None:
            check_tensors(sources=sources)
            shape, found = (tuple(images.shape) for images in (self.synthesis.images, sources))
            if shape != found:
                raise TsyndError(f"sources must have shape {shape}, one for each image, got {found}")
            if not sources.is_floating_point():
                raise TsyndError(f"sources must be float in [0, 1], got {sources.dtype}")
            check_range(sources=sources)

    @property
    def names(self) -> tuple[str, ...]:
        """Which pictures there are."""
        return PICTURES if self.sources is not None else PICTURES[1:]

    @property
    def limit(self) -> float:
        """The change of intensity that has full colour: the largest but for one pixel in 200, at least .02."""
        return max(float(np.quantile(np.abs(self._change(slice(None))), 0.995)), 0.02)

    def png(
        self, name: str, index: int, limit: float, side: int | None = None, window: tuple[float, float] = (0.0, 1.0)
    ) -> bytes:
        """One picture as PNG, enlarged to about `side` pixels without smoothing; the ends of `window` become black and white."""
        if name == "difference":
            colours = matplotlib.colormaps["RdBu_r"](self._change(index) / (2 * limit) + 0.5, bytes=True)
            image = Image.fromarray(colours).convert("RGB")
        else:
            images = {"start": self.synthesis.reconstructions, "targeted": self.synthesis.images}
            chosen = self.sources if name == "source" else images[name]
            assert chosen is not None
            shown = (chosen[index].cpu() - window[0]) / max(window[1] - window[0], 1e-3)
            pixels = (shown.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).squeeze(-1)
            image = Image.fromarray(pixels.numpy())
        if side is not None:
            times = max(1, round(side / image.width))
            image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
        return _png(image)

    def _change(self, index: int | slice) -> np.ndarray:
        """Targeted minus start, mean over channels: (…, H, W)."""
        change: Tensor = self.synthesis.images[index] - self.synthesis.reconstructions[index]
        return change.mean(dim=-3).cpu().numpy()


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
            "pictures": {name: _uri(album.png(name, index, limit)) for name in album.names},
        }
        for index, label in enumerate(synthesis.labels)
    ]
    if blind is not None:
        drawn = [Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()) for image in blind.images]
        real = zip(blind.names or (), blind.labels, drawn, strict=True)
        controls = [
            {"index": f"real {name}", **_label(label, classes), "source": int(name), "pictures": {"targeted": _uri(_png(image))}}
            for name, label, image in real
        ]
        for one in images:  # the others would tell which are synthetic
            one["pictures"] = {"targeted": one["pictures"]["targeted"]}
        images = [{name: one[name] for name in ("index", "label", "name", "source", "pictures")} for one in images] + controls
        images = [images[place] for place in shuffled([one["index"] for one in images], seed=0)]
    content: dict[str, Any] = {"identity": identity(synthesis), "classes": () if several else classes, "limit": round(limit, 3)}
    content |= {"blind": blind is not None, "images": images}
    template = (resources.files("tsynd.synthetic") / "review.html").read_text(encoding="utf-8")
    inside = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # a name may not end the script
    write_text(path, template.replace("{{title}}", escape(title)).replace("{{content}}", inside))


def real_images(data: Dataset, synthesis: Synthesis) -> Split:
    """Choose one training image for each synthetic one, of its class as far as they go, by a hash; `names` are their positions.

    TsyndError when an image can have several labels: a blind reviewer names one class.
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


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _uri(png: bytes) -> str:
    """A picture as a `data:` address."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
