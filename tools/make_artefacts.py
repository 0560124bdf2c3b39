"""Train the networks that come with the package in tsynd/pretrained: `make artefacts`. All take some minutes.

python tools/make_artefacts.py [--only breastmnist] [--steps 10]
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace

import torch

from tsynd import pretrained
from tsynd.autoencoding import train_autoencoder
from tsynd.data import load
from tsynd.data.phantom.oracle import ORACLE, train_oracle
from tsynd.training import Recipe, parse_arm, train_classifier
from tsynd.utils.environment import versions
from tsynd.utils.tensor_files import save_network, weights_hash, write_tensors
from tsynd.utils.validation import check_name

STEPS, BATCH_SIZE, LEARNING_RATE, SEED = 3000, 64, 3e-3, 0


def main() -> None:
    """Train and write the networks, each with its configuration and hash."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=["oracle", *pretrained.DATA], help="one file")
    parser.add_argument("--steps", type=int, help="optimiser steps of each training; only to try this script")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in ["oracle", *pretrained.DATA]:
        if options.only in (None, name):
            started = time.perf_counter()
            path = ORACLE if name == "oracle" else pretrained.FOLDER / f"{name}.safetensors"
            make_oracle(options.steps or STEPS) if name == "oracle" else make_example(name, options.steps)
            print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {time.perf_counter() - started:.0f} s")


def make_oracle(steps: int) -> None:
    """Train and write the oracle."""
    config = {"steps": steps, "batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE, "seed": SEED}
    oracle = train_oracle(steps, BATCH_SIZE, LEARNING_RATE, SEED, progress=lambda step, loss: say("oracle", step, loss))
    notes = {"config": config, "hash": weights_hash(oracle), "command": "make artefacts", "versions": versions()}
    save_network(ORACLE, oracle, notes)


def make_example(name: str, steps: int | None) -> None:
    """Train and write the networks of one example."""
    recipe = Recipe() if steps is None else replace(Recipe(), steps=steps, autoencoder_steps=steps)
    write(name, train(name, recipe, say), recipe)


def train(
    name: str, recipe: Recipe | None = None, progress: Callable[[str, int, float], None] | None = None
) -> pretrained.Example:
    """Train an example's networks anew: a minute on one core.

    Args:
        name: a key of `DATA`.
        recipe: steps and all else; the budget `cpu` by default.
        progress: called with (stage, step, loss) after each step.

    Raises:
        TsyndError: for an unknown name.
        DataUnavailable: when its data can be neither found nor downloaded.
    """
    check_name("example", name, pretrained.DATA)
    recipe = Recipe() if recipe is None else recipe
    data_name, with_autoencoder = pretrained.DATA[name]
    data = load(data_name)
    split = data.subset(pretrained.PER_CLASS, pretrained.SEED).train
    images_BCHW = split.images.float() / 255
    example = pretrained.untrained(name, data.channels, data.size, len(data.classes))

    def reporter(stage: str) -> Callable[[int, float], None] | None:
        return None if progress is None else lambda step, loss: progress(stage, step, loss)

    if with_autoencoder:
        assert example.autoencoder is not None
        train_autoencoder(
            example.autoencoder,
            images_BCHW,
            steps=recipe.autoencoder_steps,
            latent_noise=recipe.latent_noise,
            seed=pretrained.SEED,
            progress=reporter("autoencoder"),
        )
    train_classifier(
        example.classifier,
        images_BCHW,
        split.labels,
        parse_arm("none"),
        recipe,
        seed=pretrained.SEED,
        progress=reporter("classifier"),
    )
    return example


def write(name: str, example: pretrained.Example, recipe: Recipe) -> None:
    """Write an example's networks, in half precision, with how they were made and a hash of what `read` gives."""
    halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in pretrained.weights(example).items()}
    pretrained.load_into(example, halves)  # what is read is what is hashed
    size = {"channels": example.classifier.channels, "size": example.classifier.size, "classes": example.classifier.classes}
    config = {
        "data": example.data_name,
        "per_class": pretrained.PER_CLASS,
        "seed": pretrained.SEED,
        "arm": "none",
        "recipe": asdict(recipe),
    }
    notes = size | {"config": config, "hash": pretrained.hash_of(example), "command": "make artefacts", "versions": versions()}
    write_tensors(pretrained.FOLDER / f"{name}.safetensors", halves, notes)


def say(stage: str, step: int, loss: float) -> None:
    """A line every hundred steps."""
    if (step + 1) % 100 == 0:
        print(f"{stage}, step {step + 1}: loss {loss:.4f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
