"""Embed a data set and measure retrieval on it."""
