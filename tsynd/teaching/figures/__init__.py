"""Figures of the book's chapters, a module for each chapter."""
