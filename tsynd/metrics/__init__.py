"""Measures of probabilities: discrimination, calibration, and their intervals."""
