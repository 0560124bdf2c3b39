"""What a check answers, and which differences count."""

from dataclasses import dataclass

from torch import Tensor

CHAPTER = "see chapter 6"


@dataclass(frozen=True)
class Check:
    """What one check found: `message` says it in a sentence, and after a failure what it means and what to do."""

    name: str
    passed: bool
    message: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}: {self.message}" + ("" if self.passed else f" ({CHAPTER})")


def share(which_B: Tensor) -> float:
    """The fraction of images for which it is so."""
    return float(which_B.double().mean())


def slack(count: int) -> float:
    """Differences that do not count: 1 %, or one image."""
    return max(0.01, 1 / count) + 1e-9
