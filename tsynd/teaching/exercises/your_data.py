"""Exercises of the chapter on your own data: patients from names, a network made to fit, a review applied, and when to stop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsynd.teaching.exercises.checker import NotYet, checker, expect

# File names as a hospital's export gives them: date, patient, view. The patient's name in capitals or not.
NAMES = {
    "20240502_A17_left.png": "a17",
    "20250111_a17_right.PNG": "a17",
    "20240502_A1_left.png": "a1",
    "20240609_B17_left.png": "b17",
    "20240609_B17_left-zoom.png": "b17",
}
OBSTACLES = ("split", "reconstruction", "aim", "gain", "none")
_SOUND: dict[str, Any] = {
    "shared_patients": 0,
    "same_after_reconstruction": 0.95,
    "error_auroc": (0.62, 0.81),
    "gain": (0.01, 0.06),
}


@checker
def groups_from_names(answer: Callable[[str], Any]) -> str:
    """Check `patient_of(name)`: the same for all images of a patient, and for no other's."""
    given = {name: answer(name) for name in NAMES}
    names = list(given)
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            together, same = given[one] == given[other], NAMES[one] == NAMES[other]
            if same and not together:
                raise NotYet(
                    f"{one} and {other} are of one patient, and you put them into {given[one]!r} and {given[other]!r}: "
                    "they may come apart into training and test."
                )
            if together and not same:
                raise NotYet(f"{one} and {other} are of two patients, and both are in your group {given[one]!r}.")
    return "Images of one patient stay together, and no two patients are taken for one. Look at the list of groups all the same."


