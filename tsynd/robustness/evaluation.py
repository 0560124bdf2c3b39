"""All that is asked of a classifier in one call: clean, augmented, corrupted and attacked, and does it know its errors."""

from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any

import torch
from torch import Tensor

from tsynd.data.dataset import TASKS
from tsynd.errors import TsyndError
from tsynd.metrics.classification import clean_metrics, error_auroc
from tsynd.posterior import Posterior
from tsynd.robustness.attacks.gradient import pgd
from tsynd.robustness.conditions import (
    STRONG,
    STRONG_EPS,
    Attack,
    ConditionEvaluator,
    proportional,
    resampled,
    share_of,
    test_time_augmentation,
)
from tsynd.robustness.corruptions import DEFAULT
from tsynd.robustness.report import RobustnessReport
from tsynd.uncertainty import mutual_information
from tsynd.utils.batching import batches, predict
from tsynd.utils.eval_mode import frozen
from tsynd.utils.network_passes import Model, name_of, network_of
from tsynd.utils.network_trial import logits_of, tried
from tsynd.utils.progress import Progress, Step, silent
from tsynd.utils.rng import generator_for
from tsynd.utils.rules import choice, validated, whole
from tsynd.utils.validation import check_range, check_several

EPS = (0.0, 1 / 255, 2 / 255, 4 / 255, 8 / 255)
"""Sizes of the attacks that are reported, in intensity: up to eight grey levels."""


