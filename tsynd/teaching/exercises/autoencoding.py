"""Checkers of the chapter on images as codes: whether a classifier minds, standardising, radii, and walking along a factor."""

from collections.abc import Callable

import torch
from torch import Tensor

from tsynd.teaching.exercises.checker import NotYet, checker, expect

CLOSE = 1e-5


@checker
def classifier_minds(answer: Callable[[Tensor, Tensor, Tensor], float]) -> str:
    """Check a function of (logits of images, logits of copies, labels) that returns the share of changed answers."""
    images_BC = torch.tensor([[2.0, 0], [3, 1], [0, 1], [0, 4], [1, 0], [0, 2], [5, 4], [1, 3]])
    copies_BC = torch.tensor([[0.0, 2], [3, 1], [1, 0], [0, 1], [9, 0], [0, 9], [5, 1], [6, 7]])
    labels_B = torch.tensor([0, 0, 0, 1, 1, 0, 0, 0])
    share = torch.as_tensor(answer(images_BC.clone(), copies_BC.clone(), labels_B.clone()))
    if share.numel() != 1:
        raise NotYet(f"One share over all eight images is asked for, got shape {tuple(share.shape)}: take the mean.")
    given = float(share)
    before_B, after_B = images_BC.argmax(1), copies_BC.argmax(1)
    right = float((before_B != after_B).double().mean())
    accuracies = [float((guess_B == labels_B).double().mean()) for guess_B in (before_B, after_B)]
    if abs(given - right) < CLOSE:
        return "It compares the two answers with each other. The labels are not needed: a changed answer counts, right or wrong."
    if abs(given - (1 - right)) < CLOSE:
        raise NotYet(f"Of eight answers six stay and two change, got {given:g}: that is the share that stays.")
    if min(abs(given - value) for value in (*accuracies, accuracies[0] - accuracies[1], accuracies[1] - accuracies[0])) < CLOSE:
        raise NotYet(
            f"Got {given:g}, an accuracy or a difference of accuracies. Two of the eight answers change, and the accuracy stays"
            " the same: one answer becomes right, one becomes wrong. Compare answers with answers, not with labels."
        )
    if given > 1:
        raise NotYet(f"A share lies between 0 and 1, got {given:g}: divide by the number of images.")
    raise NotYet(
        f"Two of the eight answers change, so the share is {right:g}; got {given:g}. An answer is the larger logit, and"
        " a change counts, right or wrong."
    )


