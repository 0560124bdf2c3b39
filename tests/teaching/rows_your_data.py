"""Exercises of the chapter on your own data: solutions, stubs and plausible wrong answers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def stub(*_: Any) -> Any: ...


class Fitted(nn.Module):
    def __init__(self, network: nn.Module, mean_C: Tensor, std_C: Tensor, scale: float = 255) -> None:
        super().__init__()
        self.network, self.scale = network, scale
        self.mean_C11, self.std_C11 = mean_C.view(-1, 1, 1), std_C.view(-1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        standard = (self.scale * images - self.mean_C11) / self.std_C11
        return self.network(standard).clamp_min(1e-12).log()


class Unscaled(Fitted):
    def __init__(self, network: nn.Module, mean_C: Tensor, std_C: Tensor) -> None:
        super().__init__(network, mean_C, std_C, scale=1)


class Probable(Fitted):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).exp()


class Detached(Fitted):
    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)


class Hidden(nn.Module):
    """The network in a list, where torch does not see it."""

    def __init__(self, network: nn.Module, mean_C: Tensor, std_C: Tensor) -> None:
        super().__init__()
        self.inside = [Fitted(network, mean_C, std_C)]

    def forward(self, images: Tensor) -> Tensor:
        return self.inside[0](images)


class OneMean(Fitted):
    def __init__(self, network: nn.Module, mean_C: Tensor, std_C: Tensor) -> None:
        super().__init__(network, mean_C.mean().expand(3), std_C.mean().expand(3))


def passed(labels: Sequence[int], decisions: Mapping[int, tuple[str, int | None]]) -> list[tuple[int, int]]:
    kept = []
    for position, (decision, new_label) in decisions.items():
        if decision == "accept":
            kept.append((position, labels[position]))
        if decision == "relabel" and new_label is not None:
            kept.append((position, new_label))
    return kept


def passed_unless_rejected(labels: Sequence[int], decisions: Mapping[int, tuple[str, int | None]]) -> list[tuple[int, int]]:
    return [(n, label) for n, label in enumerate(labels) if decisions.get(n, ("accept", None))[0] != "reject"]


def passed_all_looked_at(labels: Sequence[int], decisions: Mapping[int, Any]) -> list[tuple[int, int]]:
    return [(n, labels[n]) for n in decisions]


def obstacle(facts: Mapping[str, Any]) -> str:
    if facts["shared_patients"] > 0:
        return "split"
    if facts["same_after_reconstruction"] < 0.9:
        return "reconstruction"
    if facts["error_auroc"][0] <= 0.5:
        return "aim"
    return "gain" if facts["gain"][0] <= 0 else "none"


def obstacle_by_the_middle(facts: Mapping[str, Any]) -> str:
    middle = {name: sum(facts[name]) / 2 for name in ("error_auroc", "gain")}
    if facts["shared_patients"] or facts["same_after_reconstruction"] < 0.9:
        return obstacle(facts)
    return "aim" if middle["error_auroc"] <= 0.5 else "gain" if middle["gain"] <= 0 else "none"


def obstacle_gain_first(facts: Mapping[str, Any]) -> str:
    return "gain" if facts["gain"][0] <= 0 else obstacle(facts)


ROWS: dict[str, tuple[Any, Any, list[tuple[Any, str]]]] = {
    "groups_from_names": (
        lambda name: name.split("_")[1].lower(),
        stub,
        [
            (lambda name: name.split("_")[1], "come apart"),
            (lambda name: name, "are of one patient"),
            (lambda name: name[:8], "are of one patient"),
            (lambda name: name[9:11].lower(), "of two patients"),
            (lambda name: re.findall(r"\d+", name)[1], "of two patients"),
        ],
    ),
    "wrap_a_network": (
        Fitted,
        stub,
        [
            (Unscaled, "multiply by 255"),
            (Probable, "these are probabilities"),
            (Detached, "no gradient"),
            (Hidden, "does not reach"),
            (OneMean, "channel by channel"),
            (lambda network, mean, std: lambda images: images, "torch.nn.Module"),
        ],
    ),
    "apply_a_review": (
        passed,
        stub,
        [
            (passed_unless_rejected, "nobody looked at it"),
            (passed_all_looked_at, "was rejected"),
            (
                lambda labels, decisions: [(n, labels[n]) for n, d in decisions.items() if d[0] == "accept"],
                "the decision is 'relabel'",
            ),
            (lambda labels, decisions: [(n, labels[n]) for n, d in decisions.items() if d[0] != "reject"], "the expert's label"),
        ],
    ),
    "stop_or_go": (
        obstacle,
        stub,
        [
            (lambda facts: "none", "3 patients"),
            (obstacle_by_the_middle, "contains 0.5"),
            (obstacle_gain_first, "no later number counts"),
            (lambda facts: "go", "is none of"),
        ],
    ),
}


def fitted_by_parts(network: nn.Module, mean_C: Tensor, std_C: Tensor) -> nn.Module:
    class Start(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images - mean_C[:, None, None] / 255) / (std_C[:, None, None] / 255)

    class End(nn.Module):
        def forward(self, probabilities: Tensor) -> Tensor:
            return torch.log(probabilities + 1e-8)

    return nn.Sequential(Start(), network, End())


ALSO_RIGHT: dict[str, list[Any]] = {
    "groups_from_names": [lambda name: tuple(name.upper().split("_")[1:2])],
    "wrap_a_network": [fitted_by_parts],
    "apply_a_review": [lambda labels, decisions: dict(passed(labels, decisions))],
}


def kappa(first: list[str], second: list[str]) -> float:
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    one, two = (each.count("accept") / len(each) for each in (first, second))
    chance = one * two + (1 - one) * (1 - two)
    return (agreed - chance) / (1 - chance)


def agreed(first: list[str], second: list[str]) -> float:
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


ROWS |= {
    "two_experts": (
        kappa,
        lambda first, second: ...,
        [
            (agreed, "have not looked"),
            (lambda first, second: 2 * agreed(first, second) - 1, "one half"),
            (lambda first, second: kappa(first, second) * 0, "by chance they would"),
        ],
    ),
    "size_inside": (
        lambda eps, mean, std: 255 * eps / std,
        lambda eps, mean, std: ...,
        [
            (lambda eps, mean, std: (255 * eps - mean) / std, "it cancels"),
            (lambda eps, mean, std: eps / std, "multiplied by 255"),
            (lambda eps, mean, std: (255 * eps / std.mean()).expand(3), "one number is not enough"),
            (lambda eps, mean, std: 255 * eps * std, "divides"),
            (lambda eps, mean, std: std, "differ by from"),
        ],
    ),
}
