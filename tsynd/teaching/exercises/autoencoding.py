"""Exercises of the chapter on images as codes: whether a classifier minds, standardising, radii, and walking along a factor."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tsynd.teaching.exercises.checker import NotYet, checker, expect


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


@checker
def classifier_minds(answer: Callable[[Tensor, Tensor, Tensor], float]) -> str:
    """Check a function of (logits of images, logits of reconstructions, labels) that returns the share of changed answers."""
    images_BC = torch.tensor([[2.0, 0], [3, 1], [0, 1], [0, 4], [1, 0], [0, 2], [5, 4], [1, 3]])
    copies_BC = torch.tensor([[0.0, 2], [3, 1], [1, 0], [0, 1], [9, 0], [0, 9], [5, 1], [6, 7]])
    labels_B = torch.tensor([0, 0, 0, 1, 1, 0, 0, 0])
    found = torch.as_tensor(answer(images_BC, copies_BC, labels_B)).double()
    if found.numel() != 1:
        raise NotYet(f"One share over all eight images is asked for, got shape {tuple(found.shape)}: take the mean.")
    told = (
        "Got {found}, an accuracy or a difference of accuracies. The accuracy stays, because one answer becomes right and"
        " one becomes wrong. Compare answers with answers, not with labels."
    )
    mistakes = [
        ("Of eight answers six stay and two change. {found} is the share that stays.", 0.75),
        (told, (images_BC.argmax(1) == labels_B).double().mean()),
        (told, 0.0),
        ("A share lies between 0 and 1, got {found}: divide by the number of images.", 2.0),
    ]
    otherwise = "Two of eight answers change, so 0.25 is right, got {found}. An answer is the larger logit, whatever the label."
    expect(found.flatten()[0], 0.25, mistakes, otherwise)
    return "It compares the two answers with each other. The labels are not needed: a changed answer counts, right or wrong."


@checker
def standardise_codes(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a function of (raw training codes, other raw codes) that returns the others, standardised with the floor."""
    both = _random(46, 5) * torch.tensor([4.0, 2, 1, 0.5, 0.01]).double()
    training, others = both[:40] + 3, both[40:] + 2
    found = answer(training, others)
    if found.shape != others.shape:
        raise NotYet(f"Six other codes of five numbers go in, {tuple(others.shape)}; out came {tuple(found.shape)}.")

    def scaled(deviation: Tensor, mean: Tensor | None = None) -> Tensor:
        return (others - (training.mean(0) if mean is None else mean)) / deviation

    def floored(deviation: Tensor) -> Tensor:
        return deviation.clamp_min(0.5 * deviation.square().mean().sqrt())

    mistakes: list[tuple[str, Any]] = []
    for correction in (0, 1):  # dividing by N or by N - 1
        each, one = training.std(0, correction=correction), training.std(correction=correction)
        no_floor = (
            "The floor is missing. The last number hardly varies in training; divided by its tiny deviation it becomes huge."
        )
        together = "That is one deviation for all numbers. Each needs its own: take the deviation over the images (dim=0)."
        mistakes += [(no_floor, scaled(each)), (together, scaled(one)), (together, scaled(one, training.mean()))]
        half_mean = "Nearly: the floor is half the root mean square of the deviations, not half their mean."
        mistakes.append((half_mean, scaled(each.clamp_min(0.5 * each.mean()))))
    one_less = "Nearly: the package divides by the number of codes, N and not N - 1 (correction=0)."
    mistakes.append((one_less, scaled(floored(training.std(0)))))
    theirs = "Mean and deviation must come from the training codes. Otherwise an image has another code in each batch."
    mistakes.append((theirs, scaled(floored(others.std(0, correction=0)), others.mean(0))))
    otherwise = "Subtract the mean, then divide by the deviation, which is raised to the floor where it lies below."
    expect(found, scaled(floored(training.std(0, correction=0))), mistakes, otherwise)
    return "Each number by its own mean and deviation, from the training codes, and none is blown up: the floor prevents it."


