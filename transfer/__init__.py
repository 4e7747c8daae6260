"""From a weights file and a few labels to a model."""
