"""The one training loop, for pretraining and transfer alike."""
