"""InShop: DeepFashion's In-shop Clothes Retrieval, with separate queries and gallery."""

from pathlib import Path
from typing import ClassVar

from gcahng.data.datasets.files import Listing
from gcahng.data.datasets.published_dataset import DiskLayout, PublishedDataset, Size, read_rows

PARTITION = "list_eval_partition.txt"
HOMEPAGE = "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html"


def _read(home: Path, split: str) -> Listing:
    """List a partition file: the number of rows, a header, then rows of path, item and status."""
    partition = next(p for p in (home / PARTITION, home / "Eval" / PARTITION) if p.is_file())
    # Check Img/ first: on a case-insensitive file system, `home / "img"` is also Img/.
    images = home / "Img" if (home / "Img" / "img").is_dir() else home
    paths, names, is_query = [], [], []
    for path, item, status in read_rows(partition, 3, skip=2):
        if (status == "train") == (split == "train"):
            paths.append(str(images / path))
            names.append(item)
            is_query.append(status == "query")
    return Listing(paths, names, is_query if split == "test" else None)


class InShop(PublishedDataset):
    """In-shop Clothes Retrieval: 3,997 classes (items) for training, 3,985 for testing.

    The arguments are those of `PublishedDataset`. The test split contains queries and gallery;
    `is_query` separates them.

    Source: Liu et al. (CVPR 2016).

    Example:
        >>> InShop("missing", split="test")
        Traceback (most recent call last):
            ...
        FileNotFoundError: There is no InShop in 'missing' or ... Request access as described on ...
    """

    folders = ("In-shop Clothes Retrieval Benchmark", "In-shop", "DeepFashion")
    layouts = (DiskLayout((PARTITION,), _read), DiskLayout((f"Eval/{PARTITION}",), _read))
    expected: ClassVar = {
        "train": Size(25882, 3997),
        "query": Size(14218, 3985),
        "gallery": Size(12612, 3985),
    }
    instructions = (
        f"Request access as described on {HOMEPAGE}, then put list_eval_partition.txt and the "
        "unpacked img/ there."
    )

    @staticmethod
    def class_order(name: str) -> tuple[int, str]:
        """Sort by item number, as the published code does."""
        return int(name.rpartition("_")[2]), name
