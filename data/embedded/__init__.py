"""Data sets that need no download."""

from gcahng.data.embedded.digits import Digits
from gcahng.data.embedded.glyphs import Glyphs

__all__ = ["Digits", "Glyphs"]
