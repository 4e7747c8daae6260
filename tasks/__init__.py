"""Data sets, splits and label budgets."""
