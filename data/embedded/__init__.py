"""Data that needs no download."""

from data.embedded.digits import Digits
from data.embedded.glyphs import Glyphs

__all__ = ["Digits", "Glyphs"]
