"""Runs: from a configuration to networks, synthetic images, measurements and a report in one folder."""
