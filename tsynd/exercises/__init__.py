"""The checkers of the book's exercises, each named after the objective that it exercises: they say what is right, and why."""

from tsynd.exercises.checking import NotYet, Verdict, checker
from tsynd.exercises.quickstart import judge_one_run, read_targeted, run_pipeline

__all__ = ["NotYet", "Verdict", "checker", "judge_one_run", "read_targeted", "run_pipeline"]
