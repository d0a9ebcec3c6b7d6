"""The script that makes class folders of emoji, on packages that the tests draw."""

import io
import json
import runpy
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gcahng.data import Folder

SCRIPT = runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples/emoji.py"))
INFO = {"name": "Discs", "author": {"name": "A. Painter"}, "license": {"title": "CC BY 4.0"}}
# Two of each split, and what is left out: a flag, a skin tone, a gender and a family.
CODES = {"1f436": "dog", "1f431": "cat", "1f419": "octopus", "1f989": "owl"} | {
    **{"1f3c1": "flag", "1f44b-1f3fb": "hand", "1f9d9-2640-fe0f": "mage", "1f46a": "family"}
}
COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}


def _disc(colour: str, name: str) -> dict[str, str]:
    return {"body": f'<circle cx="8" cy="8" r="8" fill="{colour}"/><!-- {name} -->'}


def _write(folder: Path, colour: str, chars: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Write the package of a set whose drawings are discs."""
    icons: dict[str, Any] = {name: _disc(colour, name) for name in names.values()}
    groups = {"Flags": ["flag"], "Animals": [name for name in names.values() if name != "flag"]}
    files = {"icons": {"icons": icons}, "chars": chars, "info": INFO}
    path = folder / f"iconify-json-{colour}-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for key, value in {**files, "metadata": {"categories": groups}}.items():
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(f"package/{key}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four sets, the last of which has names alone, as the script finds them."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for colour in COLOURS:
        _write(folder, colour, {} if colour == "black" else CODES, CODES)
    found = [f"{colour}@1.0.0" for colour in COLOURS]
    read = SCRIPT["main"].__globals__["read_sets"]
    monkeypatch.setitem(SCRIPT["main"].__globals__, "read_sets", lambda where: read(where, found))
    return folder


def test_the_pictures_are_class_folders(tmp_path: Path, packages: Path) -> None:
    pytest.importorskip("resvg_py")
    out = tmp_path / "sets" / "emoji"
    SCRIPT["main"](out, packages)
    assert list(out.parent.iterdir()) == [out]
    splits = {split: Folder(out, split) for split in ("train", "test")}
    assert {split: found.classes for split, found in splits.items()} == {
        **{"train": ["cat", "dog"], "test": ["octopus", "owl"]}
    }
    for index, path in enumerate(splits["train"].paths):
        image = splits["train"].load(index)
        assert image.size == (96, 96)
        assert (image.getpixel((48, 48)), image.getpixel((0, 0))) == (
            *(COLOURS[Path(path).stem], (255, 255, 255)),
        )
    assert "`red.png`: Discs by A. Painter" in (out / "ATTRIBUTION.md").read_text()
    with pytest.raises(FileExistsError, match="exists already"):
        SCRIPT["main"](out, packages)
