"""Glyphs: characters in sixteen typefaces, a retrieval task that needs no download."""

import hashlib
import os
import unicodedata
import warnings
import zipfile
import zlib
from pathlib import Path
from uuid import uuid4

import matplotlib
import numpy as np
import PIL
import torch
from torch import Tensor

from gcahng.data.datasets.base import ImageDataset, Transform
from gcahng.data.embedded.characters import FONTS, bitmaps, character_name, distinct_characters
from gcahng.data.embedded.distortions import IMAGE_SIZE, distort

# Increase whenever the same seed gives other pictures.
RECIPE_VERSION = 1
# The division of the characters is the same for every seed: no seed may move a test class.
SPLIT_SEED = 0
TRAIN_CLASSES = 188
TEST_CLASSES = 188
TRAIN_FONTS = 8
PRE_ROUNDS = 3


class Glyphs(ImageDataset):
    """Characters as classes, drawn in matplotlib's fonts, distorted and noisy, 36x36 grey.

    The splits share fonts but no class: `train` has 8 images of each class, in 8 of the 16 fonts;
    `test` has one in each font; `pre` has three in each font, of further classes to warm up a
    network on. The pictures are rendered once, in seconds, and kept under `root/glyphs`.

    Args:
        root: The folder that holds all data sets; None renders in memory and keeps nothing.
        split: 'train', 'test' or 'pre'.
        transform: Maps a uint8 tensor `[1, 36, 36]`; None returns it as it is.
        seed: Of the fonts and distortions, not of the division into splits. Not negative.

    Raises:
        ValueError: If the split is unknown.
    """

    SPLITS = ("train", "test", "pre")
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
        arrays = None if path is None else _read(path)
        if arrays is None:
            arrays = render(split, seed)
            if path is not None:
                _write(path, arrays)
        self.images = torch.from_numpy(arrays["images"])[:, None]
        self.labels = torch.from_numpy(arrays["labels"])
        self.classes = arrays["classes"].tolist()

    def load(self, index: int) -> Tensor:
        """Return the raw image: `[1, 36, 36]` uint8."""
        return self.images[index]


def class_split(num_classes: int) -> dict[str, np.ndarray]:
    """Divide the classes at random: 188 each for `train` and `test`, the rest for `pre`.

    How many characters there are to share out depends a little on the versions of the fonts, of
    Pillow and of Python's Unicode tables; the task itself keeps its size.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(num_classes)
    train, test, pre = np.split(order, np.cumsum([TRAIN_CLASSES, TEST_CLASSES]))
    return {"train": np.sort(train), "test": np.sort(test), "pre": np.sort(pre)}


def render(split: str, seed: int) -> dict[str, np.ndarray]:
    """Draw one split.

    Returns:
        `images` `[N, 36, 36]` uint8, `labels` `[N]` int64 and `classes` `[C]`, the names.
    """
    every = distinct_characters()
    characters = tuple(every[i] for i in class_split(len(every))[split])
    rng = np.random.default_rng([seed, Glyphs.SPLITS.index(split)])
    fonts = np.stack([_choose_fonts(split, rng) for _ in characters])
    clean = np.stack([bitmaps(characters, font) for font in FONTS], axis=1)
    labels = np.repeat(np.arange(len(characters), dtype=np.int64), fonts.shape[1])
    return {
        "images": distort(clean[labels, fonts.flatten()], rng),
        "labels": labels,
        "classes": np.array([character_name(c) for c in characters]),
    }


def _choose_fonts(split: str, rng: np.random.Generator) -> np.ndarray:
    if split == "train":
        return rng.choice(len(FONTS), TRAIN_FONTS, replace=False)
    return np.tile(np.arange(len(FONTS)), PRE_ROUNDS if split == "pre" else 1)


def cache_path(root: Path, split: str, seed: int) -> Path:
    """Return where a split is kept; whatever changes the pictures changes the name."""
    versions = (matplotlib.__version__, PIL.__version__, unicodedata.unidata_version)
    recipe = (RECIPE_VERSION, FONTS, versions)
    digest = hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]
    return root / "glyphs" / f"{split}-seed{seed}-{digest}.npz"


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """Return what `_write` stored, or None (with a warning) where it cannot be read."""
    if not path.exists():
        return None
    try:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in ("images", "labels", "classes")}
        if arrays["images"].shape != (len(arrays["labels"]), IMAGE_SIZE, IMAGE_SIZE):
            raise ValueError(f"images of shape {arrays['images'].shape}")
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        warnings.warn(f"Rendering '{path}' again: it is damaged ({error}).", stacklevel=3)
        return None
    return arrays


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Store a split; a temporary file moves into place, so that no reader meets half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}.npz")
    try:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
