"""What a reader must know before the numbers of a run: their intervals, errors by class, and warnings with what to do."""

import tomllib
import warnings
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsynd.data import Split
from tsynd.metrics.intervals import effective, wilson
from tsynd.metrics.weighted import measure
from tsynd.robustness.conditions import resampled
from tsynd.utils.rng import generator_for

RESAMPLES = 1000
# Of a class with fewer images (or patients) than this, one error more or less decides.
FEW = 10
TEXTS = tomllib.loads((resources.files("tsynd.runs") / "verdicts.toml").read_text(encoding="utf-8"))
SHARES = {"augmented": "test_time_augmentation outside", "pgd_4_255": "pgd 0.0157"}


def intervals(answers: Mapping[str, Tensor], split: Split, seed: int) -> dict[str, Any]:
    """The 95 % intervals of the headline numbers: percentiles over resamples of the images, or of the groups where there are any.

    `answers` are of a `RobustnessReport`, image by image, about the images of `split`; `seed` is of the resamples.

    Returns:
        `unit` ("image" or "group") and `units`, how many there are; then [low, high] for accuracy, balanced_accuracy, auroc,
        augmented, corrupted, pgd_4_255 and error_auroc; None where it is undefined.
    """
    labels, probs, chosen = answers["labels"], answers["probs"], answers["chosen"]
    weights_RN = resamples(labels, split.groups, seed)
    many = weights_RN.shape[1] > 4000  # narrow intervals, for which fewer resamples do
    weights_RN = weights_RN[:200] if many else weights_RN
    found: dict[str, Any] = {
        name: _ends(name, {"labels": labels, "probs": probs}, weights_RN) for name in ("accuracy", "balanced_accuracy", "auroc")
    }
    corrupted = [values for name, values in answers.items() if name.startswith("corruption ")]
    shares = {name: answers[key] for name, key in SHARES.items() if key in answers}
    shares |= {"corrupted": torch.stack(corrupted).mean(0)} if corrupted else {}
    for name, values in shares.items():
        of_some = {"labels": labels[chosen], "probs": probs[chosen], name: values}
        found[name] = _ends(name, of_some, weights_RN[:, chosen])
    wrong = ((probs > 0.5).long() != labels).any(1) if labels.ndim == 2 else probs.argmax(1) != labels
    if "mutual_information" in answers:
        unsure = answers["mutual_information"].double()
        unsure = (unsure / (2 * unsure.max().clamp_min(1e-300))).clamp(1e-12, 0.5)
        score = torch.stack([1 - unsure, unsure], 1)
        found["error_auroc"] = _ends("auroc", {"labels": wrong.long(), "probs": score}, weights_RN)
    units = len(split) if split.groups is None else len(split.groups.unique())
    return {"unit": "image" if units == len(split) else "group", "units": units} | found


def by_class(answers: Mapping[str, Tensor], split: Split, classes: tuple[str, ...]) -> dict[str, Any]:
    """Errors by class: sensitivity and specificity with 95 % intervals (Wilson), and the confusion matrix.

    Returns:
        `classes`, a row for each: name, images, units (images or groups), predicted (how often), and sensitivity and specificity
        as [value, low, high], None without images; `confusion`, rows true and columns predicted, None for several labels.
    """
    labels, probs = answers["labels"], answers["probs"]
    several = labels.ndim == 2
    said = (probs > 0.5).long() if several else probs.argmax(1)
    units = torch.arange(len(labels)) if split.groups is None else split.groups
    rows = []
    for number, name in enumerate(classes):
        true, positive = (labels[:, number] == 1, said[:, number] == 1) if several else (labels == number, said == number)
        counts = {"images": int(true.sum()), "units": len(units[true].unique()), "predicted": int(positive.sum())}
        shares = {"sensitivity": _share(positive[true], units[true]), "specificity": _share(~positive[~true], units[~true])}
        rows.append({"name": name} | counts | shares)
    count = len(classes)
    confusion = None if several else (labels * count + said).bincount(minlength=count**2).view(count, count).tolist()
    return {"classes": rows, "confusion": confusion}


