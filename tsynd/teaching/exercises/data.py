"""Exercises of the chapter on data: what two parts have in common, whole patients, nested subsets, unequal classes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tsynd.teaching.exercises.checker import NotYet, checker, expect, kind_of


@checker
def find_a_leak(leaked: Callable[[Tensor, Tensor], Sequence[int]]) -> str:
    """Check `leaked(train_BHW, test_BHW)`: the positions of test images that are also in training, pixel by pixel."""
    train_BHW, test_BHW = (torch.randint(0, 256, (count, 4, 4), dtype=torch.uint8) for count in (30, 12))
    train_BHW[1] = train_BHW[0]  # twice in training is no leak
    test_BHW[5] = test_BHW[4]
    test_BHW[2], test_BHW[7] = train_BHW[20], train_BHW[0]
    test_BHW[9] = train_BHW[3]
    test_BHW[9, 0, 0] = 255 - train_BHW[3, 0, 0]  # all pixels but one, and the sum may be anything
    test_BHW[10] = train_BHW[8].flip(1)  # the same grey values in other places
    found = sorted(int(position) for position in leaked(train_BHW, test_BHW))
    reasons = {
        (4, 5): "Images 4 and 5 are equal, but both are test images: compare with training only.",
        (10,): "Image 10 has a training image's values in other places: compare place by place.",
        (9,): "Image 9 differs from a training image in one pixel: all pixels must be equal here.",
        (0, 20): "These are positions in the training set; positions of test images are asked for.",
    }
    if found != [2, 7]:
        otherwise = "2 and 7 would be right: compare each test image with every training image."
        reason = next((reason for places, reason in reasons.items() if set(places) & set(found)), otherwise)
        raise NotYet(f"You name {found}. {reason}")
    return "Two test images were seen in training, so their answers prove nothing. Copies within one part are another matter."


@checker
def split_by_patient(split: Callable[[Tensor, float, torch.Generator], Tensor]) -> str:
    """Check `split(patient_N, share, generator)`: bool (N,), True for the test; whole patients, about that share of them."""
    patient_N = torch.tensor([7, 7, 7, 3, 3, 11, 11, 11, 11, 5, 5, 5, 2, 2, 2, 2, 20, 20, 20, 8, 8, 8, 4, 4, 4, 4, 9, 9, 9, 9])
    answers = []
    for seed in (0, 0, 1, 2, 3):
        test_N = torch.as_tensor(split(patient_N, 0.3, torch.Generator().manual_seed(seed)))
        if test_N.shape != patient_N.shape or test_N.dtype != torch.bool:
            raise NotYet(
                f"One True or False for each of {len(patient_N)} images is asked for, got {kind_of(test_N)} of {test_N.dtype}."
            )
        answers.append(test_N)
        both = sorted(set(patient_N[test_N].tolist()) & set(patient_N[~test_N].tolist()))
        if both:
            raise NotYet(f"Patient {both[0]} is in both parts. Choose among patients, then take all images of the chosen.")
        count, total = len(patient_N[test_N].unique()), len(patient_N.unique())
        if count != round(0.3 * total):
            raise NotYet(f"{count} of {total} patients are in the test; a share of 0.3 would be {round(0.3 * total)}.")
    if not torch.equal(answers[0], answers[1]):
        raise NotYet("The same generator gave two different answers: draw from it, and from nothing else.")
    if all(torch.equal(answers[0], other) for other in answers[2:]):
        raise NotYet("Other seeds gave the same patients: draw them from the generator.")
    return "Whole patients are in one part, so the test asks about people whom the classifier has never seen."


@checker
def nested_subsets(subset: Callable[[Tensor, int, int], Tensor]) -> str:
    """Check `subset(labels_N, per_class, seed)`: positions, that many of each class, smaller ones inside larger ones."""
    labels_N = torch.tensor([0, 1, 1, 0, 1, 2, 0, 2, 1, 1, 0, 2, 1, 0, 2, 0, 1, 2, 0, 2, 1, 0])
    chosen: dict[tuple[int, int], set[int]] = {}
    for seed in (0, 1, 2):
        for per_class in (1, 2, 4, 6):
            positions = [int(position) for position in subset(labels_N, per_class, seed)]
            if len(set(positions)) != len(positions):
                raise NotYet(f"With per_class={per_class} a position is there twice.")
            counts = labels_N[positions].bincount(minlength=3).tolist()
            if counts != [per_class] * 3:
                raise NotYet(f"With per_class={per_class} the classes have {counts} images.")
            chosen[seed, per_class] = set(positions)
        for few, more in ((1, 2), (2, 4), (4, 6)):
            if not chosen[seed, few] <= chosen[seed, more]:
                raise NotYet(
                    f"With seed {seed} the {few} of each class are not all among the {more}: put each class into one order "
                    "that depends on the seed only, and take the first ones."
                )
    if chosen[0, 4] == chosen[1, 4] == chosen[2, 4]:
        raise NotYet("Every seed gave the same images.")
    if not torch.equal(torch.as_tensor(subset(labels_N, 4, 0)).sort().values, torch.tensor(sorted(chosen[0, 4]))):
        raise NotYet("Asked twice with one seed, it gave two answers: make a generator from the seed.")
    return "A larger set holds the smaller one: from one to the next the number of images changes, and not the luck of the draw."


@checker
def balanced_accuracy(measure: Callable[[Tensor, Tensor], Any]) -> str:
    """Check `measure(predicted_N, labels_N)`: the mean over classes of the share of each class that is found."""
    labels = torch.tensor([0] * 12 + [1] * 3 + [2] * 5)
    cases = {
        "always class 0": torch.zeros(20, dtype=torch.int64),
        "mixed": torch.tensor([0] * 9 + [1, 2, 1] + [1, 0, 0] + [2, 2, 2, 2, 0]),
    }
    for name, predicted in cases.items():
        right = (predicted == labels).double()
        recall, precision = (
            torch.stack([right[among == label].mean() for label in range(3)]).nan_to_num(0).mean()
            for among in (labels, predicted)
        )
        mistakes = {
            f"{{found}} is plain accuracy ({name}). The 12 images of class 0 outvote the 3 of class 1.": right.mean(),
            "{found} divides by what was *predicted*. Ask of each class how many of its images were found.": precision,
        }
        told = f"For the case “{name}” it gives {{found}}. Take the share that is right in each class, then their mean."
        expect(float(measure(predicted, labels)), recall, mistakes, told, close=1e-4)
    return "Each class counts equally, however many images it has: always saying the frequent class is worth 1 / C and no more."


@checker
def leave_one_hospital_out(answer: Callable[[Tensor, Tensor], Sequence[tuple[Tensor, Tensor]]]) -> str:
    """Check `folds(hospital_N, patient_N)`: for each hospital, in order, masks (N,) of its training and its test images."""
    hospital = torch.tensor([2, 2, 2, 5, 5, 5, 9, 9, 9, 9])
    patient = torch.tensor([1, 1, 2, 3, 4, 4, 2, 5, 5, 3])  # patients 2 and 3 were in two hospitals
    folds = [tuple(torch.as_tensor(part).bool() for part in fold) for fold in answer(hospital, patient)]
    if len(folds) != 3 or any(part.shape != hospital.shape for fold in folds for part in fold):
        raise NotYet("Three hospitals make three pairs of masks, each with a True or False for all 10 images.")
    for name, (train, test) in zip((2, 5, 9), folds, strict=True):
        here = hospital == name
        shared = sorted(set(patient[train].tolist()) & set(patient[test].tolist()))
        exchanged = train.equal(here) or test.equal(~here)
        faults = {
            "images stand in training and in the test.": bool((train & test).any()),
            "the two parts are exchanged. The hospital that is left out is the test.": exchanged,
            "its test is all of its images; take shared patients out of the *training* part.": not test.equal(here),
            f"patient {shared[:1]} was in another hospital too, and is now in both parts.".replace("[", "").replace(
                "]", ""
            ): shared,
            "training lacks images of patients whom this hospital has never seen.": not train.equal(
                ~here & ~torch.isin(patient, patient[here])
            ),
        }
        if fault := next((words for words, found in faults.items() if found), None):
            raise NotYet(f"Hospital {name}: {fault}")
    return "A new hospital is a harder test than new patients, and only if nobody was in both."


@checker
def without_the_leak(answer: Callable[[float, float, float], float]) -> str:
    """Check `clean(score, leaked, known)`: the accuracy on images that are new, of a test that holds some that are not.

    score: accuracy on the whole test. leaked: the share of it that was in training. known: the accuracy on that share.
    """
    for score, leaked, known in ((0.9, 0.4, 1.0), (0.8, 0.25, 0.95), (0.7, 0.0, 1.0)):
        rest, brought = 1 - leaked, score - leaked * known
        mistakes = {
            "This is what new images add to the score, not how well they are classified: divide by their share.": brought,
            "You take off the leaked images, and not what they brought: a share times their accuracy.": score - leaked,
            "Known images are not always right. Their accuracy is given.": (score - leaked) / rest,
            "This shrinks the score by the leaked share. It is a mixture: solve it for the other part.": score * rest,
        }
        told = f"Score {score}, of which a share of {leaked} is right in {known}: write the score as a sum over the two shares."
        expect(answer(score, leaked, known), brought / rest, mistakes, told)
    return "A test is a mixture. The larger the leaked share, the less its score says about anyone who comes next year."
