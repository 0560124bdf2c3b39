"""What does residual decoding change? The audit of the same searches, with the decoded image and with its change on the source.

    python studies/residual.py --out results/residual

The networks that come with the package search from each of the images that they were trained on, lightly augmented, with and
without the label guard. The judge is trained once, on the whole training split. `--out` gets `summary.json`, every measure of
every group with its interval, and `table.md`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from tsynd import pretrained
from tsynd.audit import audit
from tsynd.audit.auditing import MEASURES, train_judge
from tsynd.augmentation.affine import TRAIN_RANGE, augment
from tsynd.posterior import HeadDropout
from tsynd.targeting import Guard, Synthesis, target
from tsynd.targeting.search import DECODINGS
from tsynd.training import Recipe
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.environment import METHOD_VERSION, versions
from tsynd.utils.rng import generator_for

SAMPLES, SEED = 64, 0
SHOWN = ("judge_agrees", "judge_log_prob_fall", "sharpness", "ssim", "nearest_distance", "purity", "information")


def searched(example: Any, decode: str, guard: Guard | None) -> tuple[Synthesis, Any, torch.Tensor]:
    """A search from each training image; the same noise and masks for each way to decode."""
    data = example.load()
    chosen = data.subset_index(example.per_class, example.seed)
    images_BCHW = augment(data.train.images[chosen].float() / 255, TRAIN_RANGE, generator_for(SEED, "residual, sources"))
    posterior = HeadDropout.of(example.classifier, SAMPLES, generator_for(SEED, "residual, masks"))
    settings: dict[str, Any] = {"decode": decode, "guard": guard, "generator": generator_for(SEED, "residual, search")}
    found = target(images_BCHW, data.train.labels[chosen], example.autoencoder, posterior, sources=chosen, **settings)
    return found, data, chosen


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row for each measure, a column for each way to search."""
    lines = [f"| measure | {' | '.join(rows)} |", "|:--|" + "--:|" * len(rows)]
    for name in SHOWN:
        cells = [row["groups"]["targeted"].get(name) for row in rows.values()]
        shown = ["" if cell is None else f"{cell['mean']:.3f} ({cell['low']:.3f} to {cell['high']:.3f})" for cell in cells]
        lines.append(f"| {MEASURES[name]} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Search, audit and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--data", default="breastmnist", help="the example: breastmnist or phantom")
    parser.add_argument("--judge-steps", type=int, default=600, help="of the judge's training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    example, rows, judge = pretrained.read(options.data), dict[str, dict[str, Any]](), None
    for word, guard in (("", None), (", guarded", Guard())):
        for decode in DECODINGS:
            found, data, chosen = searched(example, decode, guard)
            judge = judge or train_judge(data, seed=SEED, recipe=Recipe(steps=options.judge_steps))
            settings: dict[str, Any] = {"chosen": chosen, "judge": judge, "guard": guard, "samples": SAMPLES, "seed": SEED}
            rows[decode + word] = audit(found, example.classifier, example.autoencoder, data, **settings).to_json()
            summary = {"data": options.data, "method_version": METHOD_VERSION, "judge_steps": options.judge_steps}
            write_json(options.out / "summary.json", summary | {"rows": rows, "versions": versions()})
            write_text(options.out / "table.md", table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
