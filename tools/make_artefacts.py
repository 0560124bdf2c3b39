"""Train the networks that come with the package in tsynd/pretrained: `make artefacts`. All take some minutes.

python tools/make_artefacts.py [--only breastmnist] [--arm tsynd] [--steps 10]
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd import pretrained
from tsynd.autoencoding import train_autoencoder
from tsynd.data import load
from tsynd.data.phantom import Factors, render, sample_factors
from tsynd.data.phantom.oracle import BLUR, ORACLE, SIZE, UNITS, Oracle, blur
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.environment import versions
from tsynd.utils.progress import Progress, Step
from tsynd.utils.rng import generator_for, seed_for, seeded, uniform
from tsynd.utils.tensor_files import save_network, weights_hash, write_tensors

STEPS, BATCH_SIZE, LEARNING_RATE, SEED = 3000, 64, 3e-3, 0


def main() -> None:
    """Train and write the networks, each with its configuration and hash."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=["oracle", *pretrained.DATA], help="one data set, or the oracle")
    parser.add_argument("--arm", choices=pretrained.ARMS, help="one way to train; by default each that comes with the package")
    parser.add_argument("--steps", type=int, help="optimiser steps of each training; only to try this script")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only in (None, "oracle") and options.arm is None:
        written(ORACLE, lambda: make_oracle(options.steps or STEPS))
    for name, (_, with_autoencoder) in pretrained.DATA.items():
        for arm in pretrained.ARMS if with_autoencoder else pretrained.ARMS[:1]:
            if options.only in (None, name) and options.arm in (None, arm):
                written(pretrained.path_of(name, arm), partial(make_example, name, arm, options.steps))


def written(path: Path, make: Callable[[], None]) -> None:
    """Make a file; say how large it is, and how long it took."""
    started = time.perf_counter()
    make()
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {time.perf_counter() - started:.0f} s", flush=True)


def make_oracle(steps: int) -> None:
    """Train and write the oracle."""
    config = {"steps": steps, "batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE, "seed": SEED}
    oracle = train_oracle(steps, BATCH_SIZE, LEARNING_RATE, SEED, progress=say)
    notes = {"config": config, "hash": weights_hash(oracle), "command": "make artefacts", "versions": versions()}
    save_network(ORACLE, oracle, notes)


def train_oracle(
    steps: int = 3000,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> Oracle:
    """Train an oracle on phantoms that are drawn anew for every step, half of them blurred, by mean squared error.

    Args:
        steps, batch_size, learning_rate: AdamW with a one-cycle schedule that peaks at `learning_rate`.
        seed: of the initialisation and of all phantoms.
        progress: called after each step; the loss is in variances of the factors.
    """
    with seeded(seed_for(seed, "initialise oracle")):
        oracle = Oracle()
    generator = generator_for(seed, "oracle phantoms")
    optimiser = torch.optim.AdamW(oracle.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, max(steps, 2))
    oracle.train()
    for step in range(steps):
        factors = sample_factors(batch_size, generator)
        images_BCHW = render(factors, SIZE, generator)
        sigma = BLUR * float(uniform((1,), generator, images_BCHW))
        images_BCHW = torch.cat([blur(images_BCHW[::2], sigma), images_BCHW[1::2]])
        order = torch.cat([torch.arange(0, batch_size, 2), torch.arange(1, batch_size, 2)])
        loss = F.mse_loss(oracle(images_BCHW), standardised(factors[order]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress:
            progress(Step("oracle", step + 1, steps, f"loss {loss.item():.4f}"))
    return oracle.eval()


def standardised(factors: Factors) -> Tensor:
    """Factors as the network gives them: (B, 8), the aspect as its logarithm."""
    columns = {name: getattr(factors, name) for name in UNITS} | {"aspect": factors.aspect.log()}
    return torch.stack([(columns[name] - mean) / deviation for name, (mean, deviation) in UNITS.items()], 1)


def make_example(name: str, arm: str, steps: int | None) -> None:
    """Train and write the networks of one example by one arm."""
    recipe = Recipe() if steps is None else replace(Recipe(), steps=steps, autoencoder_steps=steps)
    write(name, train(name, recipe, say, arm), recipe)


def train(name: str, recipe: Recipe | None = None, progress: Progress | None = None, arm: str = "none") -> pretrained.Example:
    """Train an example's networks anew: about a minute on one core.

    Args:
        name: a key of `DATA`.
        recipe: steps and all else; the budget `cpu` by default.
        progress: called after each step.
        arm: how the classifier is trained. For every arm but `none` the autoencoder is the one that comes with the package.

    Raises:
        TsyndError: for an unknown name, or an arm that does not come with the package.
        DataUnavailable: when its data can be neither found nor downloaded.
    """
    pretrained.check_names(name, arm)
    recipe = Recipe() if recipe is None else recipe
    data = load(pretrained.DATA[name][0])
    split = data.subset(pretrained.PER_CLASS, pretrained.SEED).train
    images_BCHW = split.images.float() / 255
    example = pretrained.untrained(name, data.channels, data.size, len(data.classes), arm)
    if arm != "none":
        example = replace(example, autoencoder=pretrained.read(name).autoencoder)

    if example.autoencoder is not None and arm == "none":
        train_autoencoder(
            example.autoencoder,
            images_BCHW,
            steps=recipe.autoencoder_steps,
            latent_noise=recipe.latent_noise,
            seed=pretrained.SEED,
            progress=progress,
        )
    train_classifier(
        example.classifier,
        images_BCHW,
        split.labels,
        parse_arm(arm),
        recipe,
        autoencoder=example.autoencoder,
        seed=pretrained.SEED,
        progress=progress,
    )
    return example


def write(name: str, example: pretrained.Example, recipe: Recipe) -> None:
    """Write an example's networks, in half precision, with how they were made and a hash of what `read` gives.

    The file of an arm other than `none` holds its classifier only.
    """
    halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in pretrained.weights(example).items()}
    pretrained.load_into(example, halves)  # what is read is what is hashed
    size = {"channels": example.classifier.channels, "size": example.classifier.size, "classes": example.classifier.classes}
    config = {
        "data": example.data_name,
        "per_class": pretrained.PER_CLASS,
        "seed": pretrained.SEED,
        "arm": example.arm,
        "recipe": asdict(recipe),
    }
    notes = size | {"config": config, "hash": pretrained.hash_of(example), "command": "make artefacts", "versions": versions()}
    write_tensors(pretrained.path_of(name, example.arm), halves, notes)


def say(step: Step) -> None:
    """A line every hundred steps."""
    if step.done % 100 == 0:
        print(step, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
