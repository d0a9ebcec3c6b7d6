"""The characters of the glyphs data set and their bitmaps, from the fonts of matplotlib."""

import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

# Each family's upright regular style comes first.
FAMILIES: dict[str, tuple[str, ...]] = {
    "DejaVuSans": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSerif": ("", "-Bold", "-Italic", "-BoldItalic"),
    "STIXGeneral": ("", "Bol", "Italic", "BolIta"),
}
FONTS = tuple(family + style for family, styles in FAMILIES.items() for style in styles)
UPRIGHT_FONTS = tuple(FAMILIES)

CANVAS = 48
FONT_SIZE = 30
# Letters, numbers, punctuation and symbols, except small ones and simple strokes.
KEPT_CATEGORIES = "LNPS"
DROPPED_CATEGORIES = ("Lm", "Pd", "Pi", "Pf", "Sk")
DROPPED_CHARACTERS = frozenset(".,:;'\"`_|") | {chr(c) for c in range(0x2500, 0x2580)}
# Characters with a mean similarity (over the upright fonts) of at least this are duplicates.
MAX_SIMILARITY = 0.97


def font_path(font: str) -> Path:
    """Return the file of one of `FONTS`."""
    # Imported only to draw, because it takes 0.2 seconds.
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")


def bitmaps(characters: tuple[str, ...], font: str) -> np.ndarray:
    """Render characters in one of `FONTS`, each centred by its ink.

    Returns:
        `[characters, CANVAS, CANVAS]` uint8, ink 255 on 0.
    """
    face = ImageFont.truetype(font_path(font), FONT_SIZE)
    return np.stack([np.asarray(_draw(character, face)) for character in characters])


def _draw(character: str, face: ImageFont.FreeTypeFont) -> Image.Image:
    # Pillow's text bounding box includes the baseline and depends on the layout engine, so render
    # on a larger page and crop to the ink.
    page = Image.new("L", (2 * CANVAS, 2 * CANVAS))
    ImageDraw.Draw(page).text((CANVAS // 2, CANVAS // 2), character, fill=255, font=face)
    ink = page.crop(page.getbbox())
    image = Image.new("L", (CANVAS, CANVAS))
    image.paste(ink, ((CANVAS - ink.width) // 2, (CANVAS - ink.height) // 2))
    return image


@lru_cache(maxsize=1)
def distinct_characters() -> tuple[str, ...]:
    """Return the characters that all fonts contain, without duplicates, in code point order."""
    candidates = _shared_characters()
    similarity = np.mean([_similarity(bitmaps(candidates, f)) for f in UPRIGHT_FONTS], axis=0)
    kept: list[int] = []
    for i in range(len(candidates)):
        if np.all(similarity[i, kept] < MAX_SIMILARITY):
            kept.append(i)
    return tuple(candidates[i] for i in kept)


def _shared_characters() -> tuple[str, ...]:
    from matplotlib.ft2font import FT2Font

    code_points = set.intersection(*(set(FT2Font(font_path(f)).get_charmap()) for f in FONTS))
    return tuple(c for c in map(chr, sorted(code_points)) if _is_candidate(c))


def _is_candidate(character: str) -> bool:
    category = unicodedata.category(character)
    return (
        category[0] in KEPT_CATEGORIES
        and category not in DROPPED_CATEGORIES
        and character not in DROPPED_CHARACTERS
    )


def _similarity(images: np.ndarray) -> np.ndarray:
    """Cosine similarity `[N, N]` of bitmaps, blurred slightly to tolerate shifts of a pixel."""
    blur = ImageFilter.GaussianBlur(1)
    soft = np.stack([np.asarray(Image.fromarray(image).filter(blur)) for image in images])
    rows = soft.reshape(len(soft), -1).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def character_name(character: str) -> str:
    """Return a name such as `U+00E9 LATIN SMALL LETTER E WITH ACUTE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character)}"
