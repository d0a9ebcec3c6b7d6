"""Making the data set from packages that the tests draw."""

import re
import sys
from pathlib import Path

import pytest

from gcahng.data import Emoji
from gcahng.data.emoji.build import build_emoji
from gcahng.data.verification import verify
from tests.data.emoji.drawn import four_packages


def _tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_the_pictures_are_a_data_set(tmp_path: Path) -> None:
    packages = four_packages(tmp_path)
    seen: list[tuple[int, int | None]] = []
    home = build_emoji(tmp_path, lambda *done: seen.append(done), packages)
    assert home == tmp_path / "emoji"
    assert seen == [*((i, 4) for i in range(1, 5)), *((i, 16) for i in range(1, 17))]
    train, test = Emoji(tmp_path), Emoji(tmp_path, "test")
    assert sorted(train.classes + test.classes) == ["cat", "dog", "octopus", "owl"]
    assert len(train) + len(test) == 16
    colours = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}
    for index, path in enumerate(train.paths):
        image = train.load(index)
        assert image.size == (96, 96)
        assert image.getpixel((48, 48)) == colours[Path(path).stem]
        assert image.getpixel((0, 0)) == (255, 255, 255)
    text = (home / "ATTRIBUTION.md").read_text()
    assert "- `red.png`: Round Things by A. Painter (https://example.org), CC BY 4.0" in text
    assert all((tmp_path / package.file).exists() for package in packages), "they are the user's"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupted_build_goes_on(tmp_path: Path) -> None:
    packages = four_packages(tmp_path)

    def stop(done: int, total: int | None) -> None:
        if (done, total) == (7, 16):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_emoji(tmp_path, stop, packages)
    with pytest.raises(FileNotFoundError, match="There is no Emoji in"):
        Emoji(tmp_path)
    (unfinished,) = (path for path in tmp_path.iterdir() if path.name.startswith(".emoji-"))
    first = {name: (unfinished / name).stat().st_mtime_ns for name in _tree(unfinished)}
    assert len(first) == 7
    home = build_emoji(tmp_path, None, packages)
    assert len(_tree(home)) == 16
    assert all((home / name).stat().st_mtime_ns == time for name, time in first.items())
    assert not unfinished.exists()


def test_another_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "emoji").mkdir()
    sentence = f"'{tmp_path / 'emoji'}' is not a complete data set: move it away and fetch again"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        build_emoji(tmp_path, None, four_packages(tmp_path))


def test_without_the_renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    sentence = "^rendering emoji needs resvg-py, which is not installed: pip install resvg-py$"
    with pytest.raises(ImportError, match=sentence):
        build_emoji(tmp_path, None, four_packages(tmp_path / "other"))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_another_data_set_is_not_taken_for_it(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"Make it with: gcahng data fetch emoji --root"):
        Emoji(tmp_path)
    build_emoji(tmp_path, None, four_packages(tmp_path))
    result = verify("emoji", tmp_path)
    assert [part.size.images for part in result.parts] == [8, 8]
    assert len(result.problems) == 2, "too few pictures in both parts"
