"""Labelled examples before training: input adapter, folds, leakage."""
