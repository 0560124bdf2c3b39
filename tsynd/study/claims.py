"""The claims that a study decides: which arm is compared with which, by which measures.

Arms, primary measures and the rule of decision stand in the study file, before its runs. This list of the main study's claims
came when its first 195 runs were in; the two of the refined recipe came before their runs.
"""

from dataclasses import dataclass

CONTROLS = ("none", "reconstruction", "random", "sham")
CHEAP = ("mixup", "label-smoothing", "trivialaugment")
MARGIN = 0.01  # how much worse counts as not worse


@dataclass(frozen=True)
class Claim:
    """An arm, what it is compared with, and the measures; the first one decides.

    every: all measures decide together: better by Holm over their p-values, not worse in each. not_worse: the claim is that the
    arm is not worse by more than `MARGIN`, in place of better. beside: measures that are shown too, and decide nothing. unmasked:
    the claim also asks that the checks of the arm's runs were made and found no masked gradient or weak attack; else it is
    undecided at best.
    """

    name: str
    text: str
    arm: str
    others: tuple[str, ...]
    measures: tuple[str, ...]
    every: bool = False
    not_worse: bool = False
    beside: tuple[str, ...] = ()
    unmasked: bool = False


PRIMARY = ("auroc", "augmented", "pgd_2_255")

CLAIMS = (
    Claim(
        "accuracy",
        "Targeting improves classification with few images",
        "tsynd",
        CONTROLS,
        ("auroc", "accuracy", "balanced_accuracy", "nll"),
    ),
    Claim(
        "augmentation",
        "Targeting makes robust against random test-time augmentation",
        "tsynd",
        CONTROLS,
        ("augmented", "augmented_inside", "corrupted"),
    ),
    Claim(
        "attacks",
        "Targeting makes robust against adversarial attacks",
        "tsynd",
        CONTROLS,
        ("pgd_2_255", "pgd_4_255"),
    ),
    Claim(
        "ceiling",
        "Targeting is as robust against attacks as adversarial training",
        "tsynd",
        ("pgd",),
        ("pgd_2_255", "pgd_4_255", "auroc"),
        not_worse=True,
    ),
    Claim(
        "objective",
        "Mutual information is a better target than entropy",
        "tsynd",
        ("entropy",),
        ("auroc", "augmented", "corrupted", "pgd_2_255", "pgd_4_255", "nll"),
    ),
    Claim(
        "gaps",
        "Targeting fills gaps in the training set",
        "tsynd",
        ("none", "random", "sham"),
        ("subgroup",),
    ),
    Claim(
        "recipe",
        "Our recipe, guarded+mixup, is worth recommending",
        "guarded+mixup",
        CHEAP,
        PRIMARY,
        every=True,
    ),
    Claim(
        "direction",
        "In our recipe it is the direction of the search that helps",
        "guarded+mixup",
        ("random+mixup", "sham+mixup"),
        PRIMARY,
        every=True,
    ),
    Claim(
        "refined",
        "Our recipe as two rounds refined it is worth recommending",
        "refined",
        CHEAP,
        PRIMARY,
        every=True,
    ),
    Claim(
        "refined direction",
        "In the refined recipe it is the targeted images that help",
        "refined",
        ("mixup+trivialaugment", "refined-random"),
        PRIMARY,
        every=True,
    ),
    Claim(
        "adversarial",
        "guarded+mixup+pixel can replace adversarial training",
        "guarded+mixup+pixel",
        ("pgd", "mixup+pgd"),
        ("auroc", "pgd_4_255", "apgd_4_255", "square_4_255"),
        every=True,
        not_worse=True,
        beside=("nll",),
        unmasked=True,
    ),
)

ELSEWHERE = {
    "High mutual information marks what is missing": "on phantoms, whose truth is known, it does not: results/phantom-claim",
    "The classifier looks at more meaningful regions": "on phantoms, whose lesions are known, it does not: results/attribution",
}
"""Claims that other studies decide."""
