"""The study: arms x data sets x sizes x seeds, written down before it is run, resumable, on one machine or a cluster."""

from tsynd.study.plan import Study, read_study
from tsynd.study.report import write_report
from tsynd.study.runner import run_study

__all__ = ["Study", "read_study", "run_study", "write_report"]
