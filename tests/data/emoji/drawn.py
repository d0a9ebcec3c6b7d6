"""Packages of drawings, made by the tests."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gcahng.data.emoji.icon_set import IconSet
from gcahng.data.emoji.packages import Package

INFO = {
    "name": "Round Things",
    "author": {"name": "A. Painter", "url": "https://example.org"},
    "license": {"title": "CC BY 4.0", "url": "https://example.org/by"},
}
# Enough for four classes of four sets, in both splits.
CODES = {"1f436": "dog", "1f431": "cat", "1f419": "octopus", "1f989": "owl"}


def disc(colour: str, side: int = 32) -> dict[str, Any]:
    """A drawing: a disc of a colour."""
    half = side // 2
    body = f'<circle cx="{half}" cy="{half}" r="{half}" fill="{colour}"/>'
    return {"body": body, "width": side, "height": side}


def contents(
    names: Sequence[str],
    colour: str,
    characters: Mapping[str, str] | None = None,
    aliases: Mapping[str, Any] | None = None,
    categories: Mapping[str, list[str]] | None = None,
) -> dict[str, Any]:
    """The files of a package; drawings differ from each other in a comment."""
    icons = {name: disc(colour) for name in names}
    for name, icon in icons.items():
        icon["body"] += f"<!-- {name} -->"
    return {
        "icons": {"icons": icons, "aliases": dict(aliases or {}), "width": 32, "height": 32},
        "chars": dict(characters or {}),
        "metadata": {"categories": dict(categories or {"Animals": list(names)})},
        "info": INFO,
    }


def icon_set(name: str, *args: Any, **kwargs: Any) -> IconSet:
    """A set of discs; further arguments as of `contents`."""
    made = contents(*args, **kwargs)
    categories = made["metadata"]["categories"]
    return IconSet(name, made["icons"], made["chars"], categories, made["info"])


def package(folder: Path, name: str, files: Mapping[str, Any]) -> Package:
    """Write a package into a folder, as `npm pack` does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"iconify-json-{name}-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for key, value in files.items():
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(f"package/{key}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    return Package(name, "1.0.0", digest)


def four_packages(folder: Path) -> list[Package]:
    """Four sets that all draw the same four animals, each in one colour."""
    names = list(CODES.values())
    return [
        package(folder, colour, contents(names, colour, CODES))
        for colour in ("red", "green", "blue", "black")
    ]
