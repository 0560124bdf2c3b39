"""What do two baselines without any training step reach? Ridge regression on pixels, and on pretrained features.

    python studies/closed_form.py --out results/closed-form --seeds 10

The arms `pixel-ridge` and `probe` on the sets and numbers of images of the main study, on its test splits. The features of the
pretrained network are computed once for each image. Nothing was chosen by these numbers: the penalty is chosen by leave-one-out,
and the rest was fixed on validation splits. `--out` gets `runs.csv` and `summary.json`.
"""

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from shared import write_csv
from torch import Tensor
from torch.nn import functional as F

import tsynd
from tsynd.classification import build_classifier
from tsynd.classification.efficientnet import EfficientNetLite
from tsynd.data import Dataset
from tsynd.metrics.calibration import nll
from tsynd.metrics.classification import auroc
from tsynd.training.ridge import ridge
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.batching import predict
from tsynd.utils.environment import versions

SETS = (("breastmnist", 60), ("pneumoniamnist", 25), ("retinamnist", 25))


def main() -> None:
    """Measure both arms and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from 0")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, per_class in SETS:
        data = tsynd.load(name)
        chosen = [data.subset_index(per_class, seed) for seed in range(options.seeds)]
        for arm, train_ND, test_ND in (("pixel-ridge", *pixels(data)), ("probe", *features(data, torch.cat(chosen).unique()))):
            for seed, index in enumerate(chosen):
                what = {"data": name, "per_class": per_class, "arm": arm, "seed": seed}
                rows.append(what | measure(data, index, train_ND, test_ND))
            print(name, arm, round(fmean(row["auroc"] for row in rows[-options.seeds :]), 3), flush=True)
    write_csv(options.out / "runs.csv", rows)
    means: dict[str, dict[str, float]] = {}
    for name, arm in dict.fromkeys((row["data"], row["arm"]) for row in rows):
        those = [row for row in rows if (row["data"], row["arm"]) == (name, arm)]
        means[f"{name}, {arm}"] = {key: round(fmean(row[key] for row in those), 3) for key in ("auroc", "nll")}
    write_text(options.out / "table.md", table(means))
    write_json(options.out / "summary.json", {"seeds": options.seeds, "means": means, "versions": versions()})


def table(means: dict[str, dict[str, float]]) -> str:
    """The means as Markdown, a row for each set."""
    lines = ["| data set | `pixel-ridge`: AUROC | NLL | `probe`: AUROC | NLL |", "|:--|--:|--:|--:|--:|"]
    for name, per_class in SETS:
        cells = [f"{means[f'{name}, {arm}'][key]:.3f}" for arm in ("pixel-ridge", "probe") for key in ("auroc", "nll")]
        lines.append(f"| {name}, {per_class} of each class | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def pixels(data: Dataset) -> tuple[Tensor, Tensor]:
    """The pixels of the training and of the test images, (N, D)."""
    return data.train.images.flatten(1).float() / 255, data.test.images.flatten(1).float() / 255


def features(data: Dataset, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Pretrained features of the test images, and of those training images that are wanted; zeros for the others."""
    classifier = build_classifier(data.channels, data.size, 2, 0, architecture="efficientnet-lite0-frozen").eval()
    network = classifier.get_submodule("network")
    assert isinstance(network, EfficientNetLite)
    with torch.no_grad():
        some_ND = predict(network.features, data.train.images[wanted], 32)
        test_ND = predict(network.features, data.test.images, 32)
    train_ND = torch.zeros(len(data.train), some_ND.shape[1])
    train_ND[wanted] = some_ND
    return train_ND, test_ND


def measure(data: Dataset, index: Tensor, train_ND: Tensor, test_ND: Tensor) -> dict[str, float]:
    """AUROC and NLL on the test split, of a fit to the training images at these positions."""
    labels_NC = F.one_hot(data.train.labels[index], len(data.classes))
    weights_CD, bias_C, _ = ridge(train_ND[index], labels_NC)
    probs_NC = (test_ND.double() @ weights_CD.T + bias_C).softmax(1)
    return {"auroc": round(float(auroc(probs_NC, data.test.labels) or 0), 4), "nll": round(nll(probs_NC, data.test.labels), 4)}


if __name__ == "__main__":
    main()