class _Foreign(nn.Module):
    """A network as it comes from elsewhere: images in 0 to 255, standardised by the caller; probabilities come out."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 3))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.body(images_BCHW)
        return logits.softmax(dim=1)


@checker
def wrap_a_network(wrap: Callable[[nn.Module, Tensor, Tensor], Any]) -> str:
    """Check `wrap(network, mean_C, std_C)`: a network of images in [0, 1] that gives log-probabilities, from a foreign one."""
    network, mean_C, std_C = _Foreign(), torch.tensor([120.0, 100.0, 80.0]), torch.tensor([60.0, 50.0, 40.0])
    images_BCHW = torch.rand(4, 3, 8, 8, requires_grad=True)
    fitted = wrap(network, mean_C, std_C)
    if not isinstance(fitted, nn.Module):
        raise NotYet(f"A torch.nn.Module is asked for, got {type(fitted).__name__}: what evaluates it sets its mode.")
    fitted.eval()
    if network.training:
        raise NotYet("eval() does not reach the network inside: make it an attribute of your module, so that it is registered.")
    found = fitted(images_BCHW)
    if not isinstance(found, Tensor) or found.shape != (4, 3):
        raise NotYet(f"One row an image and one column a class, (4, 3), is asked for, got {getattr(found, 'shape', found)}.")
    if not found.requires_grad:
        raise NotYet("The images get no gradient: neither the search nor an attack can climb. Do without no_grad and detach.")
    with torch.no_grad():
        right = network((255 * images_BCHW - mean_C[:, None, None]) / std_C[:, None, None])
        unscaled = network((images_BCHW - mean_C[:, None, None]) / std_C[:, None, None])
        if bool((found >= 0).all()) and torch.allclose(found.sum(dim=1), torch.ones(4), atol=1e-4):
            raise NotYet("Rows add up to 1: these are probabilities. Softmax would be taken a second time: give their logarithm.")
        probabilities = found.softmax(dim=1)
    if torch.allclose(probabilities, unscaled, atol=1e-5):
        raise NotYet("Images come in [0, 1], mean and standard deviation are for 0 to 255: multiply by 255 first.")
    if not torch.allclose(probabilities, right, atol=1e-4):
        raise NotYet("The probabilities are not those of the network on images that are standardised channel by channel.")
    return "The normalisation is inside, so eps and radius keep their meaning, and the gradient reaches the image."


@checker
def apply_a_review(answer: Callable[[Sequence[int], Mapping[int, tuple[str, int | None]]], Any]) -> str:
    """Check `passed(labels, decisions)`: pairs (position, label) of the images that may be trained on."""
    said = ("accept", None), ("reject", None), ("relabel", 0), ("accept", None), ("relabel", 1)
    decisions: dict[int, tuple[str, int | None]] = dict(zip((0, 1, 2, 4, 5), said, strict=True))
    given = answer([0, 1, 1, 0, 1, 0], decisions)
    found = {(int(place), int(label)) for place, label in (given.items() if isinstance(given, Mapping) else given)}
    positions = {place for place, _ in found}
    if 3 in positions:
        raise NotYet("Image 3 is in no row of the review: nobody looked at it. What nobody looked at is not trained on.")
    if 1 in positions:
        raise NotYet("Image 1 was rejected, and is still there.")
    if missing := {0, 2, 4, 5} - positions:
        raise NotYet(f"Image {min(missing)}: the decision is {decisions[min(missing)][0]!r}, so it should be there.")
    if found != {(0, 0), (2, 0), (4, 1), (5, 1)}:
        raise NotYet(
            "A relabelled image carries the expert's label, an accepted one its own: (2, 0), (5, 1), but (0, 0), (4, 1)."
        )
    return "Accepted and relabelled images pass; rejected ones do not, and neither does what nobody has seen."


@checker
def stop_or_go(answer: Callable[[Mapping[str, Any]], Any]) -> str:
    """Check `obstacle(facts)`: the first reason to stop, in the order of the checklist, or "none"."""
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({}, "none", "nothing stands against it"),
        ({"shared_patients": 3}, "split", "3 patients are in training and in the test"),
        ({"same_after_reconstruction": 0.7}, "reconstruction", "three in ten images change their class in the autoencoder"),
        (
            {"error_auroc": (0.44, 0.78)},
            "aim",
            "the interval of the AUROC contains 0.5, so it may find errors no better than a coin",
        ),
        ({"gain": (-0.01, 0.06)}, "gain", "the interval of the gain over the best cheap baseline contains 0"),
        ({"gain": (-0.06, -0.01)}, "gain", "the gain is a loss"),
        ({"shared_patients": 1, "gain": (-0.01, 0.02)}, "split", "with a leak no later number counts"),
        ({"same_after_reconstruction": 0.8, "error_auroc": (0.3, 0.6)}, "reconstruction", "the autoencoder comes first"),
    ]
    for changes, right, reason in cases:
        facts = _SOUND | changes
        word = str(answer(facts)).strip().lower()
        if word not in OBSTACLES:
            raise NotYet(f"{word!r} is none of {', '.join(OBSTACLES)}.")
        if word != right:
            raise NotYet(f"For {facts} you say {word!r}, and {reason}: {right!r}.")
    return "The order matters: a leak makes every later number worthless. And what counts is the interval, not its middle."


@checker
def two_experts(answer: Callable[[list[str], list[str]], float]) -> str:
    """Check `agreement(first, second)`: Cohen's kappa of two experts who said "accept" or "reject" of the same images.

    The share on which they agree beyond chance, of what there is beyond chance: 1 is perfect, 0 is what two dice would give.
    """
    cases = {
        "one accepts nearly all": ("aaaaaaaaar", "aaaaaaarra"),
        "careful both": ("aaaarrrraa", "aaarrrrraa"),
        "opposites": ("aarr", "rraa"),
    }
    words = {"a": "accept", "r": "reject"}
    for name, (one, other) in cases.items():
        first, second = ([words[letter] for letter in each] for each in (one, other))
        agreed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
        rate = [each.count("accept") / len(each) for each in (first, second)]
        chance = rate[0] * rate[1] + (1 - rate[0]) * (1 - rate[1])
        mistakes = {
            "This is how often they agree. Two experts who accept nearly everything agree often, and have not looked.": agreed,
            "You take chance to be one half. It depends on how often each of them accepts.": 2 * agreed - 1,
            "You subtract chance and stop. What is there to gain beyond chance is 1 - chance: divide by it.": agreed - chance,
            "Chance is to agree on accept *or* on reject: add both products.": (agreed - rate[0] * rate[1])
            / (1 - rate[0] * rate[1]),
        }
        told = f"Case “{name}”: they agree on {agreed:.2f}, and by chance they would on {chance:.2f}."
        expect(float(answer(first, second)), (agreed - chance) / (1 - chance), mistakes, told)
    return "An expert who accepts everything agrees with everyone, and kappa is 0 or less. And both can be wrong."


@checker
def size_inside(answer: Callable[[float, Tensor, Tensor], Tensor]) -> str:
    """Check `inner(eps, mean_C, std_C)`: how far an attack of `eps` moves each channel of what a network standardises inside.

    The network gets images in [0, 1] and computes (255 * image - mean_C) / std_C.
    """
    mean, std = torch.tensor([120.0, 100.0, 60.0]).double(), torch.tensor([60.0, 50.0, 20.0]).double()
    for eps in (2 / 255, 0.1):
        mistakes = {
            "You subtract the mean. It moves image and attacked image alike, so in the change it cancels.": (255 * eps - mean)
            / std,
            "The image is multiplied by 255 before it is standardised, and so is the change.": eps / std,
            "Each channel has its own deviation: one number is not enough.": (255 * eps / std.mean()).expand(3),
            "You multiply by the deviation. Standardising divides.": 255 * eps * std,
        }
        told = f"For eps {eps:.4f}: what does (255 * (image + eps) - mean) / std differ by from (255 * image - mean) / std?"
        expect(answer(eps, mean, std), 255 * eps / std, mistakes, told)
    return "The same eps is another one in each channel, and in each network: hence [0, 1] outside, and standardising inside."
