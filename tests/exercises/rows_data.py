"""Exercises of the chapter on data."""

import torch
from torch import Tensor


def leaked(train_BCHW: Tensor, test_BCHW: Tensor) -> list[int]:
    known = {image.numpy().tobytes() for image in train_BCHW}
    return [place for place, image in enumerate(test_BCHW) if image.numpy().tobytes() in known]


def leaked_by_sum(train_BCHW: Tensor, test_BCHW: Tensor) -> list[int]:
    known = set(train_BCHW.flatten(1).sum(1).tolist())
    return [place for place, total in enumerate(test_BCHW.flatten(1).sum(1).tolist()) if total in known]


def leaked_in_test(train_BCHW: Tensor, test_BCHW: Tensor) -> list[int]:
    every = [image.numpy().tobytes() for image in (*train_BCHW, *test_BCHW)]
    return [place for place, image in enumerate(test_BCHW) if every.count(image.numpy().tobytes()) > 1]


def whole_patients(patient_N: Tensor, seed: int) -> Tensor:
    patients = patient_N.unique()
    order = torch.randperm(len(patients), generator=torch.Generator().manual_seed(seed))
    return torch.isin(patient_N, patients[order[: len(patients) // 4]])


def by_image(patient_N: Tensor, seed: int) -> Tensor:
    return torch.rand(len(patient_N), generator=torch.Generator().manual_seed(seed)) < 0.25


def lowest_numbers(patient_N: Tensor, seed: int) -> Tensor:
    return torch.isin(patient_N, patient_N.unique()[:10])


def nested(labels_N: Tensor, per_class: int, seed: int) -> Tensor:
    order = torch.randperm(len(labels_N), generator=torch.Generator().manual_seed(seed))
    return torch.cat([order[labels_N[order] == label][:per_class] for label in labels_N.unique()])


def drawn_anew(labels_N: Tensor, per_class: int, seed: int) -> Tensor:
    return nested(labels_N, per_class, 1000 * seed + per_class)


def balanced(answers_B: Tensor, labels_B: Tensor) -> float:
    shares = [(answers_B[labels_B == label] == label).double().mean() for label in labels_B.unique()]
    return float(torch.stack(shares).mean())


def precision(answers_B: Tensor, labels_B: Tensor) -> float:
    shares = [(labels_B[answers_B == label] == label).double().mean() for label in labels_B.unique()]
    return float(torch.stack(shares).mean())


def two_classes(answers_B: Tensor, labels_B: Tensor) -> float:
    return float(sum((answers_B[labels_B == label] == label).double().mean() for label in (0, 1)) / 2)


ROWS = {
    "find_the_leak": (
        leaked,
        lambda train, test: ...,
        [
            (leaked_by_sum, "not the same pixels"),
            (leaked_in_test, "no training image"),
            (lambda train, test: leaked(test, train), "positions in train"),
            (lambda train, test: [i for i in range(len(test)) if train[i].equal(test[i])], "Compare each with all"),
            (lambda train, test: [], "got none"),
        ],
    ),
    "split_by_group": (
        whole_patients,
        lambda patient, seed: ...,
        [
            (by_image, "Draw patients, not images"),
            (lowest_numbers, "no fair sample"),
            (lambda patient, seed: whole_patients(patient, seed).nonzero().flatten(), "one bool for each"),
            (lambda patient, seed: torch.isin(patient, patient.unique()[seed : seed + 3]), "A quarter of 40"),
            (lambda patient, seed: whole_patients(patient, int(torch.randint(10**6, ()))), "The same seed"),
        ],
    ),
    "nested_subsets": (
        nested,
        lambda labels, per_class, seed: ...,
        [
            (drawn_anew, "take from the front of it"),
            (lambda labels, per_class, seed: torch.randperm(len(labels))[: 2 * per_class], "of each class were asked for"),
            (lambda labels, per_class, seed: nested(labels, per_class, 0), "Another seed gave the same"),
            (lambda labels, per_class, seed: nested(labels, 1, seed).repeat(per_class), "taken twice"),
        ],
    ),
    "balanced_accuracy": (
        balanced,
        lambda answers, labels: ...,
        [
            (lambda answers, labels: (answers == labels).double().mean(), "plain accuracy"),
            (precision, "of the images that are c"),
            (two_classes, "two were averaged"),
            (lambda answers, labels: 3 * balanced(answers, labels), "the sum of the three"),
            (lambda answers, labels: 1 - balanced(answers, labels), "9, 1 and 1 are found"),
        ],
    ),
}
