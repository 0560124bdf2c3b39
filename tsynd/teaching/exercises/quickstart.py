"""Exercises of the quickstart: a fair pair of runs, what became of an image, and what a few seeds tell."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tsynd.runs.config import RunConfig
from tsynd.teaching.exercises.checker import NotYet, checker, expect, kind_of

VERDICTS = ("better", "worse", "cannot tell")


@checker
def run_pipeline(fair_pair: Callable[[int], tuple[RunConfig, RunConfig]]) -> str:
    """Check `fair_pair(seed)`: the paper's arm and its baseline, on 60 phantoms of each class, at that seed."""
    for seed in (3, 8):
        pair = fair_pair(seed)
        if len(pair) != 2 or not all(isinstance(each, RunConfig) for each in pair):
            raise NotYet(f"Two of RunConfig(...) are asked for, got {pair!r}.")
        for name, wanted in {"data": "phantom", "per_class": 60, "seed": seed}.items():
            for config in pair:
                if (found := getattr(config, name)) != wanted:
                    why = " Both runs of a pair have the seed that is given" if name == "seed" else " The task names another"
                    raise NotYet(f"{name} is {found!r}, and should be {wanted!r}.{why}.")
        if [each.arm for each in pair] != ["tsynd", "none"]:
            raise NotYet(
                f"The arms are {pair[0].arm!r} and {pair[1].arm!r}. First the one of the paper, without a guard for the label; "
                "then the one that adds nothing to the real images."
            )
        differing = [name for name in ("budget", "size", "evaluate") if len({getattr(each, name) for each in pair}) > 1]
        if differing:
            raise NotYet(f"The two runs differ in {', '.join(differing)} too: what would a difference between them tell?")
    return "The two runs differ in the arm and in nothing else, so a difference between them is the arm's, or that of chance."


@checker
def read_targeted(read: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[int, float, float]]) -> str:
    """Check `read(start_BCHW, targeted_BCHW, before_B, after_B)`: which image rose most, by how much, its largest change."""
    start = torch.rand(5, 1, 8, 8) * 0.5 + 0.25
    targeted = start + 0.1 * torch.rand(5, 1, 8, 8)
    targeted[2, 0, 4, 4] = start[2, 0, 4, 4] - 0.2  # it got darker there, by more than any pixel got brighter
    before, after = torch.tensor([0.30, 0.05, 0.02, 0.10, 0.20]), torch.tensor([0.33, 0.15, 0.22, 0.12, 0.25])
    index, rise, change = read(start, targeted, before, after)
    uncertain = "Image 0 is the most uncertain at the end, but it was so before the search. Which one *rose* most?"
    expect(int(index), 2, {uncertain: 0}, "You chose image {found}. Look at after minus before, image by image.")
    risen = f"The right image, but its rise is not {float(rise):.3f} nats: take the difference, after minus before."
    expect(float(rise), 0.2, {}, risen)
    told = "The right image and rise. Its largest change is not {found}: a pixel may also get darker, and only this image counts."
    expect(float(change), (targeted[2] - start[2]).abs().max(), {}, told)
    return "The rise counts, not the level: an image that was uncertain from the start owes nothing to the search."


