"""The pictures that a reviewer looks at: source, start, targeted image and what the search changed, as PNG."""

import base64
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
from PIL import Image
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.targeting import Synthesis
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
        shape, sources = self.synthesis.images.shape, self.sources
        if sources is None:
            return
        check_tensors(sources=sources)
        if sources.shape != shape:
            raise TsyndError(f"sources must have shape {tuple(shape)}, one for each image, got {tuple(sources.shape)}")
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
        """One picture as PNG.

        `side` enlarges it to about so many pixels without smoothing; intensities at the ends of `window` become black and white.
        """
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

    def uri(self, name: str, index: int, limit: float) -> str:
        """One picture as a `data:` address."""
        return _uri(self.png(name, index, limit))

    def _change(self, index: int | slice) -> np.ndarray:
        """Targeted minus start, mean over channels: (…, H, W)."""
        change: Tensor = self.synthesis.images[index] - self.synthesis.reconstructions[index]
        return change.mean(dim=-3).cpu().numpy()


def data_uri_of(image_CHW: Tensor) -> str:
    """A uint8 image as a `data:` address."""
    return _uri(_png(Image.fromarray(image_CHW.permute(1, 2, 0).squeeze(-1).numpy())))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
