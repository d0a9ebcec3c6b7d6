from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gcahng.data import ClassSubset, FileDataset, Listing
from tests.data.trees import photo


class Given(FileDataset):
    """Photos `root/<class>/<number>.jpg` of the given classes, in the given order."""

    def __init__(self, root: Path | None, names: Sequence[str] = ("b", "a", "b"), **args: Any):
        self.given = names
        super().__init__(root, **args)

    def list_images(self) -> Listing:
        paths = [str(self.folder / name / f"{i}.jpg") for i, name in enumerate(self.given)]
        queries = [i % 2 == 0 for i in range(len(paths))]
        return Listing(paths, list(self.given), queries, ("The list is short.",))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i, name in enumerate("bab"):
        photo(tmp_path / name / f"{i}.jpg", ord(name), i)
    return tmp_path


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def test_classes_are_numbered_by_name_and_images_keep_their_order(root: Path) -> None:
    dataset = Given(root)
    assert dataset.classes == ["a", "b"]
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.labels.dtype == torch.int64
    assert dataset.is_query is not None
    assert dataset.is_query.tolist() == [True, False, True]
    assert dataset.notes == ("The list is short.",)
    assert [Path(path).name for path in dataset.paths] == ["0.jpg", "1.jpg", "2.jpg"]
    assert all(type(path) is str for path in dataset.paths)


def test_stop_names_the_file_and_the_way_out_when_it_is_loaded(root: Path) -> None:
    dataset = Given(root)
    truncate(root / "b" / "0.jpg")
    (root / "a" / "1.jpg").unlink()
    with pytest.raises(ValueError, match=rf"'{root}/b/0.jpg' \(.* with unreadable=skip"):
        dataset[0]
    with pytest.raises(FileNotFoundError, match=rf"^There is no image '{root}/a/1.jpg'; .*=skip"):
        dataset[1]
    assert dataset.load(2).size == (40, 32)


def test_skip_leaves_out_what_cannot_be_read_with_one_warning(root: Path) -> None:
    truncate(root / "b" / "0.jpg")
    (root / "a" / "1.jpg").unlink()
    with pytest.warns(UserWarning, match=rf"^Skipped 2 of 3 .*{root}/a/1.jpg' \(no such file\)"):
        dataset = Given(root, unreadable="skip")
    assert dataset.classes == ["b"]
    assert (dataset.labels.tolist(), dataset.paths) == ([0], [f"{root}/b/2.jpg"])
    assert dataset.is_query is not None
    assert dataset.is_query.tolist() == [True]
    assert dataset.notes == ("The list is short.",)


def test_nothing_left_and_nothing_listed_are_refused(root: Path) -> None:
    names = list("cccccc")
    with (
        pytest.warns(UserWarning, match=r"Skipped 6 of 6 .*/2.jpg' \(no such file\) and 3 more\."),
        pytest.raises(ValueError, match=rf"The train split of Given has no readable .*'{root}'\.$"),
    ):
        Given(root, names, unreadable="skip")
    with pytest.raises(ValueError, match=r"The test split of Given has no readable image"):
        Given(root, [], split="test")


def test_large_photos_are_reduced_for_a_transform(tmp_path: Path) -> None:
    for i, name in enumerate("bab"):
        photo(tmp_path / name / f"{i}.jpg", ord(name), i, size=(640, 480))

    class Size:
        def __init__(self, shortest_side: int | None) -> None:
            self.shortest_side = shortest_side

        def __call__(self, image: Image.Image) -> torch.Tensor:
            return torch.tensor(image.size)

    dataset = Given(tmp_path, transform=Size(200))
    assert dataset[0][0].tolist() == [320, 240]
    # A subset follows its own transform.
    for shortest, expected in ((100, [160, 120]), (None, [640, 480])):
        assert ClassSubset(dataset, [1], Size(shortest))[0][0].tolist() == expected
    assert ClassSubset(dataset, [1])[0][0].size == dataset.load(0).size == (640, 480)
