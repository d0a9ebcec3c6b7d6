"""The dense path: the same layers on unordered pairs, computed in chunks of pairs."""
