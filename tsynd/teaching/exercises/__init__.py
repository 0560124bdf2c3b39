"""The checkers of the book's exercises, each named after the objective that it exercises: they say what is right, and why."""

from tsynd.teaching.exercises.autoencoding import classifier_minds, radius_of_a_step, standardise_codes, walk_along_a_factor
from tsynd.teaching.exercises.checker import NotYet, Verdict, checker
from tsynd.teaching.exercises.data import balanced_accuracy, find_a_leak, nested_subsets, split_by_patient
from tsynd.teaching.exercises.quickstart import judge_one_run, read_targeted, run_pipeline
from tsynd.teaching.exercises.robustness import attack_step, attack_the_average, judge_a_report, worst_case
from tsynd.teaching.exercises.study import crossed_resample, holm_by_hand, judge_a_study, paired_difference
from tsynd.teaching.exercises.targeting import fair_control, guard_penalty, judge_a_search, one_step
from tsynd.teaching.exercises.training import bank_life, equal_cost, mix_a_batch, which_control
from tsynd.teaching.exercises.uncertainty import find_the_errors, how_many_samples, same_entropy, split_uncertainty
from tsynd.teaching.exercises.your_data import apply_a_review, groups_from_names, stop_or_go, wrap_a_network

__all__ = [
    "NotYet",
    "Verdict",
    "apply_a_review",
    "attack_step",
    "attack_the_average",
    "balanced_accuracy",
    "bank_life",
    "checker",
    "classifier_minds",
    "crossed_resample",
    "equal_cost",
    "fair_control",
    "find_a_leak",
    "find_the_errors",
    "groups_from_names",
    "guard_penalty",
    "holm_by_hand",
    "how_many_samples",
    "judge_a_report",
    "judge_a_search",
    "judge_a_study",
    "judge_one_run",
    "mix_a_batch",
    "nested_subsets",
    "one_step",
    "paired_difference",
    "radius_of_a_step",
    "read_targeted",
    "run_pipeline",
    "same_entropy",
    "split_by_patient",
    "split_uncertainty",
    "standardise_codes",
    "stop_or_go",
    "walk_along_a_factor",
    "which_control",
    "worst_case",
    "wrap_a_network",
]
