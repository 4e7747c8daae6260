"""Labelled examples on their way to an encoder: adapting inputs, folds, leakage."""
