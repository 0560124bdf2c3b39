"""Draw the pictures of the book's pages that no study draws: corrupted images, targeted images of one run.

    python tools/make_pictures.py [--run runs/demo]

Without --run, the targeted images stay as they are.
"""

import argparse
from pathlib import Path

import tsynd
from tsynd.audit import audit
from tsynd.audit.figures import faces
from tsynd.errors import DataUnavailable
from tsynd.runs.report import figures
from tsynd.targeting import Guard
from tsynd.training import parse_arm
from tsynd.utils.plotting import save

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, help="the folder of a finished run, for the targeted images and their audit")
    options = parser.parse_args()
    for name, data in {"corruptions": "phantom", "corruptions-colour": "retinamnist"}.items():
        try:
            save(figures.corruptions(tsynd.load(data).test.images[3]), ROOT / "book" / "images" / f"{name}.svg")
        except DataUnavailable as error:
            print(f"{name}.svg stays as it is: {error}")
    if options.run:
        run = tsynd.load_run(options.run)
        save(figures.pairs(run), ROOT / "book" / "images" / "targeted.svg")
        assert run.synthesis is not None and run.autoencoder is not None, "the run's arm makes no synthetic images"
        guard = Guard() if parse_arm(run.config["arm"]).guard else None
        made = audit(
            run.synthesis, run.classifier, run.autoencoder, run.data, chosen=run.chosen, guard=guard, seed=run.config["seed"]
        )
        save(faces(made, run.data), ROOT / "book" / "images" / "audit.svg")


if __name__ == "__main__":
    main()
