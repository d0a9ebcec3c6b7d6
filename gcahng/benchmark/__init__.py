"""Measure time and memory of the dense path and of training steps."""
