"""A contact sheet of a data set: one image with a row per class."""

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torchvision.transforms.v2.functional import to_pil_image

from gcahng.data.datasets.base import ImageDataset, RawImage
from gcahng.data.embedded.characters import font_path

TILE = 72
GAP = 4
MARGIN = 20
HEADER = 56
BASELINE = 34
LABEL_SIZE = 13
LABEL_CHARACTERS = 26
BACKGROUND = "white"
TEXT = "#222222"
SUBTITLE = "#777777"


def contact_sheet(
    dataset: ImageDataset, classes: int = 20, per_class: int = 8, seed: int = 0
) -> Image.Image:
    """Draw raw images of random classes, one class per row with its name on the left.

    Args:
        dataset: Any data set, grey or colour, of any image sizes.
        classes: Number of classes; all if the data set has fewer.
        per_class: Maximum number of images per class.
        seed: Seed of the selection.

    Returns:
        An RGB image.

    Raises:
        ValueError: If `classes` or `per_class` is below 1, or the data set is empty.

    Example:
        >>> from gcahng.data import build_dataset
        >>> sheet = contact_sheet(build_dataset("digits", "test"), classes=3, per_class=4)
        >>> sheet.mode, sheet.height
        ('RGB', 300)
    """
    if classes < 1 or per_class < 1 or not len(dataset):
        raise ValueError(
            "A contact sheet needs at least one image, 'classes' >= 1 and 'per_class' >= 1 (got "
            f"{len(dataset)} images, {classes} and {per_class})."
        )
    rng = np.random.default_rng(seed)
    labels = dataset.labels.numpy()
    shown = np.sort(rng.permutation(np.unique(labels))[:classes])
    rows = [rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in shown]
    names = [_wrap(dataset.classes[label]) for label in shown]
    sheet, left = _empty_sheet(dataset, names, max(len(row) for row in rows))
    draw = ImageDraw.Draw(sheet)
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        top = HEADER + number * (TILE + GAP)
        draw.text((MARGIN, top + TILE / 2), name, fill=TEXT, font=_font(LABEL_SIZE), anchor="lm")
        for column, index in enumerate(row):
            tile = _tile(dataset.load(int(index)))
            sheet.paste(tile, (left + column * (TILE + GAP), top))
    return sheet


def _empty_sheet(dataset: ImageDataset, names: list[str], columns: int) -> tuple[Image.Image, int]:
    """Return a sheet with its title, and the x coordinate of the first image."""
    title, subtitle = _font(18, "-Bold"), _font(15)
    facts = f"{dataset.split} split, {dataset.num_classes} classes, {len(dataset)} images"
    facts_left = MARGIN + round(title.getlength(dataset.name)) + 12
    lines = [line for name in names for line in name.split("\n")]
    left = MARGIN + round(max(map(_font(LABEL_SIZE).getlength, lines))) + 4 * GAP
    right = max(left + columns * (TILE + GAP) - GAP, facts_left + round(subtitle.getlength(facts)))
    height = HEADER + len(names) * (TILE + GAP) - GAP + MARGIN
    sheet = Image.new("RGB", (right + MARGIN, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, BASELINE), dataset.name, fill=TEXT, font=title, anchor="ls")
    draw.text((facts_left, BASELINE), facts, fill=SUBTITLE, font=subtitle, anchor="ls")
    return sheet, left


def _wrap(name: str) -> str:
    """Wrap a class name to at most four lines."""
    return "\n".join(textwrap.wrap(name.replace("_", " "), LABEL_CHARACTERS)[:4])


def _tile(image: RawImage) -> Image.Image:
    tile = (image if isinstance(image, Image.Image) else to_pil_image(image)).convert("RGB")
    # Enlarge small images without smoothing; reduce large ones with antialiasing.
    small = max(tile.size) < TILE
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return ImageOps.pad(tile, (TILE, TILE), method, color=BACKGROUND)


def _font(size: int, style: str = "") -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_path(f"DejaVuSans{style}"), size)