@checker
def judge_one_run(judge: Callable[[Sequence[float]], tuple[float, str]]) -> str:
    """Check `judge(differences)`: the mean difference, and whether it is `better`, `worse` or one `cannot tell`."""
    cases = {
        (0.04,): "cannot tell",
        (0.05, 0.04, 0.06, 0.05, 0.04): "better",
        (0.10, 0.02, -0.01, 0.0, 0.01): "cannot tell",
        (-0.03, -0.05, -0.04, -0.03, -0.05): "worse",
        # Within two standard deviations of 0, but not within two standard errors.
        (0.05, 0.01, 0.03, -0.01, 0.04, 0.02, 0.03, 0.0, 0.05): "better",
        # All of one sign. Dividing by N and not N - 1 would make the standard error too small.
        (0.005, 0.02, 0.05): "cannot tell",
    }
    for differences, wanted in cases.items():
        mean, verdict = judge(differences)
        here = ", ".join(f"{each:+g}" for each in differences)
        if abs(float(mean) - sum(differences) / len(differences)) > 1e-6:
            raise NotYet(f"Of the differences {here} the mean is not {float(mean):.3f}.")
        if verdict not in VERDICTS:
            raise NotYet(f"The verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}.")
        if verdict != wanted and len(differences) == 1:
            raise NotYet(f"You say {verdict!r} after one pair of runs, {here}. How much would another seed have given?")
        if verdict != wanted:
            raise NotYet(
                f"Of the differences {here} you say {verdict!r}. How far is their mean from 0, counted in standard errors?"
            )
    return "One pair tells nothing about chance. Several do: their mean, and how much they scatter about it."


@checker
def how_many_seeds(answer: Callable[[float, float], int]) -> str:
    """Check `seeds(gain, spread)`: the fewest seeds whose mean, if it is `gain`, lies more than two standard errors from 0.

    spread: the standard deviation of the differences, one of each seed.
    """
    for gain, spread in ((0.02, 0.05), (0.03, 0.05), (0.1, 0.02)):
        ratio = 2 * spread / gain
        mistakes = {
            "One difference has no spread, so one seed cannot show that the gain is not chance: two at least.": 1,
            "The error shrinks with the *root* of the number of seeds, so half the gain needs four times the seeds.": int(ratio)
            + 1,
            "Seeds come whole, and with a fraction of a seed less the mean is too near to 0: round up.": int(ratio**2),
            "Count seeds, so return a whole number; one more than would put the mean *at* two standard errors.": ratio**2,
            "You ask for one standard error. The rule of this page asks for more than two.": int((spread / gain) ** 2) + 1,
        }
        told = f"For a gain of {gain} and a spread of {spread} it is another number: when is gain / (spread / root of n) above 2?"
        expect(answer(gain, spread), max(2, int(ratio**2 + 1e-9) + 1), mistakes, told)
    return "The seeds go with the square of spread / gain: half the gain costs four times the runs. Ask before you start."


@checker
def who_changed_more(answer: Callable[[Tensor, Tensor, Tensor], Any]) -> str:
    """Check `search_did(source_BCHW, start_BCHW, targeted_BCHW)`: (B,), did the search change an image most?"""
    source = torch.full((4, 1, 6, 6), 0.5)
    start, targeted = source.clone(), source.clone()
    start[0] += 0.2  # the autoencoder did it, and the search hardly anything
    targeted[0] = start[0] + 0.05
    start[1, 0, :3] += 0.05
    targeted[1], targeted[1, 0, ::2] = start[1], start[1, 0, ::2] + 0.1
    start[2] += 0.1
    targeted[2] = start[2] - 0.15  # back past the source: against the source it looks small
    start[3], targeted[3] = 0.6, 0.6
    targeted[3, 0, 0], targeted[3, 0, 1] = 0.9, 0.3  # brighter here, darker there: the mean does not move
    found = torch.as_tensor(answer(source, start, targeted))
    if found.shape != (4,):
        raise NotYet(f"One True or False for each of 4 images is asked for, got {kind_of(found)}.")
    first, second, both = ((each.flatten(1)) for each in (start - source, targeted - start, targeted - source))
    way, search, whole = (each.square().mean(1).sqrt() for each in (first, second, both))
    mistakes = {
        "You compare the targeted image with the *source*. The search began at the start.": whole > way,
        "Some pixels get brighter and others darker: in a mean they cancel. Square them first.": (
            second.mean(1).abs() > first.mean(1).abs()
        ),
        "These are the images that the *autoencoder* changed more.": search <= way,
    }
    told = f"You say {found.bool().tolist()}. Root mean square of targeted minus start, against that of start minus source."
    expect(found, search > way, mistakes, told)
    return "Before you credit a search with a change, see what the way to its starting point has done already."
