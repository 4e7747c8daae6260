"""Choosing which examples to label first."""