@validated
def evaluate(
    model: Model,
    images: Tensor,
    labels: Tensor,
    task: Annotated[str, choice("task", TASKS)],
    *,
    posterior: Posterior | None = None,
    seed: int = 0,
    draws: int = 10,
    corruptions: Iterable[str] = DEFAULT,
    eps: Iterable[float] = EPS,
    attack_steps: int = 20,
    limit: Annotated[int, whole(1)] | None = None,
    strong: bool = False,
    batch_size: int = 256,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> RobustnessReport:
    """Evaluate a classifier: clean, randomly augmented, corrupted and attacked, and whether it knows its errors.

    Augmentations, noise and the random starts of attacks depend on the seed and not on the model: models evaluated with
    one seed are compared on the same images. With several labels an image, balanced accuracy is the mean over labels, accuracy
    under attack the share of yes-or-no decisions that hold, and an image counts as an error when one of its decisions is wrong;
    attacks climb the sum of the labels' losses. The model is evaluated in eval mode and without weight gradients; modes,
    grad flags and torch's global random state are as before afterwards.

    Args:
        model: float images in [0, 1] to logits (B, C), with its normalisation inside.
        images: (B, channels, S, S) uint8, or float in [0, 1].
        labels: (B,) int64, 0 .. C - 1; multi-label: (B, L) int64, 0 or 1.
        task: "binary", "multi-class", "ordinal" or "multi-label".
        posterior: for the mutual information; without one, `error_auroc` is None.
        seed: of everything random here.
        draws: random test-time augmentations of each image, inside and outside the training range each.
        corruptions: names out of `CORRUPTIONS`, such as those of `corruptions_for`, each at severities 1 to 5.
        eps: sizes of the attacks, in intensity.
        attack_steps: steps of PGD, with one random start.
        limit: augment, corrupt and attack at most so many images, chosen in proportion to the classes; all without one.
        strong: attack by APGD-CE (100 steps) and by random search with squares (500 queries, no gradient) at 4/255 as well, and
            check the model and PGD as `checks_before` and `checks_after` do, on 100 images.
        batch_size: bounds the memory.
        device: where to compute; that of the model's parameters without one.
        progress: called as each part begins.

    Returns:
        A report with the sections `clean`, `test_time_augmentation`, `corruptions`, `attacks`, `uncertainty`, `conditions` and,
        of strong attacks, `checks`: plain floats, None where undefined; and the answers, image by image. Cost: about
        1 + 2 * draws + 5 * corruptions forward passes an image, and attack_steps forward and backward passes for each eps and
        rightly classified image; with a posterior, also a pass of that for each corruption, severity and eps; strong attacks
        cost about 7 times PGD at one eps. Memory: a batch and its gradient, every logit of one condition (of all draws, for the
        augmentations), and a byte for each image in each of 1000 resamples.

    Raises:
        TsyndError: for input that is wrong in shape, dtype or range, and for a model that the trial refuses
            (`tsynd.utils.network_trial.tried`), or that gives NaN for an image.
    """
    check_several(corruptions=corruptions, eps=eps)
    if images.ndim != 4:
        raise TsyndError(f"images must have shape (B, C, H, W) with B >= 1, got {tuple(images.shape)}")
    if len(images) == 0:
        raise TsyndError("there are no images to evaluate on")
    if images.is_floating_point():
        check_range(images=images)
    several = task == "multi-label"
    if labels.ndim != 1 + several or len(labels) != len(images) or labels.dtype != torch.int64:
        wanted = f"({len(images)}, L)" if several else f"({len(images)},)"
        raise TsyndError(f"labels must be int64 of shape {wanted}, got {labels.dtype} of shape {tuple(labels.shape)}")
    say = progress or silent
    weights = (parameter for network in network_of(model) for parameter in network.parameters())
    device = device or next((weight.device for weight in weights), images.device)
    if device.type == "meta":
        raise TsyndError(f"{name_of(model)} is on the meta device, where weights have no values: load them to another one first")
    labels = labels.cpu()
    sizes = list(eps)
    _, first = next(batches(images, 8, device))
    networks = network_of(model) + (posterior.networks if posterior is not None else ())
    with frozen(*networks) if networks else nullcontext(), tried(model, first, labels, gradient=strong or any(sizes)):
        if posterior is not None:
            with torch.no_grad():
                classes, given = logits_of(model, first).shape[1], tuple(posterior(first).shape[2:])
            if given != (due := (classes, 2) if several else (classes,)):
                hint = ": of several labels its network needs an attribute multi_label that is true" if several else ""
                raise TsyndError(
                    f"the posterior must give log-probabilities (B, K, {str(due)[1:]} as the model, got {given}{hint}"
                )
        say(Step("evaluation", text="clean"))
        logits = predict(model, images, batch_size, device).double()
        probs = logits.sigmoid() if several else logits.softmax(dim=1)
        report: dict[str, Any] = {"clean": clean_metrics(probs, labels, task, seed=seed)}
        right = (probs > 0.5).long() == labels if several else probs.argmax(dim=1) == labels
        chosen = proportional(labels if labels.ndim == 1 else labels.unique(dim=0, return_inverse=True)[1], limit)
        counts_RB = resampled(labels[chosen], generator_for(seed, "intervals"))
        information = None
        if posterior is not None:
            information = predict(lambda batch: mutual_information(posterior(batch)), images, batch_size, device)
        asked = ConditionEvaluator(
            model, posterior, images[chosen], labels[chosen], right[chosen], seed, batch_size, device, counts_RB
        )
        clean = asked.answers(lambda batch: batch)
        rows = [asked.row("clean", "clean", 0.0, clean)]
        answers = {"labels": labels, "probs": probs, "chosen": chosen}
        answers |= {} if information is None else {"mutual_information": information}
        say(Step("evaluation", text=f"test-time augmentation, {draws} draws"))
        drawn: dict[str, list[Tensor]] = {"inside": [], "outside": []}
        report["test_time_augmentation"] = test_time_augmentation(
            model,
            asked.images,
            asked.labels,
            draws,
            generator_for(seed, "test-time augmentation"),
            batch_size=batch_size,
            device=device,
            seen=lambda name, found: drawn[name].append(found),
        )
        for name, each in drawn.items():
            rows.append(asked.row("test_time_augmentation", name, None, (torch.cat(each), None)))
            answers[f"test_time_augmentation {name}"] = torch.stack([asked.rightly(found) for found in each]).mean(dim=0)
        report["corruptions"] = {}
        for name in corruptions:
            say(Step("evaluation", text=f"corruption {name}"))
            severities = {severity: asked.corrupted(name, severity) for severity in range(1, 6)}
            of_name = [asked.row("corruptions", name, severity, each) for severity, each in severities.items()]
            answers[f"corruption {name}"] = torch.stack([asked.rightly(each[0]) for each in severities.values()]).mean(dim=0)
            report["corruptions"][name] = {str(row["level"]): row["balanced_accuracy"] for row in of_name}
            rows += of_name
        report["attacks"] = {"pgd": {}, "n": len(chosen), "steps": attack_steps}
        attacks: list[tuple[str, Attack, float]] = [("pgd", partial(pgd, steps=attack_steps), size) for size in sizes]
        attacks += [(name, attack, STRONG_EPS) for name, attack in STRONG.items() if strong]
        for name, attack, size in attacks:
            say(Step("evaluation", text=f"attack {name}, eps {size:.4f}"))
            found = asked.attacked(attack, name, size, clean[0]) if size else clean
            rows.append(asked.row("attacks", name, size, found))
            held = (found[0].argmax(dim=-1) == asked.labels) & asked.right if size else asked.right
            report["attacks"].setdefault(name, {})[f"{size:.4f}" if size else "0"] = held.double().mean().item()
            answers[f"{name} {size:.4f}"] = share_of(held)
        if strong:
            say(Step("evaluation", text="checks"))
            report["checks"] = asked.checks(attack_steps)
        say(Step("evaluation", text="uncertainty"))
        report["uncertainty"] = {
            "error_auroc": None if information is None else error_auroc(information, ~right.reshape(len(right), -1).all(dim=1))
        }
    return RobustnessReport(report | {"conditions": rows}, answers)
