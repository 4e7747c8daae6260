"""Learning from examples without labels during a transfer."""
