"""What tests share is made once, and whole."""

from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_folder_is_made_once(make_once: Callable[[str, Callable[[Path], object]], Path]) -> None:
    made = []

    def build(folder: Path) -> None:
        folder.mkdir()
        made.append(folder)

    assert make_once("once", build) == make_once("once", build)
    assert len(made) == 1
    assert made[0].is_dir()


def test_no_half_of_a_folder_stays(
    make_once: Callable[[str, Callable[[Path], object]], Path],
) -> None:
    def build(folder: Path) -> None:
        folder.mkdir()
        (folder / "first").touch()
        if not made:
            made.append(folder)
            raise RuntimeError("the second file failed")
        (folder / "second").touch()

    made: list[Path] = []
    with pytest.raises(RuntimeError, match="second file"):
        make_once("half", build)
    assert not made[0].exists()
    assert len(list(make_once("half", build).iterdir())) == 2
