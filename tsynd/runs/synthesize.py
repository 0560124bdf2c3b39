"""New targeted images from a finished run."""

from dataclasses import replace
from typing import Annotated

import torch

from tsynd.errors import TsyndError
from tsynd.posterior import HeadDropout
from tsynd.runs.networks import classifier_for
from tsynd.runs.run import Run
from tsynd.targeting import Synthesis, concatenate
from tsynd.training import ARMS, parse_arm
from tsynd.training.bank import Bank
from tsynd.utils.progress import Progress, Step
from tsynd.utils.rng import generator_for, seed_for
from tsynd.utils.rules import validated, whole
from tsynd.utils.validation import check_count

__all__ = ["synthesize"]


@validated
def synthesize(
    run: Run,
    count: Annotated[int, whole(1)],
    *,
    decode: str | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Synthesis:
    """Make targeted images from a finished run, as its arm made them in training, but with its final classifier.

    Sources are the run's training images, drawn as its recipe says and lightly augmented; objective, guard and pixel step are the
    arm's. Images are made in the recipe's batches, which bounds the memory; with one seed, a larger set begins with the
    smaller one.

    Args:
        run: a finished run whose arm has an autoencoder.
        count: how many images, at least 1.
        decode: `image` or `residual` (see `tsynd.targeting.target`); as in the run's training by default.
        seed: of all that is drawn; the run's own by default.
        progress: called as images are made.

    Returns:
        A `Synthesis` of `count` images on the CPU; `sources` counts in `run.data.train`.

    Raises:
        TsyndError: when the count is below 1, the seed negative or no whole number, or the run's arm searches for no images.
    """
    arm, recipe, autoencoder = parse_arm(run.config["arm"]), run.recipe, run.autoencoder
    recipe = recipe if decode is None else replace(recipe, decode=decode)
    seed = run.config["seed"] if seed is None else seed
    check_count(0, seed=seed)
    if not arm.objective or autoencoder is None:
        searching = ", ".join(name for name, each in ARMS.items() if each.objective)
        raise TsyndError(f"arm {run.config['arm']!r} has no autoencoder to synthesize with: arms with one are {searching}")
    images_BCHW, labels_B = run.training_images()
    searched = run.classifier
    if arm.sham:  # searches with an untrained copy
        searched = classifier_for(run.config, run.data).to(run.device)
        searched.mean.copy_(run.classifier.mean)
        searched.std.copy_(run.classifier.std)
    posterior = HeadDropout.of(searched, recipe.samples, generator_for(seed, "synthesize, posterior"))
    bank = Bank(arm, replace(recipe, capacity=recipe.refresh_count), seed_for(seed, "synthesize"))  # forgets at once
    parts: list[Synthesis] = []
    while (done := sum(map(len, parts))) < count:
        if progress:
            progress(Step("synthesize", done, count, "images"))
        made = bank.refresh(images_BCHW, labels_B, autoencoder, posterior, run.classifier)
        parts.append(made.to("cpu").with_sources(run.chosen))
    return concatenate(parts)[torch.arange(count)]
