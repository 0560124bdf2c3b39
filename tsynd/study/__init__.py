"""The study: arms x data sets x sizes x seeds, written down before it is run, resumable, on one machine or a cluster."""

from tsynd.study.plan import Planned, Study, Tier, read_study
from tsynd.study.records import read_records
from tsynd.study.report import write_report
from tsynd.study.running import run_study, seconds_left

__all__ = ["Planned", "Study", "Tier", "read_records", "read_study", "run_study", "seconds_left", "write_report"]
