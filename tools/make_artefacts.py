"""Train the networks that come with the package in tsynd/examples: `make artefacts`. All take some minutes.

python tools/make_artefacts.py [--only breastmnist] [--steps 10]
"""

import argparse
import sys
import time
from dataclasses import replace

import torch

from tsynd import examples, store
from tsynd.data.phantom.oracle import train_oracle
from tsynd.tensors import weights_hash
from tsynd.training import Recipe
from tsynd.versions import versions

STEPS, BATCH_SIZE, LEARNING_RATE, SEED = 3000, 64, 3e-3, 0


def main() -> None:
    """Train and write the networks, each with its configuration and hash."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=["oracle", *examples.DATA], help="one file")
    parser.add_argument("--steps", type=int, help="optimiser steps of each training; only to try this script")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in ["oracle", *examples.DATA]:
        if options.only in (None, name):
            started = time.perf_counter()
            path = examples.FOLDER / f"{name}.safetensors"
            make_oracle(options.steps or STEPS) if name == "oracle" else make_example(name, options.steps)
            print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {time.perf_counter() - started:.0f} s")


def make_oracle(steps: int) -> None:
    """Train and write the oracle."""
    config = {"steps": steps, "batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE, "seed": SEED}
    oracle = train_oracle(steps, BATCH_SIZE, LEARNING_RATE, SEED, progress=lambda step, loss: say("oracle", step, loss))
    notes = {"config": config, "hash": weights_hash(oracle), "command": "make artefacts", "versions": versions()}
    store.save_network(examples.ORACLE, oracle, notes)


def make_example(name: str, steps: int | None) -> None:
    """Train and write the networks of one example."""
    recipe = Recipe() if steps is None else replace(Recipe(), steps=steps, autoencoder_steps=steps)
    examples.write(name, examples.train(name, recipe, say), recipe)


def say(stage: str, step: int, loss: float) -> None:
    """A line every hundred steps."""
    if (step + 1) % 100 == 0:
        print(f"{stage}, step {step + 1}: loss {loss:.4f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
