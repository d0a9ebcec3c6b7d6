"""Artificial photographs, to measure the step of an experiment whose data set is not here."""

import io

import numpy as np
import torch
from PIL import Image

from gcahng.data import ImageDataset
from gcahng.pictures import decode_image

# A common size of the photographs in the four published data sets.
PHOTO_SIZE = (500, 375)


class DrawnPhotos(ImageDataset):
    """JPEG files with the size and texture of photographs.

    Args:
        classes: How many classes.
        samples: How many pictures per class; all classes share the same files.
    """

    transform_name = "imagenet"

    def __init__(self, classes: int, samples: int) -> None:
        super().__init__(None, "train")
        self.classes = [str(number) for number in range(classes)]
        self.labels = torch.arange(classes).repeat_interleave(samples)
        rng = np.random.default_rng(0)
        self.files = [_jpeg(rng) for _ in range(8)]

    def load(self, index: int) -> Image.Image:
        """Decode a JPEG file."""
        return decode_image(self.files[index % len(self.files)])

    def load_reduced(self, index: int, shortest: int) -> Image.Image:
        """Decode a JPEG file, at a reduced size if it is large."""
        return decode_image(self.files[index % len(self.files)], shortest=shortest)


def _jpeg(rng: np.random.Generator) -> bytes:
    width, height = PHOTO_SIZE
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = smooth + rng.integers(-12, 13, smooth.shape)
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()
