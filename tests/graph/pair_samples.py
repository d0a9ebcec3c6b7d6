"""Pairs as they are at first and as independent dropout leaves them."""

import torch

from gcahng.graph.dense.pairs import Pairs, unordered_pairs


def separated(size: int, share: float = 0.5) -> Pairs:
    """Pairs of which some, chosen at random, have a row for each direction."""
    torch.manual_seed(5)
    differs = torch.rand(size, size).triu(1) > 1 - share
    return unordered_pairs(size, torch.device("cpu")).separate(differs | differs.t())[0]


def every_kind(size: int) -> dict[str, Pairs]:
    """Symmetric pairs, and some and all of them separated."""
    symmetric = unordered_pairs(size, torch.device("cpu"))
    return {"symmetric": symmetric, "some": separated(size), "all": separated(size, 1.0)}
