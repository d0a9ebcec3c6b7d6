"""A data set of flat colour images that needs no file."""

from collections.abc import Sequence

import torch
from PIL import Image

from gcahng.data import ImageDataset, Transform


class Toy(ImageDataset):
    SPLITS = ("train", "test")
    transform_name = "glyphs"

    def __init__(
        self,
        counts: Sequence[int] = (3, 2, 4, 2),
        transform: Transform | None = None,
        split: str = "train",
    ) -> None:
        super().__init__(None, split, transform)
        self.labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        self.classes = [f"class_{i}" for i in range(len(counts))]
        self.is_query = torch.arange(len(self.labels)) % 2 == 0

    def load(self, index: int) -> Image.Image:
        return Image.new("RGB", (100, 60), (index, 0, int(self.labels[index])))
