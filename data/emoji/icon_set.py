"""A set of drawings, read from its package."""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# Selects a drawing in text or in colour, and is not part of an emoji's identity.
VARIATION_SELECTOR = "fe0f"
DEFAULT_SIDE = 16


@dataclass(frozen=True)
class IconSet:
    """The drawings of one designer.

    Attributes:
        name: Of the set.
        icons: The contents of `icons.json`, as Iconify defines it.
        characters: Code points, such as `1f997`, to names; empty if the package has none.
        categories: Names by category.
        info: Title, author and licence.
    """

    name: str
    icons: Mapping[str, Any]
    characters: Mapping[str, str]
    categories: Mapping[str, list[str]]
    info: Mapping[str, Any]

    @cached_property
    def codes(self) -> dict[str, str]:
        """The name of the drawing of each emoji, by its code points without variation selectors."""
        found: dict[str, str] = {}
        for code, name in self.characters.items():
            points = [point for point in code.split("-") if point != VARIATION_SELECTOR]
            found.setdefault("-".join(points), name)
        return found

    @cached_property
    def category(self) -> dict[str, str]:
        """The category of each name."""
        return {name: key for key, names in self.categories.items() for name in names}

    @cached_property
    def other_names(self) -> dict[str, list[str]]:
        """Further names of each drawing, without aliases that also turn or flip it."""
        found: dict[str, list[str]] = {}
        for alias, change in self.icons.get("aliases", {}).items():
            if change.keys() == {"parent"}:
                found.setdefault(change["parent"], []).append(alias)
        return found

    def svg(self, name: str) -> str:
        """Return a drawing as a file."""
        icon = {**self.icons, **self.icons["icons"][name]}
        size = [icon.get(key, DEFAULT_SIDE) for key in ("width", "height")]
        box = " ".join(map(str, (icon.get("left", 0), icon.get("top", 0), *size)))
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box}">{icon["body"]}</svg>'
        )

    @property
    def attribution(self) -> str:
        """Who drew it, and under which licence, as a line of Markdown."""
        author, licence = self.info["author"], self.info["license"]
        return (
            f"- `{self.name}.png`: {self.info['name']} by {author['name']} "
            f"({author.get('url', 'no address given')}), "
            f"{licence['title']} ({licence.get('url', 'no address given')})"
        )


def read_icon_set(path: Path, name: str) -> IconSet:
    """Read a package without unpacking it.

    Raises:
        ValueError: If it is not a package of drawings.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            parts = {key: _read(archive, key) for key in ("icons", "chars", "metadata", "info")}
        categories = parts["metadata"].get("categories", {})
        return IconSet(name, parts["icons"], parts["chars"], categories, parts["info"])
    except (tarfile.TarError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"'{path}' is no package of drawings ({error}): fetch it again") from error


def _read(archive: tarfile.TarFile, name: str) -> Any:
    member = archive.extractfile(f"package/{name}.json")
    if member is None:
        raise ValueError(f"{name}.json is not a file")
    return json.load(member)
