"""Embed data sets and measure retrieval."""
