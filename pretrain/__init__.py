"""Encoders, strategies, the training engine and the weights file."""
