"""Exercises of the chapter on uncertainty: the split, the same entropy twice, how many samples, and finding errors."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tsynd.teaching.exercises.checker import NotYet, checker, expect
from tsynd.uncertainty import expected_entropy, log_probabilities, mutual_information, predictive_entropy

PARTS = ("total", "aleatoric", "epistemic")
CLOSE = 0.02  # nats: "the same entropy"
APART = 0.3  # nats: "another mutual information"
SIMULATED = 0.01  # how far off an estimate by simulation may be: four standard errors with 20,000 draws


@checker
def split_uncertainty(split: Callable[[Tensor], Sequence[Tensor]]) -> str:
    """Check `split(logits_BKC)`: total, aleatoric and epistemic uncertainty of each image, in nats."""
    logits_BKC = 2 * torch.randn(5, 7, 3, dtype=torch.float64)
    log_probs_BKC = log_probabilities(logits_BKC)
    right = [measure(log_probs_BKC) for measure in (predictive_entropy, expected_entropy, mutual_information)]
    given = split(logits_BKC)
    if not isinstance(given, tuple | list | Tensor) or len(given) != len(PARTS):
        raise NotYet(f"Three tensors are asked for, {', '.join(PARTS)}, got {type(given).__name__}.")
    for name, value in zip(PARTS, given, strict=True):
        if tuple(value.shape) != (5,):
            raise NotYet(f"{name} has shape {tuple(value.shape)}; one number for each of the 5 images is (5,).")
    total, aleatoric, epistemic = (value.double() for value in given)
    if _same(total * math.log(2), right[0]):
        raise NotYet("Your total is right in bits: take the natural logarithm, so that a fair coin has ln 2 = 0.693 nats.")
    if _same(total, right[1]):
        raise NotYet("Your total is the mean of the entropies. The total is the entropy of the mean: average first.")
    if _same(total, predictive_entropy(log_probabilities(logits_BKC.mean(1, keepdim=True)))):
        raise NotYet(
            "Your total averages logits. Posterior samples average their probabilities: softmax first, then the mean over K."
        )
    for name, value, wanted in zip(PARTS, (total, aleatoric, epistemic), right, strict=True):
        if not _same(value, wanted):
            worst = int((value - wanted).abs().nan_to_num(torch.inf).argmax())
            raise NotYet(f"{name} of image {worst} is {float(value[worst]):.5f}, and should be {float(wanted[worst]):.5f} nats.")
    # Two samples sure of opposite classes; two undecided between the same two classes, and sure that it is not the third.
    sure = split(torch.tensor([[[0.0, 200.0, 0.0], [200.0, 0.0, 0.0]], [[200.0, 200.0, 0.0], [200.0, 200.0, 0.0]]]))
    if not all(bool(value.isfinite().all()) for value in sure):
        raise NotYet("With logits 200 apart your function gives NaN: in fp32 a probability is 0 there. Stay with logarithms.")
    for name, value, doubts in zip(PARTS, sure, ((1, 1), (0, 1), (1, 0)), strict=True):
        wanted = torch.tensor(doubts) * math.log(2)
        if not torch.allclose(value.double(), wanted.double(), atol=1e-4, rtol=0):
            got = " and ".join(f"{each:.3f}" for each in (value + 0.0).tolist())
            raise NotYet(
                f"With logits 200 apart {name} of two images is {got} nats, and should be {wanted[0]:.3f} and {wanted[1]:.3f}. "
                "Is a NaN or a small probability replaced by something else there?"
            )
    return "Average the probabilities for the total, the entropies for the aleatoric part; the rest is disagreement."


@checker
def same_entropy(answer: tuple[Tensor, Tensor]) -> str:
    """Check two tensors of probabilities, (K, C) each: nearly the same entropy, and mutual information 0.3 nats apart."""
    pair = isinstance(answer, tuple | list) or (isinstance(answer, Tensor) and answer.ndim == 3)
    if not pair or len(answer) != 2:
        raise NotYet(f"A pair of tensors is asked for, got {type(answer).__name__}.")
    found = []
    for name, samples in zip(("first", "second"), answer, strict=True):
        probs = torch.as_tensor(samples, dtype=torch.float64)
        if probs.ndim != 2 or len(probs) < 2:
            raise NotYet(
                f"The {name} tensor has shape {tuple(probs.shape)}; samples x classes is asked for, with 2 or more samples."
            )
        if bool((probs < 0).any()) or not _same(probs.sum(1), torch.ones(len(probs)).double(), 1e-3):
            raise NotYet(f"In the {name} tensor some row is no probability distribution: it must be >= 0 and sum to one.")
        found.append([abs(float(measure(probs.log()[None]))) for measure in (predictive_entropy, mutual_information)])
    (total, epistemic), (other_total, other_epistemic) = found
    if abs(total - other_total) > CLOSE:
        raise NotYet(f"Their entropies are {total:.3f} and {other_total:.3f} nats. Which average prediction must both have?")
    if abs(epistemic - other_epistemic) < APART:
        raise NotYet(
            f"Their entropies agree, and their mutual information, {epistemic:.3f} and {other_epistemic:.3f} nats, nearly does. "
            f"Let the samples of one of them {'agree' if min(epistemic, other_epistemic) >= APART else 'contradict each other'}."
        )
    return "Entropy sees only the average. The single samples tell whether they hesitate together or contradict each other."


@checker
def how_many_samples(expected_estimate: Callable[[int], float]) -> str:
    """Check `expected_estimate(doctors)`: the mean mutual information of so many doctors, each certain, half for each side."""
    for doctors in (1, 2, 3, 8, 32):
        chance = [math.comb(doctors, votes) / 2**doctors for votes in range(doctors + 1)]
        right = sum(p * _coin(votes / doctors) for votes, p in enumerate(chance))
        pooled = (
            f"With {doctors} doctor(s) you get ln 2, the value of all doctors together. Do not pool the draws: compute the "
            "mutual information of each, then average."
        )
        told = (
            f"With {doctors} doctor(s) you get {{found}}, and it should be {right:.3f} nats. How often do v of them vote "
            "malignant, and what is the mutual information then?"
        )
        given = float(expected_estimate(doctors))
        expect(given, right, {pooled: math.log(2)} if doctors <= 8 else {}, told, close=SIMULATED)
    return "A few doctors agree by chance, so their value is too low: by half with 2 doctors, by about 1/(2K) nats with many."


@checker
def find_the_errors(area: Callable[[Tensor, Tensor], float]) -> str:
    """Check `area(scores_B, wrong_B)`: how often an error has a higher score than a right prediction, ties counting half."""
    pairs = " Compare each error with each right prediction: in how many pairs has the error the higher score?"
    ties = " Count a tie as half a success."
    cases = {
        "scores that mark the error": ([0.1, 0.2, 0.3, 0.9], [False, False, False, True], 1.0, pairs),
        "scores that mark all but the error": ([0.9, 0.2, 0.3, 0.1], [False, False, False, True], 0.0, pairs),
        "scores that are all the same": ([0.4, 0.4, 0.4, 0.4], [True, False, True, False], 0.5, ties),
        "scores with one tie": ([0.1, 0.5, 0.5, 0.2], [False, False, True, True], 0.625, ties),
    }
    for name, (scores, wrong, right, reason) in cases.items():
        told = f"For {name} you get {{found}}, and it should be {right:.3f}."
        reverse = " You have it the wrong way round: high scores are to mark errors, not right predictions."
        found = float(area(torch.tensor(scores, dtype=torch.float64), torch.tensor(wrong)))
        expect(found, right, {told + reverse: 1 - right}, told + reason, close=1e-6)
    scores_B, wrong_B = torch.rand(60, dtype=torch.float64), torch.rand(60) < 0.2
    higher = (scores_B[wrong_B][:, None] > scores_B[~wrong_B]).double().mean()
    many = "On 60 random scores with few errors yours is off: take the mean over all pairs of an error and a success."
    expect(float(area(scores_B, wrong_B)), higher, {}, many, close=1e-6)
    return "It asks one thing: does an error rank above a right prediction? How large the scores are does not count."


def _same(value: Tensor, wanted: Tensor, close: float = 1e-5) -> bool:
    return bool(torch.allclose(value, wanted, atol=close, rtol=0))


def _coin(share: float) -> float:
    """The entropy of a coin, in nats."""
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)


@checker
def after_the_label(answer: Callable[[Tensor, int, Tensor], Tensor]) -> str:
    """Check `update(probs_KC, label, other_KC)`: (C,), what the samples say of another image after one label is known.

    All K samples are equally likely before. A sample that gave the label more probability counts more afterwards.
    """
    probs = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]).double()
    other = torch.tensor([[0.7, 0.3], [0.5, 0.5], [0.1, 0.9]]).double()
    for label in (0, 1):
        weights = probs[:, label] / probs[:, label].sum()
        best = int(probs[:, label].argmax())
        mistakes = {
            "All samples count alike still. The label must change who is believed.": other.mean(0),
            "These are no probabilities, they do not sum to 1: divide the weights by their sum.": probs[:, label] @ other,
            "You believe one sample alone. The others are less likely now, and not impossible.": other[best],
            "You weigh samples by the other class: who foresaw the label counts *more*.": probs[:, 1 - label]
            / probs[:, 1 - label].sum()
            @ other,
        }
        told = f"After label {label} the weights are another: Bayes' rule, with equal belief in each sample at first."
        expect(answer(probs, label, other), weights @ other, mistakes, told)
    return "This is what mutual information promises, made good: a label moves belief between samples that disagreed about it."


@checker
def merged_classes(answer: Callable[[Tensor, list[int]], Tensor]) -> str:
    """Check `information(probs_BKC, group_of)`: (B,) nats of mutual information about the *group* of the class.

    group_of: for each class the number of its group, such as [0, 0, 1] when the first two ask for the same treatment.
    """
    probs, group_of = torch.rand(4, 5, 3).double() ** 4 + 0.01, [0, 0, 1]
    probs = probs / probs.sum(-1, keepdim=True)

    def entropy(each: Tensor) -> Tensor:
        return -(each * each.log()).sum(-1)

    def information(each: Tensor) -> Tensor:
        return entropy(each.mean(1)) - entropy(each).mean(1)

    merged = torch.stack([probs[..., :2].sum(-1), probs[..., 2]], -1)
    first = torch.stack([probs[..., :2].mean(-1), probs[..., 2]], -1)
    alone = probs[..., [0, 2]]
    of_class = information(probs)
    mistakes = {
        "This is the information about the class. Uncertainty between two classes of one group does not matter here.": of_class,
        "The probabilities of a group are added, not averaged: one of the two classes happens.": information(first),
        "Class 1 belongs to group 0 as well: add its probability.": information(alone / alone.sum(-1, keepdim=True)),
        "This is the total uncertainty about the group. Take off what each sample is unsure of by itself.": entropy(
            merged.mean(1)
        ),
        "This is the aleatoric part: the mean entropy of the samples. The other part is asked for.": entropy(merged).mean(1),
    }
    told = "First make each sample's probabilities of the groups, then the mutual information of these."
    expect(answer(probs, group_of), information(merged), mistakes, told)
    return (
        "Merging can only lower it: what no decision depends on need not be known. Ask about what you will do, not about names."
    )
