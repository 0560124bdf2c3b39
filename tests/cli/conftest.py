"""Runs that only pretend, and study files."""

from tests.study.conftest import ran, written

__all__ = ["ran", "written"]
