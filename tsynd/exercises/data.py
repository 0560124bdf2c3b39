"""Checkers of the chapter on data: leaked images, whole patients in one split, nested training sets, balanced accuracy."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tsynd.exercises.checking import NotYet, checker

CLOSE = 1e-6


@checker
def find_the_leak(answer: Callable[[Tensor, Tensor], Sequence[int]]) -> str:
    """Check a function of (training images, test images), uint8, that returns the positions in test of images of train."""
    generator = torch.Generator().manual_seed(0)
    train_BCHW, test_BCHW = (torch.randint(256, (n, 1, 8, 8), generator=generator).to(torch.uint8) for n in (12, 9))
    test_BCHW[2], test_BCHW[6], test_BCHW[3] = train_BCHW[7], train_BCHW[0], train_BCHW[3]
    test_BCHW[8] = test_BCHW[1]  # twice in test, and not in train
    test_BCHW[4] = train_BCHW[5].flip(-1)  # the same sum, mean and histogram, and another image
    given = sorted(int(place) for place in answer(train_BCHW.clone(), test_BCHW.clone()))
    if given == [2, 3, 6]:
        return "Three of nine, wherever they stand, pixel for pixel. The mirrored one escapes any search for equal bytes."
    if given == [0, 3, 7]:
        raise NotYet("Those are the positions in train. The question is which test images are known: 2, 3 and 6.")
    if given == [3]:
        raise NotYet("Only position 3 was found, where both sets have the image at the same place. Compare each with all.")
    if 4 in given:
        raise NotYet("Test image 4 is a mirrored training image: the same sum, not the same pixels. Compare all.")
    if {1, 8} & set(given):
        raise NotYet("Test images 1 and 8 equal each other, and no training image: nothing that was trained on is tested.")
    raise NotYet(f"The test images 2, 3 and 6 stand in train too, got {given or 'none'}. Bytes can be looked up in a set.")


@checker
def split_by_group(answer: Callable[[Tensor, int], Tensor]) -> str:
    """Check a function of (patient of each image, seed) that returns which images are test images: a quarter of the patients."""
    generator = torch.Generator().manual_seed(0)
    images_of = torch.randint(1, 9, (40,), generator=generator)
    patient_N = torch.repeat_interleave(torch.randperm(400, generator=generator)[:40], images_of)
    patient_N = patient_N[torch.randperm(len(patient_N), generator=generator)]
    given, again, other = (torch.as_tensor(answer(patient_N.clone(), seed)) for seed in (0, 0, 1))
    if given.dtype != torch.bool or given.shape != patient_N.shape:
        got = f"{given.dtype} of shape {tuple(given.shape)}"
        raise NotYet(f"Wanted is one bool for each of the {len(patient_N)} images, True for test; got {got}.")
    both = sorted(set(patient_N[given].tolist()) & set(patient_N[~given].tolist()))
    if both:
        raise NotYet(
            f"{len(both)} of 40 patients have images in train and in test, patient {both[0]} for one. Draw patients, not images,"
            " then look up whose image each is (torch.isin)."
        )
    count = len(patient_N[given].unique())
    if not 8 <= count <= 12:
        raise NotYet(f"A quarter of 40 patients are 10, got {count}. The patients are patient_N.unique().")
    if not given.equal(again):
        raise NotYet("The same seed gave another split. Draw from torch.Generator().manual_seed(seed).")
    if given.equal(other):
        raise NotYet(
            "Another seed gave the same patients. Numbers go by date or ward: the lowest quarter is no fair sample. Draw."
        )
    return f"Whole patients: {count} of 40 for the test, with all of their images, and no patient on both sides."


@checker
def nested_subsets(answer: Callable[[Tensor, int, int], Tensor]) -> str:
    """Check a function of (labels, images per class, seed) that returns positions: stratified, and nested for one seed."""
    generator = torch.Generator().manual_seed(0)
    labels_N = (torch.rand(90, generator=generator) < 0.3).long()
    chosen = {count: torch.as_tensor(answer(labels_N.clone(), count, 0)) for count in (3, 8, 20)}
    for count, places in chosen.items():
        found = labels_N[places].bincount(minlength=2).tolist()
        if found != [count, count]:
            raise NotYet(f"{count} of each class were asked for, got {found[0]} of class 0 and {found[1]} of class 1.")
        if len(places.unique()) < len(places):
            raise NotYet("An image was taken twice: draw without putting back.")
    for small, large in ((3, 8), (8, 20)):
        if lost := set(chosen[small].tolist()) - set(chosen[large].tolist()):
            raise NotYet(
                f"{len(lost)} of the images for {small} per class are missing from those for {large}. Put all images into one"
                " order that depends on the seed only, and take from the front of it."
            )
    if set(torch.as_tensor(answer(labels_N.clone(), 8, 1)).tolist()) == set(chosen[8].tolist()):
        raise NotYet("Another seed gave the same images. Without another draw nobody learns how much the draw decides.")
    if set(torch.as_tensor(answer(labels_N.clone(), 8, 0)).tolist()) != set(chosen[8].tolist()):
        raise NotYet("The same seed gave other images. Draw from torch.Generator().manual_seed(seed).")
    return "One order for each seed, and more of it for a larger set: what is added is the only thing that differs."


@checker
def balanced_accuracy(answer: Callable[[Tensor, Tensor], float]) -> str:
    """Check a function of (answers, labels) that returns the balanced accuracy: the mean over classes of the share found."""
    labels_B = torch.tensor([0] * 10 + [1] * 4 + [2] * 2)
    answers_B = torch.tensor([0] * 9 + [1] + [1, 0, 0, 0] + [2, 1])
    given = float(answer(answers_B.clone(), labels_B.clone()))
    recalls = [float((answers_B[labels_B == c] == c).double().mean()) for c in range(3)]
    precisions = [float((labels_B[answers_B == c] == c).double().mean()) for c in range(3)]
    right = sum(recalls) / 3
    if abs(given - right) < CLOSE:
        return "9 of 10, 1 of 4 and 1 of 2: their mean is .55. Each class counts the same, however many images it has."
    if abs(given - float((answers_B == labels_B).double().mean())) < CLOSE:
        raise NotYet(f"{given:.4g} is the plain accuracy, 11 of 16: the large class decides. Average over classes.")
    if abs(given - sum(precisions) / 3) < CLOSE:
        raise NotYet("Of the images called c you took the share that is c. Wanted: of the images that are c, the share called c.")
    if abs(given - sum(recalls[:2]) / 2) < CLOSE:
        raise NotYet("There are three classes here, and two were averaged. Take the classes from the labels: labels_B.unique().")
    if abs(given - sum(recalls)) < CLOSE:
        raise NotYet(f"Got {given:.4g}, the sum of the three shares: divide by the number of classes.")
    raise NotYet(f"Of 10, 4 and 2 images, 9, 1 and 1 are found: shares .9, .25 and .5, so {right:.2f}; got {given:.4g}.")
