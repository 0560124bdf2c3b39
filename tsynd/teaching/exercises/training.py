"""Exercises of the chapter on training: the life of a bank, mixing a batch, equal cost, and what a control answers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from tsynd.teaching.exercises.checker import NotYet, checker, expect, judged


@checker
def bank_life(answer: Callable[[int, int, int], Any]) -> str:
    """Check `life(every, count, capacity)`: for how many steps an image stays in the bank."""
    for every, count, capacity in ((10, 20, 60), (24, 64, 256), (1, 32, 32), (5, 7, 21)):
        told, right = f"{count} new images every {every} steps, {capacity} kept", every * capacity // count
        refreshes = f"{told}: {{found}} is the number of refreshes that it lives through. Each of them is {every} steps apart."
        otherwise = f"{told}: an image lives for {right} steps, and not {{found}}. After how many refreshes is it pushed out?"
        expect(float(answer(every, count, capacity)), right, {refreshes: capacity / count}, otherwise)
    return "capacity / count refreshes, each `every` steps apart: the default bank forgets in 30 steps."


@checker
def mix_a_batch(mix: Callable[[Tensor, Tensor, float, torch.Generator], Tensor]) -> str:
    """Check `mix(real, bank, share, generator)`: a batch whose last `share` are drawn from the bank, with replacement."""
    real, bank = torch.arange(8.0).view(8, 1), 100 + torch.arange(40.0).view(40, 1)
    one, again, two = (mix(real, bank, 0.5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    if not isinstance(one, Tensor) or one.shape != real.shape:
        kind = f"shape {tuple(one.shape)}" if isinstance(one, Tensor) else f"a {type(one).__name__}"
        raise NotYet(
            f"The batch keeps its size, {tuple(real.shape)}, got {kind}. Images of the bank take the place of real ones."
        )
    count = int((one >= 100).sum())
    if count != 4:
        raise NotYet(f"With a share of 0.5, 4 of 8 images come from the bank, got {count}.")
    if not torch.equal(one[:4], real[:4]):
        raise NotYet("The first half must be the real images as they were, in their order, so that all arms see the same ones.")
    if torch.equal(one, two):
        raise NotYet("Two generators draw the same images of the bank: draw from `generator`.")
    if not torch.equal(one, again):
        raise NotYet("The same generator draws other images the second time: draw from `generator`, and from nothing else.")
    drawn = torch.stack([mix(real, bank, 0.5, torch.Generator().manual_seed(seed))[4:, 0] for seed in range(40)])
    if all(len(batch.unique()) == 1 for batch in drawn):
        raise NotYet("Within a batch one image of the bank stands four times. Draw an index for each place.")
    if len(drawn.unique()) < 30:
        raise NotYet(f"Of a bank of 40 images only {len(drawn.unique())} are ever drawn. Draw from the whole bank.")
    few = [mix(real, bank[:2], 0.5, torch.Generator().manual_seed(seed)) for seed in range(40)]
    if any(batch.shape != real.shape for batch in few) or all(len(batch.unique()) == len(batch) for batch in few):
        raise NotYet("From a bank of two images four can be drawn too: draw with replacement, so one can come twice.")
    if int((mix(real, bank, 0.25, torch.Generator().manual_seed(0)) >= 100).sum()) != 2:
        raise NotYet("With a share of 0.25, 2 of 8 images come from the bank.")
    return "The real half is the same in every arm, so arms differ in what the other half is, and in nothing else."


@checker
def equal_cost(answer: Callable[[float, float, int, int, int], Any]) -> str:
    """Check `matched(step, search, steps, warmup, every)`: the steps without a search that cost as much as a training with."""
    cases = ((1.0, 4.0, 600, 150, 10), (2.0, 4.0, 600, 150, 10), (1.0, 3.0, 100, 0, 1), (1.5, 4.0, 605, 150, 10))
    for step, search, steps, warmup, every in cases:
        searches = -(-(steps - warmup) // every)
        right = round(steps + searches * search / step)
        told = f"{steps} steps of {step:g} and a search of {search:g} every {every} steps after {warmup}"
        mistakes = {
            f"{told}: you count searches in the warm-up, where there are none.": round(steps + steps / every * search / step),
            f"{told}: the cost of the searches is in seconds; divide by that of a step to have it in steps.": (
                steps + searches * search
            ),
        }
        otherwise = f"{told} cost as much as {right} plain steps; yours are {{found}}."
        found = float(answer(step, search, steps, warmup, every))
        if abs(found - right) > 1:
            expect(found, right, mistakes, otherwise, close=0.51)
    return "Steps plus searches, in units of a step: what an arm must beat is the same time spent without it."


@checker
def which_control(answers: Any) -> str:
    """Check which arm answers which objection: a tuple of four names."""
    judged("which_control", answers, wrong="{case} is not answered by {word}.")
    return "Each control does all that targeting does but for one thing. What targeting does better is that one thing's doing."


@checker
def draws_of_an_image(answer: Callable[[int, float, int, int, int], Any]) -> str:
    """Check `draws(batch, share, every, count, capacity)`: how often a targeted image is drawn in its whole life, on average.

    Every `every` steps the bank takes `count` images and keeps the last `capacity`; a share of each batch is drawn from it.
    """
    for batch, share, every, count, capacity in ((64, 0.5, 10, 20, 60), (32, 0.25, 5, 8, 40)):
        life, drawn = capacity / count * every, share * batch
        mistakes = {
            "This is how often it is drawn in one step. It lives for more than one.": drawn / capacity,
            "This counts one refresh. The image stays for capacity / count of them.": drawn / capacity * every,
            "You fill the whole batch from the bank: only a share of it comes from there.": batch * every / count,
            "This is for how many steps it lives. How often is it drawn in each?": life,
            "These are all draws of its life, of all images together: divide by how many share them.": drawn * life,
        }
        told = f"In each step {drawn:g} draws are shared by {capacity} images. For how many steps does one of them stay?"
        expect(answer(batch, share, every, count, capacity), drawn * every / count, mistakes, told)
    return "The capacity cancels: a larger bank keeps an image longer and draws it less often. What counts is how fast they come."


@checker
def strongest_control(answer: Callable[[Mapping[str, list[float]], str], tuple[str, list[float]]]) -> str:
    """Check `hardest(scores, arm)`: the control with the highest mean, and the arm minus this control at each seed."""
    scores = {
        "none": [0.60, 0.62, 0.58, 0.61],
        "random": [0.70, 0.60, 0.66, 0.64],
        "reconstruction": [0.61, 0.69, 0.62, 0.66],
        "tsynd": [0.72, 0.69, 0.70, 0.68],
    }
    name, differences = answer({each: list(values) for each, values in scores.items()}, "tsynd")
    if name == "tsynd":
        raise NotYet("The arm itself has the highest mean. Look among the others: it cannot be its own control.")
    if name != "random":
        raise NotYet(f"{name!r} is not the control with the highest mean over the seeds. An arm must beat the best of them.")
    none, random, _, arm = table = torch.tensor(list(scores.values())).double()
    best = "You take the best control *of each seed*. That one does not exist: its choice knows the results."
    mistakes = {
        best: arm - table[:3].amax(0),
        "You subtract the mean of the controls. An arm must beat each of them, and so the hardest.": arm - table[:3].mean(0),
        "This is the gain over training on real images only, the easiest control.": arm - none,
        "The control minus the arm: turn the sign.": random - arm,
    }
    told = "Subtract seed by seed: arm minus control, in the order of seeds."
    expect(torch.as_tensor(differences), arm - random, mistakes, told)
    return "The hardest control, seed by seed. Choosing it after the runs is a look at the results: name all of them beforehand."
