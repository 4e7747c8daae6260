"""Data, splits and label budgets: what there is to learn from."""