def verdicts(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """Warnings, the gravest first, each with what to do: `name`, `text` and `advice`. None is good news."""
    found: list[dict[str, str]] = []

    def say(name: str, **numbers: Any) -> None:
        found.append({"name": name} | {key: text.format(**numbers) for key, text in TEXTS[name].items()})

    rows, ends, clean = metrics["by_class"]["classes"], metrics["intervals"], metrics["clean"]
    audit = metrics.get("audit")
    if audit and "unseen" in audit["groups"] and "reconstruction" in audit["groups"]:
        start, real = (audit["groups"][name]["judge_agrees"] for name in ("reconstruction", "unseen"))
        if start["high"] < real["low"]:
            say("lost class", start=start, real=real)
    if never := [row["name"] for row in rows if row["images"] and not row["predicted"]]:
        say("class never predicted", names=" or ".join(map(repr, never)), clean=clean)
    if few := [f"{row['name']!r} has {row['units']}" for row in rows if row["units"] < FEW]:
        unit = "patients or other groups" if ends["unit"] == "group" else "images"
        say("few test images", unit=unit, few=", ".join(few))
    told, between = metrics["uncertainty"]["error_auroc"], ends.get("error_auroc")
    if told is not None and between and between[0] <= 0.5:
        say("uninformative uncertainty", told=told, between=between)
    return found


def resamples(labels: Tensor, groups: Tensor | None, seed: int) -> np.ndarray:
    """How often each image counts in each resample, (R, N): images within their class, or whole groups, with replacement."""
    generator = generator_for(seed, "headline intervals")
    if groups is None:
        return resampled(labels, generator).numpy()
    _, unit_N = groups.unique(return_inverse=True)
    count = int(unit_N.max()) + 1
    drawn_RU = torch.randint(count, (RESAMPLES, count), generator=generator)
    counts_RU = torch.zeros(RESAMPLES, count, dtype=torch.int64).scatter_add_(1, drawn_RU, torch.ones_like(drawn_RU))
    return counts_RU[:, unit_N].numpy()


def measured(name: str, answers: Mapping[str, Tensor | None], weights_RN: np.ndarray | None = None) -> np.ndarray:
    """A measure under each weighting, as `tsynd.metrics.weighted.measure` gives it; of several labels an image its mean over
    those that occur with both values. NaN where a resample lacks a class.
    """
    labels, probs = answers["labels"], answers["probs"]
    assert labels is not None and probs is not None
    others = {key: answers[key].numpy() for key in (name,) if answers.get(key) is not None}  # type: ignore[union-attr]
    own = [(labels, probs)]
    if labels.ndim == 2:
        own = [(y, torch.stack([1 - p, p], 1)) for y, p in zip(labels.unbind(1), probs.unbind(1), strict=True)]
    parts = [{**others, "labels": y.numpy(), "probs": p.numpy()} for y, p in own if name != "auroc" or len(y.unique()) > 1]
    if not parts:
        return np.array([np.nan])
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing but NaN
        found: np.ndarray = np.nanmean([measure(name, part, weights_RN) for part in parts], axis=0)
    return found


def _ends(name: str, answers: Mapping[str, Tensor | None], weights_RN: np.ndarray) -> list[float] | None:
    """The 2.5th and 97.5th percentile of a measure, over the resamples in which it is defined."""
    values_R = measured(name, answers, weights_RN)
    values_R = values_R[~np.isnan(values_R)]
    return [float(end) for end in np.percentile(values_R, [2.5, 97.5])] if len(values_R) else None


def _share(right: Tensor, units: Tensor) -> list[float] | None:
    if not len(right):
        return None
    share = right.double().mean().item()
    return [share, *wilson(share, effective(units))]


def with_interval(value: float | None, ends: list[float] | None) -> str:
    """A number with its interval, in three digits.

    >>> with_interval(0.5, [0.4, 0.6]), with_interval(None, None)
    ('0.500 (0.400 to 0.600)', '–')
    """
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")
