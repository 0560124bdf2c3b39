"""How good is the estimate of mutual information, and of its gradient? Against the number of samples, for four posteriors.

    python studies/estimator.py --out results/estimator --seeds 3

Classifiers and an autoencoder are trained on few images of each set (`SETS`). The gradient is that of the search: of the
mutual information of the decoded image, to the code. The reference is a posterior of `REFERENCE` samples, drawn apart from
those that are judged; for bagged heads, the other half of the heads; for an ensemble, its other half. Then: do mutual
information and entropy say the same, and do they find errors, and images of another set? `--out` gets `gradients.csv`,
`scores.csv`, `summary.json`, two tables and `estimator.svg`. Seeds that are there are not run again.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from estimator_report import COUNTS, SAMPLES, SCORES, SETS, drawn, gradient_table, score_table, summarise
from shared import TRUNK_DROPOUT, posteriors, read_csv, write_csv
from torch import Tensor, nn
from torch.nn import functional as F

import tsynd
from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.metrics.classification import error_auroc
from tsynd.posterior import Ensemble, FullDropout, HeadDropout, Posterior
from tsynd.uncertainty import expected_entropy, log_probabilities, mutual_information, predictive_entropy
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.eval_mode import frozen
from tsynd.utils.plotting import save
from tsynd.utils.rng import generator_for, seed_for

REFERENCE, HEADS, MEMBERS = 8192, 128, 10
IMAGES, CHUNK = 16, 256
Objective = Callable[[Tensor], Tensor]


def main() -> None:
    """Measure what is missing and write the tables and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--data", nargs="+", default=list(SETS), choices=SETS, help="which sets")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    gradients, scores = (read_csv(options.out / f"{name}.csv") for name in ("gradients", "scores"))
    for seed, name in itertools.product(range(options.seeds), options.data):
        if (name, seed) not in {(row["data"], row["seed"]) for row in scores}:
            started = time.perf_counter()
            found = measure(name, seed)
            gradients, scores = gradients + found[0], scores + found[1]
            write(options.out, gradients, scores)
            print(f"{name} {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    write(options.out, gradients, scores)


def measure(name: str, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Train on one set and measure every posterior: rows about gradients, and rows about scores."""
    per_class, foreign = SETS[name]
    data = tsynd.load(name)
    few = data.subset(per_class, seed)
    autoencoder = build_autoencoder(data.channels, data.size, seed_for(seed, "initialise autoencoder"))
    train_autoencoder(autoencoder, few.train.images.float() / 255, seed=seed)
    trained = posteriors(few.train, len(data.classes), seed, HEADS, MEMBERS)
    order = torch.randperm(len(data.test), generator=generator_for(seed, "images that are searched"))[:IMAGES]
    with frozen(autoencoder), torch.no_grad():
        codes_BD = autoencoder.encode(data.test.images[order].float() / 255)
    others = tsynd.load(foreign).test.images[: len(data.test)].expand(-1, data.channels, -1, -1)
    gradients, scores = [], []
    for kind, posterior in trained.items():
        key = {"data": name, "seed": seed, "posterior": kind}
        with frozen(autoencoder, *posterior.networks):
            reference, entropy_gradient_BD, pool_BKC = reference_of(posterior, codes_BD, autoencoder.decode, seed)
            plain = entropy_of(posterior.networks[0], autoencoder.decode)
            for count in COUNTS[kind]:
                judged = of_size(posterior, count, generator_for(seed, f"judged {count}"))
                objective = information_of(judged, autoencoder.decode)
                row = {"samples": count, "cosine": cosine(gradient_of(objective, codes_BD), reference)}
                row |= {"relative_bias": bias(pool_BKC, count), "step": cost(objective, plain, codes_BD)}
                gradients.append(key | rounded(row))
            used = of_size(posterior, {"ensemble": 5}.get(kind, SAMPLES), generator_for(seed, "scores"))
            found = compared(used, data.test.images, data.test.labels, others)
            scores.append(key | rounded(found | {"gradient_cosine_to_entropy": cosine(reference, entropy_gradient_BD)}))
    return gradients, scores


def of_size(posterior: Posterior, count: int, generator: torch.Generator) -> Posterior:
    """A posterior of `count` samples: fresh masks, or the first members."""
    if isinstance(posterior, Ensemble):
        return posterior[:count]
    (network,) = posterior.networks
    if isinstance(posterior, HeadDropout):
        return HeadDropout.from_model(network, "head", count, generator=generator)
    return FullDropout(network, count, generator, max_chunk=256)  # twice as fast on a CPU as all at once


def reference_of(
    posterior: Posterior, codes_BD: Tensor, decode: Callable[[Tensor], Tensor], seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of mutual information and of entropy to the codes, from many samples, and the log-probabilities of all.

    Masks come in chunks, so memory is bounded: a first pass averages the probabilities, a second one adds up the gradients,
    by d H(mean p) = - sum_c log(mean p_c) d mean p_c.
    """
    if isinstance(posterior, Ensemble):
        chunks: list[Posterior] = [posterior[len(posterior) // 2 :]]
    else:
        seeds = [generator_for(seed, f"reference {number}") for number in range(REFERENCE // CHUNK)]
        chunks = [of_size(posterior, CHUNK, generator) for generator in seeds]
    images_BCHW = decode(codes_BD)
    with torch.no_grad():
        found_BKC = torch.cat([chunk(images_BCHW) for chunk in chunks], dim=1)
        log_mean_BC = found_BKC.exp().mean(1).log()
        pool_BKC = posterior(images_BCHW) if isinstance(posterior, Ensemble) else found_BKC
    about_images = []  # the gradients of entropy and of expected entropy to the images
    leaf = images_BCHW.detach().requires_grad_()
    for of_one in (
        lambda log_probs_BKC: -(log_probs_BKC.exp().mean(1) * log_mean_BC).sum(1),
        expected_entropy,
    ):
        parts = [torch.autograd.grad(of_one(chunk(leaf)).sum(), leaf)[0] for chunk in chunks]
        about_images.append(torch.stack(parts).mean(0))
    z_BD = codes_BD.detach().requires_grad_()
    entropy_BD, expected_BD = (
        torch.autograd.grad(decode(z_BD), z_BD, gradient, retain_graph=True)[0] for gradient in about_images
    )
    return entropy_BD - expected_BD, entropy_BD, pool_BKC


def bias(pool_BKC: Tensor, count: int) -> float:
    """How far mutual information from `count` samples lies from that of the whole pool, on average, relative to it.

    The pool is cut into as many groups of `count` as it has.
    """
    groups = [group for group in pool_BKC.split(count, dim=1) if group.shape[1] == count]
    small = torch.stack([mutual_information(group).mean() for group in groups]).mean()
    return float(small / mutual_information(pool_BKC).mean() - 1)


def information_of(posterior: Posterior, decode: Callable[[Tensor], Tensor]) -> Objective:
    """The objective of the search: codes to the mutual information of their decoded images."""
    return lambda codes_BD: mutual_information(posterior(decode(codes_BD)))


def entropy_of(network: nn.Module, decode: Callable[[Tensor], Tensor]) -> Objective:
    """What a search would climb without a posterior: codes to the entropy of a deterministic network."""
    return lambda codes_BD: predictive_entropy(log_probabilities(network(decode(codes_BD))).unsqueeze(1))


def gradient_of(objective: Objective, codes_BD: Tensor) -> Tensor:
    """The gradient of an objective to the codes."""
    z_BD = codes_BD.detach().requires_grad_()
    return torch.autograd.grad(objective(z_BD).sum(), z_BD)[0]


def cost(objective: Objective, plain: Objective, codes_BD: Tensor, repeats: int = 5) -> float:
    """The time of an objective and its gradient over that of a plain one: measured in turn, the shortest of each."""
    seconds: dict[Objective, list[float]] = {objective: [], plain: []}
    for each in (objective, plain) * (repeats + 1):
        started = time.perf_counter()
        gradient_of(each, codes_BD)
        seconds[each].append(time.perf_counter() - started)
    return min(seconds[objective][1:]) / min(seconds[plain][1:])


def compared(posterior: Posterior, images: Tensor, labels: Tensor, others: Tensor) -> dict[str, float | None]:
    """Do the scores say the same, and do they find errors, and images of another set?"""
    log_probs_BKC, foreign_BKC = (predict(posterior, part, 64) for part in (images, others))
    scores, foreign = scores_of(log_probs_BKC), scores_of(foreign_BKC)
    wrong_B = log_probs_BKC.exp().mean(1).argmax(1) != labels
    ranks = torch.stack([scores[name].argsort().argsort().double() for name in ("mutual_information", "entropy")])
    row: dict[str, float | None] = {
        "accuracy": 1 - float(wrong_B.double().mean()),
        "spearman": float(torch.corrcoef(ranks)[0, 1]),
    }
    is_foreign = torch.cat([torch.zeros(len(images)), torch.ones(len(others))]).bool()
    for name in SCORES:
        row[f"errors_{name}"] = error_auroc(scores[name], wrong_B)
        row[f"foreign_{name}"] = error_auroc(torch.cat([scores[name], foreign[name]]), is_foreign)
    return row


def scores_of(log_probs_BKC: Tensor) -> dict[str, Tensor]:
    """Three uncertainties of each image."""
    return {
        "mutual_information": mutual_information(log_probs_BKC),
        "entropy": predictive_entropy(log_probs_BKC),
        "confidence": 1 - log_probs_BKC.exp().mean(1).amax(1),
    }


def cosine(first_BD: Tensor, second_BD: Tensor) -> float:
    """The mean over images of the cosine between two gradients."""
    return float(F.cosine_similarity(first_BD.double(), second_BD.double(), dim=1, eps=1e-30).mean())


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers to four digits after the point; None, which is undefined, as an empty text."""
    return {name: "" if value is None else round(value, 5) for name, value in row.items()}


def write(out: Path, gradients: list[dict[str, Any]], scores: list[dict[str, Any]]) -> None:
    """Write the rows and what follows from them."""
    write_csv(out / "gradients.csv", gradients)
    write_csv(out / "scores.csv", scores)
    summary = summarise(gradients, scores)
    config: dict[str, Any] = {"reference": REFERENCE, "heads": HEADS, "members": MEMBERS, "images": IMAGES, "sets": SETS}
    config["trunk_dropout"] = TRUNK_DROPOUT
    write_json(out / "summary.json", {"config": config, "found": summary, "versions": versions()})
    write_text(out / "gradients.md", gradient_table(summary))
    write_text(out / "scores.md", score_table(summary))
    save(drawn(summary), out / "estimator.svg")


if __name__ == "__main__":
    main()
