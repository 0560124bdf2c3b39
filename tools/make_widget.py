"""Make "Fool the classifier", the page element that shows the search without a kernel: `python tools/make_widget.py`.

It writes `tsynd/teaching/fool_the_classifier.html` from `tools/widget.html` and the phantom networks that come with the
package: one file with styles, script, numbers and a sprite, which a page of the book includes and a notebook shows.
"""

import argparse
import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tsynd import pretrained
from tsynd.data.phantom import classify
from tsynd.data.phantom.oracle import oracle
from tsynd.posterior import HeadDropout
from tsynd.targeting import target
from tsynd.uncertainty import mutual_information
from tsynd.utils.atomic_files import write_text

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "tools" / "widget.html"
PAGE = ROOT / "tsynd" / "teaching" / "fool_the_classifier.html"
# Test phantoms that classifier and oracle get right, and how far the slice of each is turned, so that "up" is not always best.
PHANTOMS = {12: 0.6, 22: 2.4, 28: 4.0}
RADIUS, STEPS, SAMPLES = 0.25, 5, 64
GRID = 8  # tiles from the centre of the disc to its border
COLUMNS = 28  # tiles in a row of the sprite
MOST_BYTES = 400_000


def main() -> None:
    """Write the page element."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    torch.set_num_threads(1)
    scenes, tiles = scenes_of(PHANTOMS)
    text = page(scenes, tiles)
    write_text(PAGE, text)
    print(f"written: {PAGE.relative_to(ROOT)}, {len(text.encode()) / 1000:.0f} KB, {len(tiles)} images")


def points() -> list[tuple[float, float]]:
    """The grid inside the unit disc, row by row from the top, in units of the radius."""
    around = range(-GRID, GRID + 1)
    return [(x / GRID, -y / GRID) for y in around for x in around if x * x + y * y <= GRID * GRID]


def scenes_of(phantoms: dict[int, float]) -> tuple[list[dict[str, Any]], Tensor]:
    """What the page knows of each phantom, and all images (N, 28, 28): of each the source, the grid, then the climb."""
    example, reader = pretrained.phantom(), oracle()
    assert example.autoencoder is not None
    test = example.load().test
    scenes: list[dict[str, Any]] = []
    tiles: list[Tensor] = []
    for number, angle in phantoms.items():
        source, label = test.images[number : number + 1].float() / 255, test.labels[number : number + 1]
        posterior = HeadDropout.of(example.classifier, SAMPLES, torch.Generator().manual_seed(0))
        plane = Slice(example.autoencoder, source, label, posterior, angle)
        climb = plane.climb(posterior)
        places = points() + climb
        with torch.no_grad():
            images = plane.decode(torch.tensor(places))
            log_probs = posterior(images)
            malignant = log_probs.exp()[:, :, 1]
        scenes.append(
            {
                "label": int(label),
                "places": [[round(x, 3), round(y, 3)] for x, y in places],
                "climb": len(climb),
                "mi": [round(value, 3) for value in mutual_information(log_probs).tolist()],
                "votes": base64.b64encode((malignant * 255).round().byte().numpy().tobytes()).decode(),
                "oracle": "".join(str(int(each)) for each in classify(reader.recover(images))),
                "full": round(plane.full, 3),
                "first": len(tiles) and sum(map(len, tiles)),
            }
        )
        tiles.append(torch.cat([source, images]).squeeze(1))
    return scenes, torch.cat(tiles)


class Slice:
    """A flat slice through the ball around the code of one image: spanned by where the search ends, and a random direction.

    full: the mutual information that the search in all dimensions reaches, on the same posterior samples.
    """

    def __init__(self, autoencoder: Any, source: Tensor, label: Tensor, posterior: HeadDropout, angle: float) -> None:
        self.autoencoder, self.label = autoencoder, label
        found = target(
            source, label, autoencoder, posterior, generator=torch.Generator().manual_seed(1), radius=RADIUS, steps=STEPS
        )
        self.start = found.start_latents
        toward = found.latents - self.start
        toward = toward / toward.norm()
        across = torch.randn(toward.shape, generator=torch.Generator().manual_seed(0))
        across = across - (across * toward).sum() * toward
        across = across / across.norm()
        turn = math.cos(angle), math.sin(angle)
        self.axes = torch.cat([turn[0] * toward - turn[1] * across, turn[1] * toward + turn[0] * across])
        self.axes *= RADIUS * math.sqrt(toward.shape[1])
        posterior.resample(torch.Generator().manual_seed(0))
        with torch.no_grad():
            self.full = float(mutual_information(posterior(autoencoder.decode(found.latents))))

    def decode(self, places_N2: Tensor) -> Tensor:
        """The images at places in the slice, in units of the radius."""
        return self.autoencoder.decode(self.start + places_N2 @ self.axes)

    def climb(self, posterior: HeadDropout) -> list[tuple[float, float]]:
        """The places of the search that moves in this slice only: start, then one for each step of 0.4 radii."""
        place = torch.tensor([[0.02, 0.03]])  # the small displacement of the first step
        path = [(0.0, 0.0)]
        for _ in range(STEPS):
            place = place.detach().requires_grad_()
            (slope,) = torch.autograd.grad(mutual_information(posterior(self.decode(place))).sum(), place)
            place = place.detach() + 0.4 * slope / slope.norm().clamp_min(1e-12)
            place = place / place.norm().clamp_min(1.0)
            path.append((float(place[0, 0]), float(place[0, 1])))
        return path


def page(scenes: list[dict[str, Any]], tiles: Tensor) -> str:
    """The page element: the template with numbers, sprite and the static grid filled in."""
    rows = math.ceil(len(tiles) / COLUMNS)
    sprite = np.zeros((rows * 28, COLUMNS * 28), dtype=np.uint8)
    for number, tile in enumerate((tiles * 255).round().byte().numpy()):
        row, column = divmod(number, COLUMNS)
        sprite[28 * row : 28 * row + 28, 28 * column : 28 * column + 28] = tile
    file = io.BytesIO()
    Image.fromarray(sprite).save(file, "WEBP", quality=62, method=6)
    filled = {
        "sprite": f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}",
        "columns": str(COLUMNS),
        "rows": str(rows),
        "data": json.dumps(scenes, separators=(",", ":")),
        "static": "\n".join(static(scene) for scene in scenes),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in filled.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    assert len(text.encode()) <= MOST_BYTES, f"{len(text.encode())} bytes, more than {MOST_BYTES}"
    return text


def static(scene: dict[str, Any]) -> str:
    """A row with the reconstruction and three steps of the climb, the best one among them, for readers without JavaScript."""
    names = ("benign", "malignant")
    begin = len(scene["places"]) - scene["climb"]
    votes = np.frombuffer(base64.b64decode(scene["votes"]), dtype=np.uint8).reshape(-1, SAMPLES)
    cells = []
    best = max(range(scene["climb"]), key=lambda step: scene["mi"][begin + step])
    for step in (0, 1, 2, max(best, 3)):
        at = begin + step
        row, column = divmod(scene["first"] + 1 + at, COLUMNS)
        says = f"{int((votes[at] > 127).sum())} of {SAMPLES} say malignant"
        where = ("reconstruction" if step == 0 else f"step {step}") + (", kept" if step == best else "")
        words = f"{where} of a {names[scene['label']]} phantom: {says}, mutual information {scene['mi'][at]:.3f}"
        style = f"--c:{column};--r:{row}"
        shown = where.replace("reconstruction", "recon&shy;struction")
        cells.append(
            f'<div class="still"><div class="tile" role="img" aria-label="{words}" style="{style}"></div>'
            f"<div><b>{shown}</b><br>{says}<br>{scene['mi'][at]:.3f} nats</div></div>"
        )
    return f'<div class="row">{"".join(cells)}</div>'


if __name__ == "__main__":
    main()
