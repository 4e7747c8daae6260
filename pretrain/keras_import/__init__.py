"""Models that were trained elsewhere, turned into a weights file: read as data, never as code."""

STRATEGY = "imported"
"""The strategy that a weights file names when the model came from elsewhere."""
