"""Progress: what every call that takes long tells whoever waits for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Step:
    """One step of a call that takes long.

    Attributes:
        stage: what is being done, such as `training`; `note` for what a user should know.
        done: how much of it, from 0 to `total`: steps, images, runs, or bytes of a file.
        total: how much there is; 0 when that is not known.
        text: more in words.
    """

    stage: str
    done: int = 0
    total: int = 0
    text: str = ""

    def __str__(self) -> str:
        """Give a line for `progress=print`.

        >>> print(Step("training", 3, 600, "loss 0.6931"))
        training: 3 of 600, loss 0.6931
        """
        count = [f"{self.done} of {self.total}"] if self.total else []
        return f"{self.stage}: {', '.join([*count, *([self.text] if self.text else [])])}"


Progress = Callable[[Step], object]
"""Called with each `Step`; its answer is ignored, and what it raises stops the call. `print` is one."""


def silent(step: Step) -> None:
    """Tell nobody."""


def within(stage: str, progress: Progress | None) -> Progress | None:
    """Tell of the steps of a part as steps of a stage."""
    return progress and (lambda step: progress(replace(step, stage=stage)))