@checker
def standardise_codes(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a function of (raw training codes, other raw codes) that returns the others, standardised with the floor."""
    generator = torch.Generator().manual_seed(0)
    scale_D = torch.tensor([4.0, 2, 1, 0.5, 0.01], dtype=torch.double)
    training_ND = torch.randn(40, 5, generator=generator, dtype=torch.double) * scale_D + 3
    others_BD = torch.randn(6, 5, generator=generator, dtype=torch.double) * scale_D + 2
    given = answer(training_ND.clone(), others_BD.clone())
    if given.shape != others_BD.shape:
        raise NotYet(f"Six other codes of five numbers go in, {tuple(others_BD.shape)}; out came {tuple(given.shape)}.")
    mean_D, deviation_D = training_ND.mean(dim=0), training_ND.std(dim=0, correction=0)
    floor = 0.5 * deviation_D.square().mean().sqrt()

    def is_like(mean: Tensor, deviation: Tensor) -> bool:
        return torch.allclose(given.double(), (others_BD - mean) / deviation, rtol=0, atol=CLOSE)

    if is_like(mean_D, deviation_D.clamp_min(floor)):
        return "Each number by its own mean and deviation, from the training codes, and none is blown up: the floor holds it."
    for correction in (0, 1):  # dividing by N or by N - 1
        spread_D, spread = (training_ND.std(dim=dim, correction=correction) for dim in (0, None))
        if is_like(mean_D, spread_D):
            raise NotYet(
                "The floor is missing. The last number hardly varies on the training images; divided by its tiny deviation"
                f" it reaches {float(given[:, -1].abs().max()):.0f} here, and a ball around it would hold next to nothing."
            )
        if is_like(mean_D, spread) or is_like(training_ND.mean(), spread):
            raise NotYet("That is one deviation for all numbers. Each needs its own: take the deviation over the images (dim=0).")
        if is_like(mean_D, spread_D.clamp_min(0.5 * spread_D.mean())):
            raise NotYet("Nearly: the floor is half the root mean square of the deviations, not half their mean.")
        if is_like(mean_D, spread_D.clamp_min(0.5 * spread_D.square().mean().sqrt())):
            raise NotYet("Nearly: the package divides by the number of codes, N and not N - 1 (correction=0).")
    other_D = others_BD.std(dim=0, correction=0)
    if is_like(others_BD.mean(dim=0), other_D.clamp_min(0.5 * other_D.square().mean().sqrt())):
        raise NotYet("Mean and deviation must come from the training codes: else the same image has another code in each batch.")
    raise NotYet(
        f"The first code became {_rounded(given[0])}, expected"
        f" {_rounded(((others_BD - mean_D) / deviation_D.clamp_min(floor))[0])}. Subtract the mean, then divide by the deviation,"
        " raised to the floor where it is below."
    )


@checker
def radius_of_a_step(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a function of (codes, codes they started from), both (B, D), that returns each displacement as a radius."""
    generator = torch.Generator().manual_seed(0)
    start_BD = torch.randn(3, 256, generator=generator, dtype=torch.double)
    step_BD = torch.stack([torch.full((256,), 0.25), torch.eye(256)[7] * 8, torch.zeros(256)]).double()
    right_B = torch.tensor([0.25, 0.5, 0.0]).double()
    given = torch.as_tensor(answer(start_BD + step_BD, start_BD.clone())).double()
    if given.numel() == 1:
        raise NotYet(f"Three codes moved, and one number came back ({float(given):.3g}): take the norm of each code (dim=1).")
    if given.shape != right_B.shape:
        raise NotYet(f"Three codes moved: three numbers are wanted, shape (3,), got {tuple(given.shape)}.")
    if torch.allclose(given, right_B, rtol=0, atol=CLOSE):
        return "All 256 numbers moved by a quarter, or one of them by 8: radii .25 and .5. The root of D makes them comparable."
    known = {
        1 / 16.0: "is the length divided by D; a length grows like the square root of D",
        16.0: "is the plain length, which grows with the size of the code though nothing moves further. Divide by the root of D",
    }
    for factor, reason in known.items():
        if torch.allclose(given, right_B * factor, rtol=0, atol=CLOSE):
            raise NotYet(f"A code whose 256 numbers each moved by .25 got {float(given[0]):.4g}. That {reason}.")
    if torch.allclose(given, right_B.square(), rtol=0, atol=CLOSE):
        raise NotYet("That is the mean of the squares: the root is missing.")
    if torch.allclose(given, step_BD.abs().mean(dim=1), rtol=0, atol=CLOSE):
        raise NotYet("That is the mean of the absolute moves. The radius is the root of the mean square.")
    raise NotYet(f"Moves of .25 in every number, of 8 in one, and none gave {_rounded(given)}; expected {_rounded(right_B)}.")


@checker
def walk_along_a_factor(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a function of (codes, values of a factor) that returns how far the code moves per unit of the factor."""
    generator = torch.Generator().manual_seed(0)
    factor_N = torch.randn(50, generator=generator, dtype=torch.double) * 3 + 10
    wanted_D = torch.tensor([0.5, -0.25, 0.0, 0.1], dtype=torch.double)
    noise_ND = torch.randn(50, 4, generator=generator, dtype=torch.double)
    apart_N = factor_N - factor_N.mean()
    noise_ND = noise_ND - noise_ND.mean(dim=0)
    noise_ND = noise_ND - torch.outer(apart_N, apart_N @ noise_ND) / apart_N.square().sum()
    codes_ND = torch.outer(factor_N, wanted_D) + noise_ND + torch.tensor([2.0, -1, 4, 3])
    given = answer(codes_ND.clone(), factor_N.clone()).double()
    if given.shape != wanted_D.shape:
        raise NotYet(f"Codes have four numbers, so a direction has four: shape (4,), got {tuple(given.shape)}.")
    if torch.allclose(given, wanted_D, rtol=0, atol=CLOSE):
        return "The slope of each number of the code against the factor: one unit more of the factor, and the code moves by that."
    not_centred_D = (factor_N @ codes_ND) / factor_N.square().sum()
    if torch.allclose(given, not_centred_D, rtol=0, atol=CLOSE):
        raise NotYet(
            f"The third number does not depend on the factor, and got a slope of {float(given[2]):.2f}. Subtract the mean of the"
            " factor, and of the codes, before you multiply."
        )
    ratio = float((given @ wanted_D) / wanted_D.square().sum())
    if torch.allclose(given, ratio * wanted_D, rtol=0, atol=1e-4) and ratio:
        raise NotYet(
            f"The line is right, but the slope is {ratio:.3g} times what it should be. Divide by the sum of the squares of"
            " f − mean, and mind the sign."
        )
    by_split_D = codes_ND[apart_N > 0].mean(dim=0) - codes_ND[apart_N <= 0].mean(dim=0)
    if torch.allclose(given, by_split_D, rtol=0, atol=CLOSE):
        raise NotYet("That is the difference between two halves of the images: a direction, but not per unit of the factor.")
    raise NotYet(
        f"Got {_rounded(given)}, expected {_rounded(wanted_D)}: for each number of the code Σ(f − f̄)(z − z̄) / Σ(f − f̄)²."
    )


def _rounded(values: Tensor) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values.tolist()) + ")"


@checker
def worst_kept(answer: Callable[[Tensor, Tensor], int]) -> str:
    """Check `worst(read_NF, copied_NF)`: which factor can be told least from a reconstruction.

    read_NF, copied_NF: what an oracle reads from images, and from their reconstructions; each factor has a unit of its own.
    """
    generator = torch.Generator().manual_seed(0)
    read = torch.randn(200, 4, generator=generator).double() * torch.tensor([50.0, 1.0, 1.0, 0.1]).double()
    noise = torch.randn(200, 4, generator=generator).double() * torch.tensor([10.0, 0.1, 1.0, 0.01]).double()
    copied = read + noise
    copied[:, 1] = copied[:, 1] + 5  # all too large by as much: nothing is lost
    copied[:, 3] = 0.3 * copied[:, 3]  # faded, and still in order
    mistakes = {
        "Factor 0 has large numbers, so its error is large in its unit, and small beside what it varies by.": 0,
        "Factor 1 is read too large everywhere. Who subtracts that has lost nothing: a constant shift is no loss.": 1,
        "Factor 3 has faded. Its order is whole: multiply, and it is back. Measure what cannot be brought back.": 3,
    }
    expect(int(answer(read.clone(), copied.clone())), 2, mistakes, "Which column of `copied` tells least about that of `read`?")
    return (
        "A correlation asks what can still be told, in any unit. An error asks for the same numbers, which is another question."
    )


@checker
def between_codes(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check `between(one_BD, other_BD, share)`: codes on the way from one to the other that keep to the shell.

    The direction is that of the straight mixture, the norm goes evenly from the one norm to the other.
    """
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(3, 64, generator=generator).double() for _ in range(2))
    other = other * torch.tensor([[1.0], [2.0], [0.5]]).double()
    for share in (0.0, 0.25, 0.5, 1.0):
        mixed = (1 - share) * one + share * other
        unit = mixed / mixed.norm(dim=1, keepdim=True)
        norms = [each.norm(dim=1, keepdim=True) for each in (one, other)]
        mistakes = {
            "This is the straight mixture: halfway it lies inside the shell, where hardly any image is.": mixed,
            "All codes have norm 1. The shell has the radius of the codes themselves.": unit,
            "All have the norm root of D. These codes have norms of their own: go evenly from one to the other.": unit * 8,
            "The norm is that of the batch: take it for each image (dim=1, keepdim=True).": mixed / mixed.norm(),
            "You go the other way: at share 0 stands the first code.": (unit * ((1 - share) * norms[1] + share * norms[0]))
            if share != 0.5
            else mixed,
        }
        told = f"At share {share} direction or norm is another. Which direction has the mixture, and which norm should it get?"
        expect(answer(one.clone(), other.clone(), share), unit * ((1 - share) * norms[0] + share * norms[1]), mistakes, told)
    return "On the shell all the way. Whether what the decoder draws there is an image is still a question for your eyes."
