"""Strategies set against each other and against honest baselines."""
