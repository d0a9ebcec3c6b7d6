"""The dense path: the same layers on unordered pairs, a chunk of pairs at a time."""
