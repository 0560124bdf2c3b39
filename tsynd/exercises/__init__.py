"""The checkers of the book's exercises, each named after the objective that it exercises: they say what is right, and why."""

from tsynd.exercises.autoencoding import classifier_minds, radius_of_a_step, standardise_codes, walk_along_a_factor
from tsynd.exercises.checking import NotYet, Verdict, checker
from tsynd.exercises.quickstart import judge_one_run, read_targeted, run_pipeline
from tsynd.exercises.targeting import fair_control, guard_penalty, judge_a_search, one_step

__all__ = [
    "NotYet",
    "Verdict",
    "checker",
    "classifier_minds",
    "fair_control",
    "guard_penalty",
    "judge_a_search",
    "judge_one_run",
    "one_step",
    "radius_of_a_step",
    "read_targeted",
    "run_pipeline",
    "standardise_codes",
    "walk_along_a_factor",
]
