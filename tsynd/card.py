"""The card of a targeted set: what it is, how it was made, from what, and that it is not anonymous."""

from typing import Any

import torch
from torch import Tensor

from tsynd.config import METHOD_VERSION
from tsynd.runs import Run
from tsynd.sets import identity
from tsynd.targeting import Synthesis
from tsynd.training import parse_arm
from tsynd.versions import versions

# Of the training images at most so many stand for all when typical distances are measured.
COMPARED = 500


def describe(run: Run, synthesis: Synthesis, command: str) -> dict[str, Any]:
    """Everything that someone who is handed the set must know, ready for JSON."""
    data, recipe, arm = run.data, run.recipe, parse_arm(run.config["arm"])
    counts = synthesis.labels_B.bincount(minlength=len(data.classes)).tolist()
    columns = {
        "mutual_information_before": synthesis.information_before_B,
        "mutual_information_after": synthesis.information_after_B,
        "log_prob_fall": synthesis.log_prob_fall_B,
        "latent_displacement": synthesis.latent_displacement_B,
        "pixel_displacement": synthesis.pixel_displacement_B,
    }
    return {
        "schema": 1,
        "what": (
            "Targeted synthetic images: real training images, moved in an autoencoder's latent space to where a classifier "
            "is unsure. Labels are copied from the sources and can have become wrong. For research and teaching, not for "
            "clinical use."
        ),
        "images": len(synthesis),
        "classes": dict(zip(data.classes, counts, strict=True)),
        "size": data.size,
        "channels": data.channels,
        "layout": "MedMNIST: train_images, train_labels; val and test are empty. source_index counts in the data's train split.",
        "identity": identity(synthesis),
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
            "steps": synthesis.steps,
            "guard": {"weight": recipe.guard_weight, "bound": recipe.guard_bound} if arm.guard else None,
            "means": {name: round(column_B.double().mean().item(), 6) for name, column_B in columns.items()},
        },
        "audit": run.metrics.get("audit"),
        "command": command,
        "run": run.config,
        "method_version": METHOD_VERSION,
        "versions": versions(),
    }


def nearest(images_BCHW: Tensor, others_NCHW: Tensor, *, rank: int = 1, chunk: int = 256) -> tuple[Tensor, Tensor]:
    """The distance of each image to the nearest of the others, and which one that is.

    Args:
        images_BCHW, others_NCHW: float in [0, 1], of one shape; B >= 1, N >= rank.
        rank: 2 for the second nearest, which is the nearest other one when the images are among the others.
        chunk: images at a time on either side; bounds the memory.

    Returns:
        Root mean square over pixels, in [0, 1] intensity, (B,), and positions among the others, (B,) int64.

    >>> nearest(torch.zeros(1, 1, 2, 2), torch.tensor([1.0, 0.5]).view(2, 1, 1, 1).expand(2, 1, 2, 2))
    (tensor([0.5000], dtype=torch.float64), tensor([1]))
    """
    values, positions = [], []
    for some_bCHW in images_BCHW.split(chunk):
        found = [_distances(some_bCHW, others).sort(dim=1) for others in others_NCHW.split(chunk)]
        near_bR = torch.cat([each.values[:, :rank] for each in found], dim=1)
        which_bR = torch.cat([each.indices[:, :rank] + part * chunk for part, each in enumerate(found)], dim=1)
        order_b1 = near_bR.argsort(dim=1)[:, rank - 1 : rank]
        values.append(near_bR.gather(1, order_b1).squeeze(1))
        positions.append(which_bR.gather(1, order_b1).squeeze(1))
    return torch.cat(values), torch.cat(positions)


def _distances(images_BCHW: Tensor, others_NCHW: Tensor) -> Tensor:
    """Between each two, (B, N); in double precision, since these are differences of large squares."""
    images_BD, others_ND = images_BCHW.flatten(1).double(), others_NCHW.flatten(1).double()
    return torch.cdist(images_BD, others_ND) / others_ND.shape[1] ** 0.5


def _anonymity(run: Run, synthesis: Synthesis) -> dict[str, Any]:
    """How near the synthetic images are to real ones, beside how near real ones are to each other."""
    real_NCHW = run.data.train.images[run.chosen].float() / 255
    near_B, which_B = nearest(synthesis.images_BCHW, real_NCHW)
    own = (run.chosen[which_B] == synthesis.source_B).double().mean()
    some_NCHW = real_NCHW[torch.linspace(0, len(real_NCHW) - 1, min(COMPARED, len(real_NCHW))).long()]
    apart_B = _distances(some_NCHW, some_NCHW)[~torch.eye(len(some_NCHW), dtype=torch.bool)]
    numbers = {
        "synthetic_to_nearest_training_image": {"median": near_B.median(), "min": near_B.min(), "is_its_source": own},
        "training_image_to_nearest_other": {"median": nearest(some_NCHW, real_NCHW, rank=2)[0].median()},
        "two_training_images": {"median": apart_B.median()},
    }
    rounded = {name: {key: round(float(value), 4) for key, value in values.items()} for name, values in numbers.items()}
    near, other, two = (values["median"] for values in rounded.values())
    return {
        "anonymous": False,
        "statement": (
            "These images are NOT anonymous: each is made from one real image. The nearest training image is, in the median, "
            f"{near:.3f} away, and for {own:.0%} of them it is the very image they were made from; a training image is "
            f"{other:.3f} from the nearest other and {two:.3f} from any other. Whoever may not see the real images may not see "
            "these."
        ),
        "unit": "root mean square difference over pixels, in [0, 1] intensity",
        **rounded,
    }
