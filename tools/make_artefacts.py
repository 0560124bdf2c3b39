"""Train the networks that come with the package in tsynd/examples: `make artefacts`. The oracle takes some minutes.

python tools/make_artefacts.py [--steps 3000]
"""

import argparse
import sys
import time

import torch

from tsynd import store
from tsynd.data.phantom.oracle import train_oracle
from tsynd.examples import ORACLE, fingerprint
from tsynd.versions import versions

STEPS, BATCH_SIZE, LEARNING_RATE, SEED = 3000, 64, 3e-3, 0


def main() -> None:
    """Train the oracle and write it with its configuration and hash."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps; fewer only to try this script")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    config = {"steps": options.steps, "batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE, "seed": SEED}
    oracle = train_oracle(options.steps, BATCH_SIZE, LEARNING_RATE, SEED, progress=say)
    notes = {"config": config, "hash": fingerprint(oracle), "command": "make artefacts", "versions": versions()}
    store.save_network(ORACLE, oracle, notes)
    print(f"{ORACLE.name}: {ORACLE.stat().st_size / 1e6:.2f} MB, {time.perf_counter() - started:.0f} s")


def say(step: int, loss: float) -> None:
    """A line every hundred steps."""
    if (step + 1) % 100 == 0:
        print(f"step {step + 1}: loss {loss:.4f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
