"""The card of a targeted set: what it is, how it was made, from what, and that it is not anonymous."""

from typing import Any

import torch

from tsynd.audit.measures import nearest_real, typical_distance
from tsynd.data.splits import members
from tsynd.runs.run import Run
from tsynd.synthetic.npz import MEASURES
from tsynd.targeting import Synthesis
from tsynd.targeting.synthesis import identity
from tsynd.training import parse_arm
from tsynd.utils.environment import METHOD_VERSION, versions
from tsynd.utils.rng import generator_for
from tsynd.utils.rules import validated

__all__ = ["describe"]

# Of the training images at most so many stand for all when their distances are measured.
COMPARED = 500
# Where the images were moved to, by the objective of the search.
_WHERE = {
    "mutual_information": "moved in an autoencoder's latent space to where a classifier is unsure (high mutual information)",
    "entropy": "moved in an autoencoder's latent space to where a classifier's prediction has high entropy",
    "cross_entropy": "moved in an autoencoder's latent space to where a classifier's loss on their label is high",
    "divergence": "moved in an autoencoder's latent space to where a classifier's prediction differs most from the source's",
    "random": "moved in a random direction in an autoencoder's latent space: a control",
    "reconstruction": "encoded and decoded by an autoencoder, and not moved: a control",
}


@validated
def describe(run: Run, synthesis: Synthesis, command: str) -> dict[str, Any]:
    """Everything that someone who is handed the set must know, ready for JSON."""
    data, recipe, arm = run.data, run.recipe, parse_arm(run.config["arm"])
    counts = members(synthesis.labels, len(data.classes)).sum(0).tolist()[: len(data.classes)]
    how = _WHERE[str(arm.objective)] + (", that of an untrained classifier: a control" if arm.sham else "")
    how += ", then changed by one gradient step in their pixels" if arm.pixel else ""
    guard = {"weight": recipe.guard_weight, "bound": recipe.guard_bound, "hard": recipe.guard_hard}
    what = f"Synthetic images: real training images, lightly augmented, then {how}. Labels are copied from the sources "
    return {
        "schema": 1,
        "what": what + "and can have become wrong. For research and teaching, not for clinical use.",
        "images": len(synthesis),
        "classes": dict(zip(data.classes, counts, strict=True)),
        "size": data.size,
        "channels": data.channels,
        "layout": "MedMNIST: train_images, train_labels; val and test are empty. source_index counts in the data's train split.",
        "identity": identity(synthesis),
        "sources": [data.train.names[source] for source in synthesis.sources.tolist()] if data.train.names else [],
        "anonymity": _anonymity(run, synthesis),
        "data": {
            "name": run.config["data"],
            "licence": data.licence,
            "citation": data.citation,
            "fingerprint": run.config["data_fingerprint"],
        },
        "search": {
            "objective": arm.objective,
            "arm": run.config["arm"],
            "radius": synthesis.radius,
            "decode": synthesis.decode,
            "steps": synthesis.steps,
            "guard": guard if arm.guard else None,
            **({"pixel_eps": recipe.pixel_eps} if arm.pixel else {}),
            "means": {name: round(getattr(synthesis, name).double().mean().item(), 6) for name in MEASURES},
        },
        "audit": run.metrics.get("audit"),
        "command": command,
        "run": run.config,
        "method_version": METHOD_VERSION,
        "versions": versions(),
    }


def _anonymity(run: Run, synthesis: Synthesis) -> dict[str, Any]:
    """How near the synthetic images are to real ones, beside how near real ones are to each other."""
    real_NCHW = run.data.train.images[run.chosen].float() / 255
    which_B, near_B = nearest_real(synthesis.images, real_NCHW)
    own = (run.chosen[which_B] == synthesis.sources).double().mean()
    some_n = torch.linspace(0, len(real_NCHW) - 1, min(COMPARED, len(real_NCHW))).long()
    typical = typical_distance(real_NCHW, generator_for(run.config["seed"], "card, typical distance"))
    numbers: dict[str, dict[str, Any]] = {
        "synthetic_to_nearest_training_image": {"median": near_B.median(), "min": near_B.min(), "is_its_source": own},
        "training_image_to_nearest_other": {"median": nearest_real(real_NCHW[some_n], real_NCHW, own_B=some_n)[1].median()},
        "two_training_images": {"median": typical},
    }
    rounded = {name: {key: round(float(value), 4) for key, value in values.items()} for name, values in numbers.items()}
    near, other, two = (values["median"] for values in rounded.values())
    statement = (
        "These images are NOT anonymous: each is made from one real image. The nearest training image is, in the median, "
        f"{near:.3f} away, and for {own:.0%} of them it is the very image they were made from; a training image is {other:.3f} "
        f"from the nearest other and {two:.3f} from any other. Whoever may not see the real images may not see these."
    )
    unit = "root mean square difference over pixels, in [0, 1] intensity"
    return {"anonymous": False, "statement": statement, "unit": unit, **rounded}
