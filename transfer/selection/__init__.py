"""Choosing how to reuse an encoder: candidates, their validation, and the decision."""
