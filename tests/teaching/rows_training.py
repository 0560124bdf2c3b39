"""Exercises of the chapter on training: solutions, stubs and plausible wrong answers."""

import math
from typing import Any

import torch
from torch import Tensor


def stub(*_: Any) -> Any: ...


def mix(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    pick = torch.randint(len(bank), (count,), generator=generator)
    return torch.cat([real[:-count], bank[pick]])


def mix_appended(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    pick = torch.randint(len(bank), (round(share * len(real)),), generator=generator)
    return torch.cat([real, bank[pick]])


def mix_in_front(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    return torch.cat([bank[torch.randint(len(bank), (count,), generator=generator)], real[count:]])


def mix_the_first(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    return torch.cat([real[:-count], bank[torch.zeros(count).long()]])


def mix_globally(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    return torch.cat([real[:-count], bank[torch.randint(len(bank), (count,))]])


def mix_all(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    return bank[torch.randint(len(bank), (len(real),), generator=generator)]


def mix_once(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    return torch.cat([real[:-count], bank[torch.randint(len(bank), (1,), generator=generator).repeat(count)]])


def mix_few(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    return torch.cat([real[:-count], bank[torch.randint(min(len(bank), len(real)), (count,), generator=generator)]])


def mix_without_replacement(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    return torch.cat([real[:-count], bank[torch.randperm(len(bank), generator=generator)[:count]]])


def mix_in_place(real: Tensor, bank: Tensor, share: float, generator: torch.Generator) -> Tensor:
    count = round(share * len(real))
    real[-count:] = bank[torch.randint(len(bank), (count,), generator=generator)]
    return real


def matched(step: float, search: float, steps: int, warmup: int, every: int) -> float:
    return steps + math.ceil((steps - warmup) / every) * search / step


CONTROLS = ("none-matched", "reconstruction", "random", "sham")

ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "bank_life": (
        lambda every, count, capacity: every * capacity / count,
        stub,
        [
            (lambda every, count, capacity: capacity / count, "number of refreshes"),
            (lambda every, count, capacity: every * count, "an image lives for 30 steps"),
            (lambda every, count, capacity: capacity, "an image lives for 30 steps"),
            (lambda every, count, capacity: math.nan, "an image lives for 30 steps"),
        ],
    ),
    "mix_a_batch": (
        mix,
        stub,
        [
            (mix_appended, "keeps its size"),
            (mix_in_front, "first half must be the real images"),
            (mix_the_first, "draw from `generator`"),
            (mix_globally, "draw from `generator`"),
            (mix_all, "4 of 8 images"),
            (mix_once, "four times"),
            (mix_few, "Draw from the whole bank"),
            (mix_without_replacement, "with replacement"),
        ],
    ),
    "equal_cost": (
        matched,
        stub,
        [
            (lambda step, search, steps, warmup, every: steps + steps / every * search / step, "in the warm-up"),
            (lambda step, search, steps, warmup, every: steps + math.ceil((steps - warmup) / every) * search, "divide by that"),
            (lambda step, search, steps, warmup, every: steps, "cost as much as 780"),
            (lambda step, search, steps, warmup, every: steps + (steps - warmup) // every * search / step, "cost as much as 728"),
        ],
    ),
    "which_control": (
        CONTROLS,
        ...,
        [
            (("random", "reconstruction", "none-matched", "sham"), "Objection 1 is not answered by 'random'"),
            (("none-matched", "random", "reconstruction", "sham"), "the blur"),
            (("none-matched", "reconstruction", "sham", "random"), "any variety"),
            (CONTROLS[:3], "Four words"),
            ((*CONTROLS[:3], "none"), "none of the words"),
        ],
    ),
}

ALSO_RIGHT: dict[str, list[Any]] = {
    "mix_a_batch": [mix_in_place],
    "bank_life": [lambda every, count, capacity: capacity // count * every],
    "equal_cost": [lambda *numbers: round(matched(*numbers))],
    "which_control": [list(CONTROLS), [arm.upper() for arm in CONTROLS]],
}


def hardest(scores: Any, arm: str) -> tuple[str, list[float]]:
    others = {name: values for name, values in scores.items() if name != arm}
    name = max(others, key=lambda each: sum(others[each]))
    return name, [ours - theirs for ours, theirs in zip(scores[arm], scores[name], strict=True)]


def hardest_of_each_seed(scores: Any, arm: str) -> tuple[str, list[float]]:
    others = [values for name, values in scores.items() if name != arm]
    return hardest(scores, arm)[0], [scores[arm][seed] - max(each[seed] for each in others) for seed in range(4)]


ROWS |= {
    "draws_of_an_image": (
        lambda batch, share, every, count, capacity: share * batch * every / count,
        lambda *given: ...,
        [
            (lambda batch, share, every, count, capacity: share * batch / capacity, "in one step"),
            (lambda batch, share, every, count, capacity: share * batch / capacity * every, "one refresh"),
            (lambda batch, share, every, count, capacity: batch * every / count, "only a share"),
            (lambda batch, share, every, count, capacity: capacity / count * every, "for how many steps it lives"),
            (lambda batch, share, every, count, capacity: share * batch * capacity / count * every, "of all images together"),
            (lambda batch, share, every, count, capacity: 1, "For how many steps"),
        ],
    ),
    "strongest_control": (
        hardest,
        lambda scores, arm: ...,
        [
            (lambda scores, arm: (arm, scores[arm]), "cannot be its own control"),
            (lambda scores, arm: ("none", scores[arm]), "not the control with the highest mean"),
            (hardest_of_each_seed, "*of each seed*"),
            (
                lambda scores, arm: ("random", [b - a for a, b in zip(scores["none"], scores[arm], strict=True)]),
                "easiest control",
            ),
            (lambda scores, arm: ("random", [-each for each in hardest(scores, arm)[1]]), "turn the sign"),
            (lambda scores, arm: ("random", [0.0] * 4), "seed by seed"),
        ],
    ),
}
