"""Tiny data sets on disk in the layouts of the real archives.

Each class has a colour, so that photos reveal their class. The class numbers are next to the real
border between training and test classes.
"""

import colorsys
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

Pixels = tuple[int, int]
SIZE = (40, 32)
GOLDEN_RATIO = 0.618
CAR_CLASSES = 196
BOXES = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]
HEADER = "image_id class_id super_class_id path"


def photo(path: Path, number: int, image: int = 0, size: Pixels = SIZE, **options: object) -> None:
    """Save an image in the colour of class `number`, slightly different for each image."""
    hue, value = number * GOLDEN_RATIO % 1, 0.95 - 0.1 * (image % 5)
    rgb = np.multiply(colorsys.hsv_to_rgb(hue, 0.9, value), 255)
    noise = np.random.default_rng([number, image]).integers(-8, 9, (size[1], size[0], 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = Image.fromarray((rgb + noise).clip(0, 255).astype(np.uint8))
    pixels.save(path, **options)


def numbers(train: int, test: int, last: int) -> list[int]:
    """Return the class numbers on either side of the last training class."""
    return list(range(last - train + 1, last + test + 1))


def cub_tree(
    root: Path, train: int = 3, test: int = 2, images: int = 2, size: Pixels = SIZE
) -> Path:
    """CUB_200_2011.tgz; its train_test_split.txt splits images, not classes."""
    home = root / "CUB_200_2011"
    listed, labels, classes, division = [], [], [], []
    for number in numbers(train, test, 100):
        name = f"{number:03}.Bird_of_{number}"
        classes.append(f"{number} {name}")
        for image in range(images):
            path = f"{name}/Bird_of_{number}_{image:04}_{number * 10 + image}.jpg"
            photo(home / "images" / path, number, image, size)
            listed.append(f"{len(listed) + 1} {path}")
            labels.append(f"{len(listed)} {number}")
            division.append(f"{len(listed)} {image % 2}")
    _write(home / "images.txt", listed)
    _write(home / "image_class_labels.txt", labels)
    _write(home / "classes.txt", classes)
    _write(home / "train_test_split.txt", division)
    return home


def car_names() -> list[str]:
    """Names not sorted by class number, some with characters that the conversion removes."""
    makes = ["Ram C/V", "AM General", "Volvo", "Audi TT"]
    return [f"{makes[i % 4]} Model {i + 1} 2012" for i in range(CAR_CLASSES)]


def cars_tree(
    root: Path, train: int = 3, test: int = 2, images: int = 2, size: Pixels = SIZE
) -> Path:
    """The archive with all images in `car_ims/` and one annotation file."""
    home = root / "cars196"
    rows = []
    for number in numbers(train, test, 98):
        for image in range(images):
            path = f"car_ims/{len(rows) + 1:06}.jpg"
            photo(home / path, number, image, size)
            rows.append((path, 1, 1, *size, number, image % 2))
    fields = ["relative_im_path", *BOXES, "class", "test"]
    savemat(
        home / "cars_annos.mat", {"annotations": _struct(rows, fields), "class_names": _names()}
    )
    return home


def cars_split_tree(
    root: Path,
    train: int = 3,
    test: int = 2,
    images: int = 2,
    size: Pixels = SIZE,
    nested: bool = False,
    labels: str | None = "",
) -> Path:
    """The archives with the original train and test folders, `nested` in each other as on Kaggle.

    `labels` is the folder of the labelled test annotations; None leaves them out.
    """
    home = root / "stanford_cars"
    (home / "devkit").mkdir(parents=True)
    halves: dict[str, list[tuple[object, ...]]] = {"cars_train": [], "cars_test": []}
    for number in numbers(train, test, 98):
        for image in range(images):
            half = ("cars_train", "cars_test")[image % 2]
            file = f"{len(halves[half]) + 1:05}.jpg"
            folder = home / half / half if nested else home / half
            photo(folder / file, number, image, size)
            halves[half].append((1, 1, *size, number, file))
    fields = [*BOXES, "class", "fname"]
    savemat(home / "devkit" / "cars_meta.mat", {"class_names": _names()})
    known = {"annotations": _struct(halves["cars_train"], fields)}
    savemat(home / "devkit" / "cars_train_annos.mat", known)
    blind = [(*row[:4], row[5]) for row in halves["cars_test"]]
    unknown = {"annotations": _struct(blind, [*BOXES, "fname"])}
    savemat(home / "devkit" / "cars_test_annos.mat", unknown)
    if labels is not None:
        known = {"annotations": _struct(halves["cars_test"], fields)}
        savemat(home / labels / "cars_test_annos_withlabels.mat", known)
    return home


def sop_tree(
    root: Path, train: int = 3, test: int = 2, images: int = 2, size: Pixels = SIZE
) -> Path:
    """Stanford_Online_Products.zip; item numbers decrease as class numbers increase."""
    home = root / "Stanford_Online_Products"
    tables: dict[str, list[str]] = {"train": [HEADER], "test": [HEADER]}
    count = 0
    for number in numbers(train, test, 11318):
        group = number % 2
        for image in range(images):
            count += 1
            folder = ("bicycle_final", "coffee_maker_final")[group]
            path = f"{folder}/{111085200000 - number}_{image}.JPG"
            photo(home / path, number, image, size)
            split = "train" if number <= 11318 else "test"
            tables[split].append(f"{count} {number} {group + 1} {path}")
    for split, lines in tables.items():
        _write(home / f"Ebay_{split}.txt", lines)
    return home


def inshop_tree(
    root: Path,
    train: int = 3,
    test: int = 2,
    images: int = 2,
    size: Pixels = SIZE,
    folder: str = "",
    partition: str = "",
) -> Path:
    """DeepFashion's In-shop data set; a test item has `images` queries and as many gallery images.

    `folder` holds `img/` (nothing, or `Img`), `partition` the list (nothing, or `Eval`).
    """
    home = root / "In-shop Clothes Retrieval Benchmark"
    rows = []
    # In reverse order, because the real list is not sorted by item.
    for number in reversed(range(2, train + test + 2)):
        item = f"id_{number:08}"
        roles = ["train"] if number < train + 2 else ["query", "gallery"]
        for image in range(images * len(roles)):
            path = f"img/WOMEN/Dresses/{item}/{image + 1:02}_1_front.jpg"
            photo(home / folder / path, number, image, size)
            rows.append(f"{path:<60} {item} {roles[image % len(roles)]}")
    header = ["image_name item_id evaluation_status"]
    _write(home / partition / "list_eval_partition.txt", [str(len(rows)), *header, *rows])
    return home


def folder_tree(
    home: Path, classes: Sequence[str] = ("a", "b", "c", "d"), images: int = 2, size: Pixels = SIZE
) -> Path:
    """One folder of images per class; the colours depend on the names."""
    for name in classes:
        for image in range(images):
            photo(home / name / f"{image}.jpg", sum(map(ord, name)), image, size)
    return home


def csv_tree(
    home: Path,
    train: int = 2,
    test: int = 2,
    images: int = 2,
    size: Pixels = SIZE,
    roles: bool = False,
) -> Path:
    """`list.csv`, with a column is_query for `roles`, and a folder of images.

    Every class's first image is a query.
    """
    rows = [["path", "label", "split", *(["is_query"] if roles else []), "remark"]]
    for number in range(train + test):
        for image in range(images):
            path = f"photos/{number}_{image}.png"
            photo(home / path, number, image, size)
            split = "train" if number < train else "test"
            cells = [str(image == 0).lower()] if roles else []
            rows.append([path, f"class {number}", split, *cells, ""])
    with (home / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return home


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _struct(rows: Sequence[tuple[object, ...]], fields: Sequence[str]) -> np.ndarray:
    """MATLAB's struct array, `[1, N]`."""
    return np.array([rows], dtype=[(field, object) for field in fields])


def _names() -> np.ndarray:
    cells = np.empty((1, CAR_CLASSES), dtype=object)
    cells[0] = car_names()
    return cells


def hugging_face(
    root: Path, names: Sequence[str] | Mapping[str, Sequence[str]] = ("ant", "bee", "cat", "dog")
) -> Path:
    """Save a data set of the library `datasets`: three images of each class, 12 × 8 pixels.

    `names` are its classes; by the name of a split, if it has several.
    """
    import datasets

    splits = names if isinstance(names, Mapping) else {"": names}
    known = sorted({name for classes in splits.values() for name in classes})
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=known)}
    )
    made = {}
    for split, classes in splits.items():
        labels = [known.index(name) for name in classes for _ in range(3)]
        images = [
            Image.new("RGB", (12, 8), (row, 40 * row % 256, 90)) for row in range(len(labels))
        ]
        made[split] = datasets.Dataset.from_dict({"image": images, "label": labels}, features)
    whole = made[""] if "" in made else datasets.DatasetDict(made)
    whole.save_to_disk(root)
    return root
