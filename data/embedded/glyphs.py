"""Glyphs: rendered characters in sixteen typefaces, a retrieval task that needs no download."""

import hashlib
import unicodedata
import zipfile
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gcahng.data.datasets.base import ImageDataset, Transform
from gcahng.files import atomic_write

# Increment whenever the same seed renders different images.
RECIPE_VERSION = 1
# The class split is independent of the data set's seed, so test classes never change.
SPLIT_SEED = 0
TRAIN_CLASSES = 188
TEST_CLASSES = 188
TRAIN_FONTS = 8
WARM_START_IMAGES_PER_FONT = 3
# The distortions.
IMAGE_SIZE = 36
ROTATION = np.deg2rad(10)
SCALE = (0.9, 1.1)
STRETCH = 0.1  # maximum change of the log width
SHEAR = 0.1
SHIFT = 0.04  # fraction of the canvas width
FOREGROUND = (0.6, 1.0)
BACKGROUND = (0.0, 0.3)
TEXTURE_GRID = 5
TEXTURE = (0.0, 0.15)
NOISE = (0.02, 0.1)
CHUNK = 1024  # images processed at a time, to bound memory

FAMILIES: dict[str, tuple[str, ...]] = {
    "DejaVuSans": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSerif": ("", "-Bold", "-Italic", "-BoldItalic"),
    "STIXGeneral": ("", "Bol", "Italic", "BolIta"),
}
FONTS = tuple(family + style for family, styles in FAMILIES.items() for style in styles)

CANVAS = 48
FONT_SIZE = 30
# The letters, numbers, punctuation and symbols that all fonts have, except small ones and simple
# strokes. Of characters that look alike (their blurred bitmaps have a cosine similarity of at least
# 0.97, the mean over the upright fonts) there is the first.
CHARACTERS = (
    "!#$%&()*+/0123456789<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]abcdefghijklmnopqrstuvwxyz{}~¡¢£¤¥"
    "¦§©ª¬®°±²³µ¶·¹º¼½¾¿ÀÄÅÆÇÈËÌÍÏÐÑÒÖ×ØÙÜÝÞßàáâãåæçèéêëìíîïðñòóôõ÷øùúûüýþÿĀĂĄąĆćĈĉċčĎďđĒĔĕėĘ"
    "ęĜĝĞğġĢģĤĥĦħĩĪīĬĭĮįİıĲĳĴĵĶķĸĹĺĻļĽľĿŀŁłńŅņňŉŊŋŎŏŐŒœŔŕŖŗřŚśŝŞşšŢţŤťŦŧŬŭŮůŰŲųŴŵŶŷŸŹźŻżžſƀƈƐ"
    "ƒƕƙƚƛƞƠơƥƪƫƭƯưƺƻƾǀǁǂǃǼǽǾǿȷɐɑɒɓɔɕɖɗɘəɚɛɜɝɞɟɠɡɢɣɤɥɦɧɨɩɪɫɬɭɮɯɰɱɲɳɴɵɶɷɸɹɺɻɼɽɾɿʀʁʂʃʄʅʆʇʈʉʊʋʌʍ"
    "ʎʏʐʑʒʓʔʕʖʗʘʙʚʛʜʝʞʟʠʡʢʣʤʥʦʧʨΆΈΉΊΌΎΏΐΓΔΘΛΞΠΣΥΦΨΩΫάέήίΰαβγδζηθικλνξπρςστυφχψωϊϋύώϐϑϒϕϖϘϙϚϛϝ"
    "ϞϟϠϡϰϱϴϵ϶ЂЃЄЉЊЋЌЎЏБГДЖЗИЙКЛУФЦЧШЩЪЫЬЭЮЯбгджийлмнтфцчшщъыьэюяђѓєљњћќўџѢѣҐґẁẃẄẅỳ‚„†‡•…‰‱‾€"
    "№™∂−␣ﬁﬂ"
)


class Glyphs(ImageDataset):
    """Characters as classes: 36x36 grey images of matplotlib's fonts with distortions and noise.

    The splits share fonts but no classes. Images per class: `train` 8, in 8 of the 16 fonts;
    `test` 16, one per font; `warm_start` 48, three per font, for `embedder.warm_start`. They are
    rendered once (seconds) and cached under `root/glyphs`.

    Args:
        root: The folder that holds all data sets; None renders in memory without a cache.
        split: 'train', 'test' or 'warm_start'.
        transform: Applied to a uint8 tensor `[1, 36, 36]`; None returns the tensor unchanged.
        seed: Seed ≥ 0 of the fonts and distortions; the class split does not depend on it.

    Raises:
        ValueError: If the split is unknown.

    Example:
        >>> Glyphs.SPLITS
        ('train', 'test', 'warm_start')
        >>> Glyphs(split="val")
        Traceback (most recent call last):
            ...
        ValueError: Glyphs has no split 'val': choose one of train, test, warm_start.
    """

    SPLITS = ("train", "test", "warm_start")
    transform_name = "glyphs"

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "train",
        transform: Transform | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(root, split, transform)
        self.seed = seed
        path = None if self.root is None else cache_path(self.root, split, seed)
        if path is not None and path.exists():
            try:
                with np.load(path) as stored:
                    arrays = dict(stored)
            except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
                raise ValueError(f"'{path}' is damaged ({error}): delete it.") from error
        else:
            arrays = render(split, seed)
            if path is not None:
                with atomic_write(path) as temporary:
                    np.savez(temporary, **arrays)  # type: ignore[arg-type]
        self.images = torch.from_numpy(arrays["images"])[:, None]
        self.labels = torch.from_numpy(arrays["labels"])
        self.classes = arrays["classes"].tolist()

    def load(self, index: int) -> Tensor:
        """Return the raw image: `[1, 36, 36]` uint8."""
        return self.images[index]


