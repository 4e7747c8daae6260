"""Training a transfer: the stages, frozen heads, and the learning-rate finder."""