@checker
def radius_of_a_step(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a function of (codes, codes they started from), both (B, D), that returns each displacement as a radius."""
    start = _random(3, 256)
    step = torch.stack([torch.full((256,), 0.25), torch.eye(256)[7] * 8, torch.zeros(256)]).double()
    right = torch.tensor([0.25, 0.5, 0.0]).double()
    found = torch.as_tensor(answer(start + step, start)).double()
    if found.numel() == 1:
        raise NotYet(f"Three codes moved, and one number came back ({float(found):.3g}): take the norm of each code (dim=1).")
    if found.shape != right.shape:
        raise NotYet(f"Three codes moved: three numbers are wanted, shape (3,), got {tuple(found.shape)}.")
    mistakes = {
        "That is the length divided by D. A length grows like the square root of D.": right / 16,
        "That is the plain length, which grows with the size of the code. Divide by the root of D.": right * 16,
        "That is the mean of the squares: the root is missing.": right.square(),
        "That is the mean of the absolute moves. The radius is the root of the mean square.": step.abs().mean(dim=1),
    }
    expect(found, right, mistakes, "Moves of 0.25 in every number, of 8 in one, and none gave {found}; 0.25, 0.5, 0 are right.")
    return "All 256 numbers moved by a quarter, or one by 8: radii 0.25 and 0.5. The root of D makes them comparable."


@checker
def walk_along_a_factor(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a function of (codes, values of a factor) that returns how far the code moves per unit of the factor."""
    factor, noise = _random(50) * 3 + 10, _random(50, 4, seed=1)
    apart, noise = factor - factor.mean(), noise - noise.mean(dim=0)
    noise = noise - torch.outer(apart, apart @ noise) / apart.square().sum()  # which no slope sees
    right = torch.tensor([0.5, -0.25, 0.0, 0.1]).double()
    codes = torch.outer(factor, right) + noise + torch.tensor([2.0, -1, 4, 3])
    found = answer(codes, factor).double()
    if found.shape != right.shape:
        raise NotYet(f"Codes have four numbers, so a direction has four: shape (4,), got {tuple(found.shape)}.")
    ratio = float((found @ right) / right.square().sum())
    mistakes = {
        "Subtract the mean of the factor, and of the codes, before you multiply.": factor @ codes / factor.square().sum(),
        f"The slope is {ratio:.3g} times what it should be. Divide by the sum of squares, and mind the sign.": (
            ratio * right if abs(ratio) > 1e-3 else torch.inf
        ),
        "That is the difference between two halves of the images: a direction, but not per unit of the factor.": (
            codes[apart > 0].mean(dim=0) - codes[apart <= 0].mean(dim=0)
        ),
    }
    expect(found, right, mistakes, "Got ({found}): for each number of the code compute Σ(a − ā)(z − z̄) / Σ(a − ā)².", close=1e-4)
    return "The slope of each number of the code against the factor: with one unit more of the factor the code moves by that."


@checker
def worst_kept(answer: Callable[[Tensor, Tensor], int]) -> str:
    """Check `worst(read_NF, copied_NF)`: which factor can be told least from a reconstruction.

    read_NF, copied_NF: what an oracle reads from images, and from their reconstructions; each factor has a unit of its own.
    """
    read = _random(200, 4) * torch.tensor([50.0, 1.0, 1.0, 0.1])
    copied = read + _random(200, 4, seed=1) * torch.tensor([10.0, 0.1, 1.0, 0.01])
    copied[:, 1] = copied[:, 1] + 5  # all too large by as much: nothing is lost
    copied[:, 3] = 0.3 * copied[:, 3]  # faded, and still in order
    mistakes = {
        "Factor 0 has large numbers, so its error is large in its unit, and small beside what it varies by.": 0,
        "Factor 1 is read too large everywhere. Whoever subtracts that has lost nothing: a constant shift is no loss.": 1,
        "Factor 3 has faded. Its order is whole: multiply, and it is back. Measure what cannot be brought back.": 3,
    }
    expect(int(answer(read, copied)), 2, mistakes, "Which column of `copied` tells least about that of `read`?")
    return "A correlation asks what can still be told, in any unit. An error asks for the same numbers: another question."


@checker
def between_codes(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check `between(one_BD, other_BD, share)`: codes on the way from one to the other that keep to the shell.

    The direction is that of the straight mixture, the norm goes evenly from the one norm to the other.
    """
    one, other = _random(3, 64), _random(3, 64, seed=1) * torch.tensor([[1.0], [2.0], [0.5]])
    for share in (0.0, 0.25, 0.5, 1.0):
        mixed = (1 - share) * one + share * other
        unit = mixed / mixed.norm(dim=1, keepdim=True)
        first, second = (each.norm(dim=1, keepdim=True) for each in (one, other))
        mistakes = {
            "This is the straight mixture: halfway it lies inside the shell, where hardly any image is.": mixed,
            "All codes have norm 1. The shell has the radius of the codes themselves.": unit,
            "All have the norm root of D. These codes have norms of their own: go evenly from one to the other.": unit * 8,
            "The norm is that of the batch: take it for each image (dim=1, keepdim=True).": mixed / mixed.norm(),
            "You go the other way: at share 0 stands the first code.": unit * ((1 - share) * second + share * first),
        }
        told = f"At share {share} direction or norm is another. Which direction has the mixture, and which norm should it get?"
        expect(answer(one, other, share), unit * ((1 - share) * first + share * second), mistakes, told)
    return "On the shell all the way. Whether the decoder draws an image there is still a question for your eyes."
