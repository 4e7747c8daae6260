"""Measures of predictions, calibration by temperature, and the cheap baseline."""
