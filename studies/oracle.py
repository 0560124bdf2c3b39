"""How far can the oracle be believed? On unseen phantoms, on blurred ones, and on an autoencoder's reconstructions.

    python studies/oracle.py --out results/oracle

All images are of the phantoms' test split, which no autoencoder was trained on. `--out` gets `summary.json`, `table.md` and
`oracle.svg`.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

import tsynd
from tsynd.autoencoding import build_autoencoder, train_autoencoder
from tsynd.data.phantom.oracle import BLUR, UNITS, blur, oracle
from tsynd.data.phantom.phantoms import PhantomSplit
from tsynd.data.phantom.rule import malignancy
from tsynd.metrics.classification import accuracy, error_auroc
from tsynd.training import Recipe
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions
from tsynd.utils.plotting import COLOURS, MARKERS, Picture, save, styled
from tsynd.utils.rng import seed_for

SIGMAS = (0.0, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0)
COUNTS = (25, 200, 2000)
# Below this accuracy the oracle should not be asked.
BELIEVED = 0.85


def main() -> None:
    """Ask the oracle and write what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = tsynd.load("phantom")
    test = data.test
    assert isinstance(test, PhantomSplit)
    images_BCHW = test.images.float() / 255
    found: dict[str, Any] = {"images": len(test), "believed_above_accuracy": BELIEVED, "trained_with_blur_up_to": BLUR}
    found["factors"] = factors(images_BCHW, test)
    found["blurred"] = [{"sigma": sigma} | asked(blur(images_BCHW, sigma), test) for sigma in SIGMAS]
    found["reconstructed"] = []
    for count in COUNTS:
        autoencoder = build_autoencoder(1, data.size, seed_for(0, "initialise autoencoder"))
        subset_BCHW = data.subset(count, seed=0).train.images.float() / 255
        train_autoencoder(autoencoder, subset_BCHW, steps=Recipe().autoencoder_steps, latent_noise=Recipe().latent_noise)
        copies_BCHW = predict(autoencoder, images_BCHW, 250)
        error = float((copies_BCHW - images_BCHW).square().mean().sqrt())
        found["reconstructed"].append({"per_class": count, "error": round(error, 4)} | asked(copies_BCHW, test))
    believed = [part["sigma"] for part in found["blurred"] if part["accuracy"] >= BELIEVED]
    found |= {"believed_up_to_sigma": max(believed) if believed else None, "versions": versions()}
    write_json(options.out / "summary.json", found)
    write_text(options.out / "table.md", table(found))
    save(drawn(found), options.out / "oracle.svg")


def asked(images_BCHW: Tensor, split: PhantomSplit) -> dict[str, float]:
    """How well the oracle tells the true class of changed images of a split."""
    recovered = recover(images_BCHW)
    score_B, truth_B = recovered["score"], malignancy(split.factors)
    area = error_auroc(score_B, split.labels == 1)
    assert area is not None
    right = accuracy(torch.stack([-score_B, score_B], 1), split.labels)
    correlation = float(torch.corrcoef(torch.stack([score_B, truth_B]))[0, 1])
    return {"accuracy": round(right, 4), "auroc": round(area, 4), "score_correlation": round(correlation, 4)}


def recover(images_BCHW: Tensor) -> dict[str, Tensor]:
    """The factors by name, and the score that decides the class."""
    network = oracle()
    parts = []
    with torch.no_grad():
        for batch_BCHW in images_BCHW.split(250):
            factors = network.recover(batch_BCHW)
            parts.append({name: getattr(factors, name) for name in UNITS} | {"score": malignancy(factors)})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def factors(images_BCHW: Tensor, split: PhantomSplit) -> dict[str, dict[str, float]]:
    """How well each factor is recovered: the share of its variance that is explained, and the typical error."""
    recovered = recover(images_BCHW)
    report = {}
    for name in UNITS:
        truth_B = getattr(split.factors, name)
        error_B = recovered[name] - truth_B
        explained = 1 - float(error_B.square().mean() / truth_B.var(correction=0))
        report[name] = {"explained": round(explained, 4), "error": round(float(error_B.abs().median()), 4)}
    return report


def table(found: dict[str, Any]) -> str:
    """The numbers as two Markdown tables: classes, then factors."""
    lines = ["| images | accuracy | AUROC | correlation with the true score |", "|---|---|---|---|"]
    rows = {"unseen phantoms" if not part["sigma"] else f"blurred, {part['sigma']:g} px": part for part in found["blurred"]}
    rows |= {
        f"reconstructed, autoencoder of {part['per_class']} per class (error {part['error']:.3f})": part
        for part in found["reconstructed"]
    }
    for words, part in rows.items():
        lines.append(f"| {words} | {part['accuracy']:.3f} | {part['auroc']:.3f} | {part['score_correlation']:.3f} |")
    lines += ["", "| factor | variance explained | median error |", "|---|---|---|"]
    lines += [f"| {name} | {part['explained']:.2f} | {part['error']:.3g} |" for name, part in found["factors"].items()]
    limit = found["believed_up_to_sigma"]
    verdict = f"up to a blur of {limit:g} px" if limit is not None else "on no image"
    lines += [
        "",
        f"Accuracy is at least {found['believed_above_accuracy']:.0%} {verdict}: beyond that do not believe the oracle.",
    ]
    return "\n".join([*lines, ""])


@styled
def drawn(found: dict[str, Any]) -> Figure:
    """Accuracy of the oracle against blur, with its accuracy on reconstructions beside."""
    figure = Picture(figsize=(7, 3.4))
    axis = figure.subplots()
    sigmas = [part["sigma"] for part in found["blurred"]]
    for position, (name, words) in enumerate((("accuracy", "accuracy"), ("auroc", "AUROC"))):
        style: Any = {"color": COLOURS[position], "marker": MARKERS[position]}
        axis.plot(sigmas, [part[name] for part in found["blurred"]], label=f"blurred phantoms, {words}", **style)
    for position, part in enumerate(found["reconstructed"]):
        label = f"reconstructed, autoencoder of {part['per_class']} per class, accuracy"
        axis.axhline(part["accuracy"], color=COLOURS[2 + position], linestyle=("--", "-.", ":")[position], label=label)
    axis.set(xlabel="blur (standard deviation in pixels)", ylabel="oracle against the truth", ylim=(0.45, 1.02))
    axis.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    main()
