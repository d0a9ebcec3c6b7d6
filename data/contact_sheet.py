"""A picture of a data set: one row per class."""

import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torchvision.transforms.v2.functional import to_pil_image

from gcahng.data.datasets.base import ImageDataset, RawImage

TILE = 72
GAP = 4
MARGIN = 20
HEADER = 56
BASELINE = 34
LABEL_SIZE = 13
LABEL_CHARACTERS = 26
PAPER = "white"
TEXT = "#222222"
FAINT = "#777777"


def contact_sheet(
    dataset: ImageDataset, classes: int = 20, per_class: int = 8, seed: int = 0
) -> Image.Image:
    """Lay out raw images of some classes, a class per row with its name at the left.

    Args:
        dataset: Any data set, grey or colour, of any image sizes.
        classes: How many classes to draw at random; all where there are fewer.
        per_class: How many images of each, at most.
        seed: The same seed draws the same images.

    Returns:
        An RGB picture.

    Raises:
        ValueError: If `classes` or `per_class` is below 1, or the data set is empty.
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
    sheet, left = _paper(dataset, names, max(len(row) for row in rows))
    draw = ImageDraw.Draw(sheet)
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        top = HEADER + number * (TILE + GAP)
        draw.text((MARGIN, top + TILE / 2), name, fill=TEXT, font=_font(LABEL_SIZE), anchor="lm")
        for column, index in enumerate(row):
            tile = _tile(dataset.load(int(index)))
            sheet.paste(tile, (left + column * (TILE + GAP), top))
    return sheet


def _paper(dataset: ImageDataset, names: list[str], columns: int) -> tuple[Image.Image, int]:
    """Return an empty sheet with its title, and where the images begin."""
    title, subtitle = _font(18, "-Bold"), _font(15)
    facts = f"{dataset.split} split, {dataset.num_classes} classes, {len(dataset)} images"
    facts_left = MARGIN + round(title.getlength(dataset.name)) + 12
    lines = [line for name in names for line in name.split("\n")]
    left = MARGIN + round(max(map(_font(LABEL_SIZE).getlength, lines))) + 4 * GAP
    right = max(left + columns * (TILE + GAP) - GAP, facts_left + round(subtitle.getlength(facts)))
    height = HEADER + len(names) * (TILE + GAP) - GAP + MARGIN
    sheet = Image.new("RGB", (right + MARGIN, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, BASELINE), dataset.name, fill=TEXT, font=title, anchor="ls")
    draw.text((facts_left, BASELINE), facts, fill=FAINT, font=subtitle, anchor="ls")
    return sheet, left


def _wrap(name: str) -> str:
    """Break a class name into at most four lines."""
    return "\n".join(textwrap.wrap(name.replace("_", " "), LABEL_CHARACTERS)[:4])


def _tile(image: RawImage) -> Image.Image:
    picture = (image if isinstance(image, Image.Image) else to_pil_image(image)).convert("RGB")
    # Small pictures keep their pixels visible; large ones are reduced smoothly.
    small = max(picture.size) < TILE
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return ImageOps.pad(picture, (TILE, TILE), method, color=PAPER)


def _font(size: int, style: str = "") -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    return ImageFont.truetype(folder / f"DejaVuSans{style}.ttf", size)