def render(split: str, seed: int) -> dict[str, np.ndarray]:
    """Render `images` `[N, 36, 36]` uint8, `labels` `[N]` int64 and `classes` `[C]` of a split."""
    number = Glyphs.SPLITS.index(split)
    # 188 classes each for `train` and `test`, the rest for `warm_start`.
    order = np.random.default_rng(SPLIT_SEED).permutation(len(CHARACTERS))
    part = np.split(order, np.cumsum([TRAIN_CLASSES, TEST_CLASSES]))[number]
    characters = "".join(CHARACTERS[i] for i in np.sort(part))
    rng = np.random.default_rng([seed, number])
    if split == "train":
        fonts = np.stack([rng.choice(len(FONTS), TRAIN_FONTS, replace=False) for _ in characters])
    else:
        repeats = WARM_START_IMAGES_PER_FONT if split == "warm_start" else 1
        fonts = np.tile(np.arange(len(FONTS)), (len(characters), repeats))
    clean = np.stack([bitmaps(characters, font) for font in FONTS], axis=1)
    labels = np.repeat(np.arange(len(characters), dtype=np.int64), fonts.shape[1])
    drawn = clean[labels, fonts.flatten()]
    chunks = [drawn[i : i + CHUNK] for i in range(0, len(drawn), CHUNK)]
    return {
        "images": np.concatenate([_paint(_warp(chunk, rng), rng) for chunk in chunks]),
        "labels": labels,
        "classes": np.array([f"U+{ord(c):04X} {unicodedata.name(c)}" for c in characters]),
    }


def cache_path(root: Path, split: str, seed: int) -> Path:
    """Return the cache file of a split; its name depends on everything that affects the images."""
    versions = (version("matplotlib"), PIL.__version__, unicodedata.unidata_version)
    digest = hashlib.sha256(repr((RECIPE_VERSION, FONTS, versions)).encode()).hexdigest()[:12]
    return root / "glyphs" / f"{split}-seed{seed}-{digest}.npz"


def _warp(clean: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Apply a random affine map: `[N, 1, IMAGE_SIZE, IMAGE_SIZE]` in [0, 1]."""
    n = len(clean)
    angle = rng.uniform(-ROTATION, ROTATION, n)
    shear = rng.uniform(-SHEAR, SHEAR, n)
    height = rng.uniform(*SCALE, n)
    width = height * np.exp(rng.uniform(-STRETCH, STRETCH, n))
    # `affine_grid` expects the inverse map, from output to input, in coordinates -1 to 1.
    shift = rng.uniform(-2 * SHIFT, 2 * SHIFT, (n, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    across = [cos / width, (shear * cos - sin) / width, shift[:, 0]]
    down = [sin / height, (shear * sin + cos) / height, shift[:, 1]]
    theta = torch.from_numpy(np.stack([np.stack(across, 1), np.stack(down, 1)], 1)).float()
    grid = F.affine_grid(theta, [n, 1, IMAGE_SIZE, IMAGE_SIZE], align_corners=False)
    ink = torch.from_numpy(clean)[:, None].float() / 255
    return F.grid_sample(ink, grid, align_corners=False)


def _paint(ink: Tensor, rng: np.random.Generator) -> np.ndarray:
    """Add grey levels, background texture and noise: `[N, IMAGE_SIZE, IMAGE_SIZE]` uint8."""
    n, size = len(ink), IMAGE_SIZE
    foreground, background = (_tone(rng, span, n) for span in (FOREGROUND, BACKGROUND))
    coarse = torch.from_numpy(rng.uniform(-1, 1, (n, 1, TEXTURE_GRID, TEXTURE_GRID))).float()
    smooth = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    grain = torch.from_numpy(rng.standard_normal((n, 1, size, size), dtype=np.float32))
    background = background + _tone(rng, TEXTURE, n) * smooth
    image = background + ink * (foreground - background) + _tone(rng, NOISE, n) * grain
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).squeeze(1).numpy()


def _tone(rng: np.random.Generator, span: tuple[float, float], n: int) -> Tensor:
    return torch.from_numpy(rng.uniform(*span, (n, 1, 1, 1))).float()


def bitmaps(characters: str, font: str) -> np.ndarray:
    """Render characters in one of `FONTS`, centred: `[N, CANVAS, CANVAS]`, ink 255 on 0."""
    import matplotlib  # only to draw, because it takes 0.2 seconds

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    face = ImageFont.truetype(path, FONT_SIZE)
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
