import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder

from gcahng.data import CUB, SOP, Cars, InShop, PublishedDataset, Size
from gcahng.data.datasets.published_dataset import read_rows
from tests.data.trees import cars_split_tree, cars_tree, cub_tree, inshop_tree, sop_tree

TREES = [(CUB, cub_tree), (Cars, cars_tree), (Cars, cars_split_tree), (SOP, sop_tree)]
ALL = [*TREES, (InShop, inshop_tree)]
Build = Callable[..., Path]


def bird_folders(home: Path) -> Iterator[tuple[str, str, Path]]:
    """Images and the class folders that the published conversion scripts copy them to."""
    for folder in (home / "images").iterdir():
        split = "train" if int(folder.name.split(".")[0]) <= 100 else "test"
        yield from ((split, folder.name, image) for image in folder.iterdir())


def item_folders(home: Path) -> Iterator[tuple[str, str, Path]]:
    for split in ("train", "test"):
        with (home / f"Ebay_{split}.txt").open() as file:
            for row in list(file)[1:]:
                name = row[-20:-7].rstrip("_").lstrip("/")
                yield split, name, home / row.split()[3]


def car_folders(home: Path) -> Iterator[tuple[str, str, Path]]:
    from scipy.io import loadmat

    data = loadmat(home / "cars_annos.mat")
    annotations, names = data["annotations"], data["class_names"]
    for i in range(annotations.shape[1]):
        number = int(annotations[0, i][5][0, 0])
        name = str(names[0, number - 1][0]).replace(" ", "_").replace("/", "")
        image = home / str(annotations[0, i][0])[2:-2]
        yield "train" if number <= 98 else "test", name, image


def contents(dataset: PublishedDataset) -> set[tuple[int, bytes]]:
    labels = dataset.labels.tolist()
    return {(label, dataset.load(i).tobytes()) for i, label in enumerate(labels)}


@pytest.mark.parametrize(
    ("dataset", "build", "folders", "name"),
    [
        (CUB, cub_tree, bird_folders, "CUB200"),
        (Cars, cars_tree, car_folders, "CARS196"),
        (SOP, sop_tree, item_folders, "SOP"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_archive_and_converted_layout_give_the_same_numbering_and_images(
    tmp_path: Path,
    dataset: type[PublishedDataset],
    build: Build,
    folders: Callable[[Path], Iterator[tuple[str, str, Path]]],
    name: str,
    split: str,
) -> None:
    home = build(tmp_path / "archive", train=5, test=4)
    for part, folder, image in folders(home):
        target = tmp_path / "converted" / name / "class" / part / folder
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, target)
    original = dataset(tmp_path / "archive", split)
    converted = dataset(tmp_path / "converted", split)
    published = ImageFolder(str(tmp_path / "converted" / name / "class" / split))
    assert converted.classes == published.classes
    assert list(zip(converted.paths, converted.labels.tolist(), strict=True)) == published.samples
    # SOP's archive names a class by its item number only; the category is added.
    assert [label.split()[0] for label in original.classes] == converted.classes
    assert len(original) == (10 if split == "train" else 8)
    assert contents(original) == contents(converted)


@pytest.mark.parametrize(("dataset", "build"), ALL)
def test_root_is_the_folder_of_all_data_sets_or_the_own(
    tmp_path: Path, dataset: type[PublishedDataset], build: Build
) -> None:
    home = build(tmp_path / "all")
    expected = dataset(home).paths
    assert expected
    assert dataset(str(tmp_path / "all")).paths == expected


@pytest.mark.parametrize(
    ("dataset", "build", "place"),
    [
        (CUB, cub_tree, "CUB200/original/CUB_200_2011"),
        (Cars, cars_split_tree, "Stanford Cars"),
        (InShop, inshop_tree, "IN_SHOP"),
        (InShop, inshop_tree, "DeepFashion/In-shop Clothes Retrieval Benchmark"),
    ],
)
def test_folders_may_be_called_what_is_usual(
    tmp_path: Path, dataset: type[PublishedDataset], build: Build, place: str
) -> None:
    home = build(tmp_path / "elsewhere")
    (tmp_path / "all" / place).parent.mkdir(parents=True)
    home.rename(tmp_path / "all" / place)
    paths = dataset(tmp_path / "all").paths
    assert all(path.startswith(str(tmp_path / "all" / place)) for path in paths)
    assert not dataset.find(tmp_path / "elsewhere")


def test_an_absent_data_set_says_what_was_looked_for_and_where_to_get_it(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=f"There is no CUB in '{root}' .* Get CUB_"):
            CUB(root)


def test_an_incomplete_data_set_says_what_it_lacks(tmp_path: Path) -> None:
    home = cub_tree(tmp_path)
    shutil.rmtree(home / "images")
    (home / "classes.txt").unlink()
    with pytest.raises(FileNotFoundError, match=rf"\('{home}' lacks classes.txt and images/\)"):
        CUB(tmp_path)


def test_rows_are_split_at_blanks_and_the_last_column_keeps_its_own(tmp_path: Path) -> None:
    table = tmp_path / "table.txt"
    table.write_text("header\n\n1   a/b.jpg \n2\tc d.jpg\r\n")
    assert list(read_rows(table, 2, skip=1)) == [["1", "a/b.jpg"], ["2", "c d.jpg"]]
    with pytest.raises(ValueError, match=f"^{table}:1: expected 2 columns separated by spaces"):
        list(read_rows(table, 2))


@pytest.mark.dataset
@pytest.mark.parametrize("dataset", [CUB, Cars, SOP, InShop])
def test_the_real_archive_has_the_published_size(dataset: type[PublishedDataset]) -> None:
    root = os.environ.get("GCAHNG_DATA", "datasets")
    if dataset.find(root) is None:
        pytest.skip(f"{dataset.__name__} is not in '{root}'")
    train, test = dataset(root), dataset(root, "test")
    assert Size(len(train), train.num_classes) == dataset.expected["train"]
    parts = {name: size.images for name, size in dataset.expected.items() if name != "train"}
    assert len(test) == sum(parts.values())
