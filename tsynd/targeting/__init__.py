"""Targeting: search the latent ball around a real image's code for what the classifier does not know. This is TSynD."""

from tsynd.targeting.objectives import OBJECTIVES, Guard, Objective
from tsynd.targeting.search import SPACES, Autoencoder, target
from tsynd.targeting.synthesis import COLUMNS, Synthesis, concatenate, measured, on_cpu, on_device

__all__ = [
    "COLUMNS",
    "OBJECTIVES",
    "SPACES",
    "Autoencoder",
    "Guard",
    "Objective",
    "Synthesis",
    "concatenate",
    "measured",
    "on_cpu",
    "on_device",
    "target",
]
