"""Measures of features: whether two examples are the same item."""
