"""Exercises of the chapter on data."""

from typing import Any

import torch
from torch import Tensor


def leaked(train_BHW: Tensor, test_BHW: Tensor) -> list[int]:
    seen = {image.numpy().tobytes() for image in train_BHW}
    return [position for position, image in enumerate(test_BHW) if image.numpy().tobytes() in seen]


def twice_anywhere(train_BHW: Tensor, test_BHW: Tensor) -> list[int]:
    both = torch.cat([train_BHW, test_BHW])
    return [n for n, image in enumerate(test_BHW) if (both == image).all(dim=(1, 2)).sum() > 1]


def same_values(train_BHW: Tensor, test_BHW: Tensor) -> list[int]:
    seen = {tuple(sorted(image.flatten().tolist())) for image in train_BHW}
    return [n for n, image in enumerate(test_BHW) if tuple(sorted(image.flatten().tolist())) in seen]


def nearly(train_BHW: Tensor, test_BHW: Tensor) -> list[int]:
    return [n for n, image in enumerate(test_BHW) if (train_BHW != image).sum(dim=(1, 2)).min() <= 1]


def by_patient(patient_N: Tensor, share: float, generator: torch.Generator) -> Tensor:
    patients = patient_N.unique()
    order = torch.randperm(len(patients), generator=generator)
    return torch.isin(patient_N, patients[order[: round(share * len(patients))]])


def by_image(patient_N: Tensor, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(len(patient_N), generator=generator) < share


def first_patients(patient_N: Tensor, share: float, generator: torch.Generator) -> Tensor:
    patients = patient_N.unique()
    return torch.isin(patient_N, patients[: round(share * len(patients))])


def subset(labels_N: Tensor, per_class: int, seed: int) -> Tensor:
    order = torch.randperm(len(labels_N), generator=torch.Generator().manual_seed(seed))
    return torch.cat([order[labels_N[order] == label][:per_class] for label in labels_N.unique()])


def drawn_anew(labels_N: Tensor, per_class: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * seed + per_class)
    order = torch.randperm(len(labels_N), generator=generator)
    return torch.cat([order[labels_N[order] == label][:per_class] for label in labels_N.unique()])


def not_stratified(labels_N: Tensor, per_class: int, seed: int) -> Tensor:
    return torch.randperm(len(labels_N), generator=torch.Generator().manual_seed(seed))[: 3 * per_class]


def always_first(labels_N: Tensor, per_class: int, seed: int) -> Tensor:
    return torch.cat([(labels_N == label).nonzero().flatten()[:per_class] for label in range(3)])


def balanced(predicted_N: Tensor, labels_N: Tensor) -> Tensor:
    right_N = (predicted_N == labels_N).double()
    return torch.stack([right_N[labels_N == label].mean() for label in labels_N.unique()]).mean()


def mean_precision(predicted_N: Tensor, labels_N: Tensor) -> float:
    right_N = (predicted_N == labels_N).double()
    shares = [float(right_N[predicted_N == label].mean()) if (predicted_N == label).any() else 0.0 for label in range(3)]
    return sum(shares) / 3


ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "find_a_leak": (
        leaked,
        lambda train, test: ...,
        [
            (twice_anywhere, "both are test images"),
            (same_values, "values in other places"),
            (nearly, "differs from a training image in one pixel"),
            (lambda train, test: [0, 20], "positions in the training set"),
            (lambda train, test: [], "2 and 7 would be right"),
        ],
    ),
    "split_by_patient": (
        by_patient,
        lambda patient, share, generator: ...,
        [
            (by_image, "is in both parts"),
            (first_patients, "draw them from the generator"),
            (lambda patient, share, generator: by_patient(patient, 0.5, generator), "4 of 9 patients"),
            (lambda patient, share, generator: by_patient(patient, share, generator).nonzero(), "One True or False"),
            (lambda patient, share, generator: by_patient(patient, share, torch.Generator().manual_seed(0)), "Other seeds gave"),
        ],
    ),
    "nested_subsets": (
        subset,
        lambda labels, per_class, seed: ...,
        [
            (drawn_anew, "are not all among"),
            (not_stratified, "the classes have"),
            (always_first, "Every seed gave the same images"),
            (lambda labels, per_class, seed: [0] * 3 * per_class, "is there twice"),
        ],
    ),
    "balanced_accuracy": (
        balanced,
        lambda predicted, labels: ...,
        [
            (lambda predicted, labels: (predicted == labels).double().mean(), "plain accuracy"),
            (mean_precision, "divides by what was *predicted*"),
            (lambda predicted, labels: 1 - balanced(predicted, labels), "then their mean"),
        ],
    ),
}


def folds(hospital_N: Tensor, patient_N: Tensor) -> list[tuple[Tensor, Tensor]]:
    found = []
    for name in hospital_N.unique():
        test_N = hospital_N == name
        found.append((~test_N & ~torch.isin(patient_N, patient_N[test_N]), test_N))
    return found


def folds_that_leak(hospital_N: Tensor, patient_N: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(hospital_N != name, hospital_N == name) for name in hospital_N.unique()]


def folds_without_the_shared(hospital_N: Tensor, patient_N: Tensor) -> list[tuple[Tensor, Tensor]]:
    both = {p for p in patient_N.tolist() if len(hospital_N[patient_N == p].unique()) > 1}
    alone = torch.tensor([p not in both for p in patient_N.tolist()])
    return [((hospital_N != name), (hospital_N == name) & alone) for name in hospital_N.unique()]


ROWS |= {
    "leave_one_hospital_out": (
        folds,
        lambda hospital_N, patient_N: ...,
        [
            (folds_that_leak, "patient 2 was in another hospital"),
            (folds_without_the_shared, "all of its images"),
            (lambda h, p: [pair[::-1] for pair in folds(h, p)], "exchanged"),
            (lambda h, p: [(h >= 0, h == name) for name in h.unique()], "in training and in the test"),
            (lambda h, p: folds(h, p)[:2], "three pairs of masks"),
            (lambda h, p: [(train & (p != 5), test) for train, test in folds(h, p)], "training lacks images"),
        ],
    ),
    "without_the_leak": (
        lambda score, leaked, known: (score - leaked * known) / (1 - leaked),
        lambda score, leaked, known: ...,
        [
            (lambda score, leaked, known: score - leaked * known, "divide by their share"),
            (lambda score, leaked, known: (score - leaked) / (1 - leaked), "not always right"),
            (lambda score, leaked, known: score * (1 - leaked), "solve it"),
            (lambda score, leaked, known: score, "sum over the two shares"),
        ],
    ),
}
