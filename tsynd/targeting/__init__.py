"""Targeting: search the latent ball around a real image's code for what the classifier does not know. This is TSynD."""

from tsynd.targeting.objectives import OBJECTIVES, Guard
from tsynd.targeting.search import Autoencoder, target
from tsynd.targeting.synthesis import Synthesis, concatenate, remeasure

__all__ = ["OBJECTIVES", "Autoencoder", "Guard", "Synthesis", "concatenate", "remeasure", "target"]
