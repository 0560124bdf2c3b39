"""Figures: one style, and one function for each figure of a report. Each returns a matplotlib figure."""
