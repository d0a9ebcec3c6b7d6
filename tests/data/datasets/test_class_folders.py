from pathlib import Path

from torchvision.datasets import ImageFolder

from gcahng.data.datasets.class_folders import class_folders, picture_files
from tests.data.trees import folder_tree, photo


def test_class_folders_are_listed_as_image_folder_does(tmp_path: Path) -> None:
    folder_tree(tmp_path, ["b", "B", "a 1", "10", "9"], images=2)
    photo(tmp_path / "b" / "deep" / "x.PNG", 1)
    theirs = ImageFolder(str(tmp_path))
    ours = class_folders(tmp_path)
    assert ours.paths == [path for path, _ in theirs.samples]
    assert ours.names == [theirs.classes[label] for _, label in theirs.samples]
    assert ours.is_query is None


def test_class_folders_pass_over_what_is_hidden_loose_or_empty(tmp_path: Path) -> None:
    folder_tree(tmp_path, ["a"], images=1)
    (tmp_path / "empty").mkdir()
    photo(tmp_path / ".cache" / "0.jpg", 1)
    photo(tmp_path / "loose.jpg", 1)
    listing = class_folders(tmp_path)
    assert (listing.paths, listing.names) == ([f"{tmp_path}/a/0.jpg"], ["a"])
    assert len(listing.notes) == 1
    assert listing.notes[0].endswith("are ignored because they contain no image: empty.")


def test_pictures_are_found_by_suffix_in_order(tmp_path: Path) -> None:
    for name in ("b/1.JPG", "b/deep/2.Png", "a.tiff", "z.webp", "c.GIF", "d.jfif"):
        photo_path = tmp_path / name
        photo_path.parent.mkdir(parents=True, exist_ok=True)
        photo_path.touch()
    for name in (".hidden.jpg", "._a.tiff", "notes.txt", "jpg", ".git/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = [f"e/{letter}" for letter in "hcadgbef"]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.png").touch()
    # A link to the folder itself is an endless cycle.
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = [str(Path(path).relative_to(tmp_path)) for path in picture_files(tmp_path)[0]]
    assert found == ["a.tiff", "c.GIF", "d.jfif", "z.webp", "b/1.JPG", "b/deep/2.Png"] + [
        f"{folder}/1.png" for folder in sorted(folders)
    ]
    linked = tmp_path.with_name(f"{tmp_path.name}-link")
    linked.symlink_to(tmp_path / "b" / "deep")
    assert picture_files(linked)[0] == [str(linked / "2.Png")]
