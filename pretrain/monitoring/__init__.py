"""Watching a run: collapse, probes, curves and pictures."""
