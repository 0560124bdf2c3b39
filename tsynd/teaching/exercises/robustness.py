"""Exercises of the chapter on robustness: one step of an attack, the worst of several, the average, and five reports."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tsynd.teaching.exercises.checker import NotYet, checker, expect, judged, kind_of, listed, shaped

CLOSE = 1e-6


@checker
def attack_step(step: Callable[[Tensor, Tensor, Tensor, float, float], Tensor]) -> str:
    """Check `step(x, image, gradient, size, eps)`: one signed step, back within eps of the image and into [0, 1]."""
    image = torch.tensor([[0.5, 0.5, 0.02, 0.98, 0.5, 0.5]]).double()
    x = torch.tensor([[0.5, 0.53, 0.0, 1.0, 0.46, 0.5]]).double()
    gradient = torch.tensor([[1e-7, 3.0, -2.0, 4.0, -1e-3, 0.0]]).double()
    found = shaped(step(x, image, gradient, 0.02, 0.04), (1, 6), "Attacked images with the shape of x,")
    moved = (found - x)[0]
    if moved[0] < 0 and moved[1] <= 0:
        raise NotYet("The first two pixels have a positive gradient and went down. An attack goes up the loss: +sign.")
    if abs(moved[0]) < 1e-4:
        raise NotYet(f"The first pixel has a gradient of 1e-7 and moved by {moved[0]:.1e}: take its sign.")
    if (found < -CLOSE).any() or (found > 1 + CLOSE).any():
        raise NotYet(f"Pixels end at {float(found.min()):.2f} to {float(found.max()):.2f}: that is no image. Clip to [0, 1] too.")
    furthest = (found - image).abs().max()
    if furthest > 0.04 + CLOSE:
        raise NotYet(
            f"A pixel ends {float(furthest):.2f} from the image, with eps 0.04. Clip to image - eps .. image + eps afterwards."
        )
    if torch.allclose(found[0, 1], x[0, 1] + 0.04) or (found - x).abs().max() > 0.02 + CLOSE:
        raise NotYet("A pixel moved by more than `size`. The step has the length `size`; `eps` only bounds where it may end.")
    if abs(found[0, 1] - 0.54) > CLOSE:
        raise NotYet(f"The second pixel was at 0.53 and may go to 0.54, where the ball ends; it is at {float(found[0, 1]):.3f}.")
    expected = (x + 0.02 * gradient.sign()).clamp(image - 0.04, image + 0.04).clamp(0, 1)
    if not torch.allclose(found, expected, atol=CLOSE):
        raise NotYet(f"The pixels end at {listed(found[0])}, and should at {listed(expected[0])}.")
    return "Sign, step, ball, range: that is the whole of PGD, and the order of the two clips does not matter."


@checker
def worst_case(combine: Callable[[Tensor], float]) -> str:
    """Check `combine(held_AB)`: the accuracy that is left when the attacker may choose the attack for each image."""
    held = torch.tensor([[1, 1, 0, 1, 0, 1, 0, 0], [1, 0, 1, 1, 0, 1, 0, 0], [1, 1, 1, 0, 0, 1, 0, 1]]).bool()
    found, each = torch.as_tensor(combine(held)).double(), held.double().mean(dim=1)
    if found.numel() != 1:
        raise NotYet(f"One number is asked for, got {kind_of(found)}.")
    mistakes = {
        "{found} is the accuracy under the strongest single attack. Different images fall to different attacks: count the images "
        "that survive all of them.": each.min(),
        "{found} is the mean over attacks. An attacker does not take the mean, but what works, image by image.": each.mean(),
        "{found} counts images that survive *some* attack: that is the best case.": held.any(dim=0).double().mean(),
    }
    expect(found.flatten()[0], 0.25, mistakes, "Of 8 images 2 survive all three attacks, so 0.25 is left; yours is {found}.")
    return "An image counts when it survives every attack. The lowest of the three accuracies would have been too high."


@checker
def attack_the_average(average: Callable[[Tensor], Tensor]) -> str:
    """Check `average(log_probs_BKC)`: the logits (B, C) of the model whose answer is the average of K draws."""
    log_probs = (4 * torch.randn(3, 5, 2)).double().log_softmax(dim=-1)
    log_probs[2] = torch.tensor([-900.0, 0.0]).double()
    found = shaped(average(log_probs), (3, 2), "Logits of 3 images and 2 classes,")
    if torch.allclose(found[:2], log_probs[:2].exp().mean(dim=1), atol=1e-4):
        raise NotYet("These are probabilities. Attacks ask for logits: take the logarithm of the mean.")
    if torch.allclose(found[:2], log_probs[:2].mean(dim=1), atol=1e-4):
        raise NotYet("This is the mean of the logarithms. First take the mean of the probabilities, then the logarithm.")
    if not bool(found.isfinite().all()):
        raise NotYet("The third image has a probability of e^-900, which rounds to 0: use logsumexp over the draws.")
    gap, right = (logits[:, 1] - logits[:, 0] for logits in (found, log_probs.logsumexp(dim=1)))
    expect(gap, right, {}, f"Your logits differ by {listed(gap)}, those of the mean by {listed(right)}.", close=1e-4)
    return "logsumexp is the logarithm of the sum; the number of draws is a constant that no softmax sees."


@checker
def judge_a_report(verdicts: Any) -> str:
    """Check the verdicts on five reports: a tuple of five words."""
    judged("judge_a_report", verdicts)
    return "More steps, no gradient, the average, and clean accuracy beside it: any report must survive these four questions."


@checker
def round_step(answer: Callable[[Tensor, Tensor, Tensor, float, float], Tensor]) -> str:
    """Check `step(x, image, gradient, size, eps)`: one step of an attack whose change may have an Euclidean norm of `eps`.

    Along the gradient by a norm of `size`, back to the ball of radius `eps` around `image`, and into [0, 1]; for each image.
    """
    image = torch.rand(3, 1, 4, 4).double() * 0.6 + 0.2
    gradient = torch.randn(3, 1, 4, 4).double() * torch.tensor([0.01, 1.0, 20.0]).view(3, 1, 1, 1)
    x = image + 0.05 * torch.randn(3, 1, 4, 4).double()
    x[0, 0, 0, 0] = image[0, 0, 0, 0] = 0.999

    def norm(each: Tensor) -> Tensor:
        return each.flatten(1).norm(dim=1).view(-1, 1, 1, 1)

    for size, eps in ((0.1, 5.0), (1.0, 0.5)):

        def back(step: Tensor, eps: float = eps) -> Tensor:
            return image + (step - image) * (eps / norm(step - image)).clamp(max=1)

        unit, whole, sign = (x + size * each for each in (gradient / norm(gradient), gradient / gradient.norm(), gradient.sign()))
        mistakes = [
            ("The sign is for the other norm, where each pixel may move by eps. Here the whole change has one norm.", sign),
            ("You hold each pixel within eps. The ball holds the norm of the whole change.", unit),
        ]
        mistakes = [(words, (image + (step - image).clamp(-eps, eps)).clamp(0, 1)) for words, step in mistakes]
        mistakes += [
            ("The norm is that of the whole batch. Each image has its own: flatten it, dim=1.", back(whole).clamp(0, 1)),
            ("The step has left the ball around `image`: the projection is missing.", unit.clamp(0, 1)),
            ("Pixels end outside of [0, 1]: that is no image.", back(unit)),
        ]
        told = f"With size {size} and eps {eps}: unit vector of each image, step, projection around `image`, clamp."
        expect(answer(x, image, gradient, size, eps), back(unit).clamp(0, 1), mistakes, told)
    return "The same three parts, with another norm: direction, projection, range. An eps of one norm says nothing in the other."


@checker
def accuracy_curve(answer: Callable[[Tensor, list[float]], Any]) -> str:
    """Check `curve(broken_AB, sizes)`: the accuracy that is left at each size, against all attacks together.

    broken_AB: the smallest size at which attack A broke image B; infinity where it never did, 0 where the image was wrong before.
    """
    never, sizes = torch.inf, [0.0, 1.0, 2.0, 4.0, 8.0]
    broken = torch.tensor([[0.0, 1.0, 4.0, never, 2.0], [0.0, 3.0, 2.0, 8.0, never], [0.0, never, 8.0, never, 4.0]]).double()
    at, first, last = torch.tensor(sizes).double()[:, None], broken.amin(0), broken.amax(0)
    each = (broken > at[..., None]).double()  # size, attack, image

    def share(kept: Tensor) -> Tensor:
        return kept.double().mean(1)

    mistakes = {
        "These are means over the attacks. Against all of them an image survives only if it survives each.": each.mean((1, 2)),
        "You count an image as right at the size that broke it. `broken` is the smallest size that *succeeds*.": share(
            first >= at
        ),
        "You ask who broke *last*. Whoever may choose takes the attack that breaks the image first.": share(last > at),
        "This is the share that is broken. What is left is asked for.": share(first <= at),
        "You leave out the image that was wrong before. It is not right at size 0 either, and counts.": share(first[1:] > at),
        "At each size you give the best single attack. Another image may fall to another attack.": each.mean(2).amin(1),
    }
    told = "For each image: the smallest size at which anything broke it."
    expect(torch.as_tensor(answer(broken, sizes)), share(first > at), mistakes, told)
    return "One curve from the worst attack of each image. It begins at the clean accuracy, and can only fall."
