"""Figures of the chapters, a module a chapter: what is too long for a cell."""
