"""Pretraining for people with many unlabelled examples and few labelled ones."""
