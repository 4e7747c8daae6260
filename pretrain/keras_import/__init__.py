"""Models that were trained elsewhere, turned into a weights file: read as data, never as code."""

STRATEGY = "imported"
"""What a weights file names as its strategy when the model came from elsewhere."""
