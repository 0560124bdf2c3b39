"""The checkers of the book's exercises, each named after the objective that it exercises: they say what is right, and why."""

from tsynd.teaching.exercises import (  # each module adds its checkers to CHECKERS
    autoencoding,
    data,
    quickstart,
    robustness,
    study,
    targeting,
    training,
    uncertainty,
    your_data,
)
from tsynd.teaching.exercises.checker import CHECKERS, NotYet, Verdict, checker

CHAPTERS = (quickstart, data, autoencoding, uncertainty, targeting, training, robustness, study, your_data)
globals().update(CHECKERS)
__all__ = ["NotYet", "Verdict", "checker", *CHECKERS]
